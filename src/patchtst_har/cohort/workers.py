"""Processes on this machine, as an `Executor` in which a death costs one call and names it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from multiprocessing import connection, get_context, parent_process
from multiprocessing.context import SpawnProcess
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any

from patchtst_har.cohort.job import THREAD_VARIABLES
from patchtst_har.errors import WorkersError

_environment = threading.Lock()


class WorkerDied(BrokenExecutor):
    """The process that ran a call ended before it answered."""

    def __init__(self, exit_status: int) -> None:
        super().__init__(exit_status)
        self.exit_status = exit_status

    def __str__(self) -> str:
        if self.exit_status >= 0:
            return f"worker died (exit status {self.exit_status})"
        likely = "; likely memory" if -self.exit_status == getattr(signal, "SIGKILL", None) else ""
        return f"worker died (signal {-self.exit_status}{likely})"


class InThisProcess(Executor):
    """Runs each call when it is submitted."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run the call; return its result as a future that is done."""
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class LocalWorkers(Executor):
    """Processes that are started by spawn, one thread of each library, and replaced when they die.

    Unlike in a `ProcessPoolExecutor`, the death of one fails only the call that it ran (`WorkerDied`), so it
    is known which that was. When this process ends, in whatever way, they end, too.

    Parameters
    ----------
    n_workers : int
        Processes; each is started with its first call.
    """

    def __init__(self, n_workers: int) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Any] | None] = SimpleQueue()
        self._stopped = False
        self._processes: set[SpawnProcess] = set()
        self._threads = [
            threading.Thread(target=self._serve, name=f"patchtst-har-worker-{number}", daemon=True)
            for number in range(n_workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Schedule a call in one of the processes."""
        if self._stopped:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future: Future[Any] = Future()
        self._calls.put((future, (fn, args, kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes, after the calls that are scheduled or, if these are cancelled, at once."""
        self._stopped = True
        if cancel_futures:
            while (call := _taken(self._calls)) is not None:
                call[0].cancel()
        for _ in self._threads:
            self._calls.put(None)
        if cancel_futures:
            for process in list(self._processes):
                process.kill()
        if wait:
            for thread in self._threads:
                thread.join()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown(cancel_futures=kind is not None)

    def _serve(self) -> None:
        worker: _Worker | None = None
        while (call := self._calls.get()) is not None:
            future, work = call
            if not future.set_running_or_notify_cancel():
                continue
            try:
                if worker is None:
                    worker = _Worker()
                    self._processes.add(worker.process)
                    if self._stopped:
                        worker.process.kill()
                future.set_result(worker.run(work))
            except (WorkerDied, WorkersError) as error:
                if worker is not None:
                    self._processes.discard(worker.process)
                worker = None
                future.set_exception(error)
            except BaseException as error:
                future.set_exception(error)
        if worker is not None:
            worker.close()


class _Worker:
    """A process that answers one call at a time."""

    def __init__(self) -> None:
        context = get_context("spawn")
        self._ours, theirs = context.Pipe()
        self.process = context.Process(target=_answer_calls, args=(theirs,), daemon=True)
        with _environment:
            # Read when a library is loaded, which may be before the first line of ours runs there.
            before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
            os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
            try:
                self.process.start()
            finally:
                for name, value in before.items():
                    if value is None:
                        del os.environ[name]
                    else:
                        os.environ[name] = value
        theirs.close()
        self._started = False

    def run(self, work: Any) -> Any:
        if not self._started:
            self._wait_for_start()
        try:
            self._ours.send(work)
            # The process closes its end when it dies.
            succeeded, value = self._ours.recv()
        except (EOFError, ConnectionError) as error:
            raise self._died() from error
        if succeeded:
            return value
        raise value

    def _wait_for_start(self) -> None:
        try:
            # Sent once all is imported.
            self._ours.recv()
        except (EOFError, ConnectionError) as error:
            died = self._died()
            if died.exit_status < 0:
                raise died from error
            raise WorkersError(
                f"a worker process could not start (exit status {died.exit_status}; its error stands above). "
                "A script that labels with workers needs the line: if __name__ == '__main__':"
            ) from error
        self._started = True

    def _died(self) -> WorkerDied:
        self.process.join()
        self._ours.close()
        return WorkerDied(self.process.exitcode or 0)

    def close(self) -> None:
        self._ours.close()
        self.process.join()


def _taken(calls: SimpleQueue[Any]) -> Any:
    try:
        return calls.get_nowait()
    except Empty:
        return None


def _answer_calls(ours: connection.Connection) -> None:
    # Ctrl-C goes to all processes of a terminal; the one that started us decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    ours.send("ready")
    while True:
        try:
            function, args, kwargs = ours.recv()
        except EOFError:
            return
        try:
            answer = True, function(*args, **kwargs)
        except Exception as error:
            answer = False, error
        ours.send(answer)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
