"""One operation between its beginning and its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Self

from patchtst_har.benchmark.profiling.device import CUDA_PEAK, UTILISATION_PERIOD_NS, Device
from patchtst_har.benchmark.profiling.memory import RESIDENT_PEAK
from patchtst_har.benchmark.profiling.record import Call
from patchtst_har.support.process_memory import resident_bytes

# A context variable, not a thread's: tasks of an event loop each see their own.
_innermost: ContextVar[Operation | None] = ContextVar("innermost", default=None)


class Covered:
    """Time during which at least one of several intervals, which may overlap, was open."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._n_open = self._since = self._covered = 0

    def begin(self, now: int) -> None:
        """Open an interval."""
        with self._lock:
            if self._n_open == 0:
                self._since = now
            self._n_open += 1

    def end(self, now: int) -> None:
        """Close an interval."""
        with self._lock:
            self._n_open -= 1
            if self._n_open == 0:
                self._covered += now - self._since

    def until(self, now: int) -> int:
        """Return the time covered so far, with what is open."""
        with self._lock:
            return self._covered + (now - self._since if self._n_open else 0)


class Operation:
    """What `profile_operation` returns: a context manager for one use.

    Parameters
    ----------
    name : str
        Name of the operation.
    owner : object
        Whose operations nest in each other: the profiler.
    device : Device
        Where CUDA is asked for.
    finish : callable
        Called at the end with the path and what was measured.
    resets_peaks : bool
        Measure peaks of memory.

    Attributes
    ----------
    path : str
        Names from the outermost open operation to this one, with slashes; the name before it has begun.
    """

    def __init__(
        self,
        name: str,
        owner: object,
        device: Device,
        finish: Callable[[str, Call], None],
        resets_peaks: bool,
    ) -> None:
        self.path = name
        self._call: Call | None = None
        self._owner, self._device, self._finish = owner, device, finish
        self._resets_peaks = resets_peaks
        self._nested = Covered()
        self._outer: Operation | None = None
        self._parent: Operation | None = None
        self._open = False
        self._entered_ns = 0

    @property
    def call(self) -> Call:
        """What was measured; RuntimeError before the end."""
        if self._call is None:
            raise RuntimeError(f"{self.path}: the operation has not ended")
        return self._call

    def __enter__(self) -> Self:
        if self._entered_ns:
            raise RuntimeError(f"{self.path}: an operation is entered once; ask for another")
        self._entered_ns = time.perf_counter_ns()
        has_cuda = self._device.synchronise()
        self._join()
        if self._resets_peaks:
            RESIDENT_PEAK.start(id(self))
            if has_cuda:
                CUDA_PEAK.start(id(self))
        self._resident = resident_bytes()
        self._thread = threading.get_ident()
        self._thread_ns = time.thread_time_ns()
        self._process_ns = time.process_time_ns()
        self._began_ns = time.perf_counter_ns()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._device.synchronise()
        except BaseException as failure:
            # What was started on the device failed there.
            kind = type(failure)
            raise
        finally:
            self._end(kind)

    def _end(self, error: type[BaseException] | None) -> None:
        now = time.perf_counter_ns()
        process_ns, thread_ns = time.process_time_ns(), time.thread_time_ns()
        wall_ns = now - self._began_ns
        self._leave()
        resident, before = resident_bytes(), self._resident
        same_thread = threading.get_ident() == self._thread
        long_enough = wall_ns >= UTILISATION_PERIOD_NS
        self._call = call = Call(
            wall_ns=wall_ns,
            self_ns=max(0, wall_ns - self._nested.until(now)),
            process_ns=process_ns - self._process_ns,
            thread_ns=thread_ns - self._thread_ns if same_thread else None,
            resident_change=None if resident is None or before is None else resident - before,
            resident_peak=RESIDENT_PEAK.stop(id(self)),
            cuda_peak=CUDA_PEAK.stop(id(self)),
            utilisation_percent=self._device.utilisation_percent() if long_enough else None,
            error=None if error is None else error.__name__,
        )
        self._finish(self.path, call)
        if self._parent is not None:
            self._parent._nested.end(time.perf_counter_ns())

    def _join(self) -> None:
        """Become the innermost operation, inside the innermost open one of the same profiler."""
        self._outer = _innermost.get()
        parent = self._outer
        while parent is not None and not (parent._open and parent._owner is self._owner):
            parent = parent._outer
        self._parent = parent
        if parent is not None:
            self.path = f"{parent.path}/{self.path}"
            parent._nested.begin(self._entered_ns)
        self._open = True
        _innermost.set(self)

    def _leave(self) -> None:
        self._open = False
        # One that ends after an operation that encloses it, as generators may, finds another in its place.
        if _innermost.get() is self:
            outer = self._outer
            while outer is not None and not outer._open:
                outer = outer._outer
            _innermost.set(outer)
