"""A Python that starts fast: a fork of a process that has imported torch and the package; that takes seconds.

``[*python(), "-m", "patchtst_har", ...]`` does what ``[sys.executable, ...]`` does. It starts a client that
hands its arguments, folder, environment and standard streams to the server, passes signals on, and ends as
the fork does. Tests of imports, and those that kill it and need it dead at once, start `sys.executable`.
"""

from __future__ import annotations

import io
import json
import os
import selectors
import signal
import socket
import sys

# Read when something is imported: where one of them differs, the client becomes an interpreter of its own.
_READ_BY_IMPORTS = ("LD_", "MKL_", "MPL", "NUMBA_", "OMP_", "OPENBLAS_", "PATCHTST_HAR_", "PYTHON")
_OTHER = b"-"
_command: tuple[str, ...] | None = None


def python() -> tuple[str, ...]:
    """Return what stands for `sys.executable`. The first call starts the server; both end together."""
    global _command
    if _command is None:
        _command = _started() if hasattr(os, "pidfd_open") else (sys.executable,)  # Linux alone has it.
    return _command


def _started() -> tuple[str, ...]:
    import atexit
    import subprocess
    import tempfile

    folder = tempfile.TemporaryDirectory(prefix="python-")
    place = os.path.join(folder.name, "socket")  # noqa: PTH118
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen(100)
        command = [sys.executable, __file__, "serve", str(listener.fileno())]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[listener.fileno()])

    @atexit.register
    def end() -> None:
        folder.cleanup()
        server.communicate()

    return (sys.executable, "-S", "-E", __file__, place)


def _ask(place: str, arguments: list[str]) -> None:
    """Let the server run `arguments`; end as they do."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(place)
        request = json.dumps([arguments, os.getcwd(), dict(os.environ)]).encode()  # noqa: PTH109
        socket.send_fds(server, [len(request).to_bytes(4, "little")], [0, 1, 2])
        server.sendall(request)
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda number, _frame: server.send(bytes([number])))
        status = server.recv(8)
    if status == _OTHER:
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606
    code = int(status)
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _serve(listener: socket.socket) -> list[str]:
    """Answer requests until standard input ends; return, in a fork, what it is to run."""
    import gc
    from importlib import import_module

    begun = dict(os.environ)
    for name in (
        "torch._dynamo",
        "patchtst_har.cli",
        "patchtst_har.data",
        "patchtst_har.features.plugins",
        "patchtst_har.inference.export",
        "patchtst_har.search",
        "patchtst_har.smoothing.kernels",
        "patchtst_har.training",
    ):
        import_module(name)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with selectors.DefaultSelector() as waiting:
        waiting.register(0, selectors.EVENT_READ)
        waiting.register(listener, selectors.EVENT_READ)
        while all(key.fileobj is listener for key, _ in waiting.select()):
            client, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                break
            client.close()
        else:
            os._exit(0)
        return _watched(client, begun)


def _watched(client: socket.socket, begun: dict[str, str]) -> list[str]:
    """Fork once more; watch over the fork here, which never returns, and return in the fork."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, _, _ = socket.recv_fds(client, 4, 3)
    arguments, folder, environment = json.loads(_received(client, int.from_bytes(size, "little")))
    names = (name for name in {*begun, *environment} if name.startswith(_READ_BY_IMPORTS))
    if any(environment.get(name) != begun.get(name) for name in names):
        client.send(_OTHER)
        os._exit(0)
    child = os.fork()
    if child == 0:
        client.close()
        _take_over(streams, folder, environment)
        return arguments
    for stream in (0, 1, 2, *streams):
        os.close(stream)
    with selectors.DefaultSelector() as waiting:
        waiting.register(client, selectors.EVENT_READ)
        waiting.register(os.pidfd_open(child), selectors.EVENT_READ)
        while all(key.fileobj is client for key, _ in waiting.select()):
            number = client.recv(1)
            os.kill(child, number[0] if number else signal.SIGKILL)
            if not number:
                waiting.unregister(client)
    client.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())
    os._exit(0)


def _take_over(streams: list[int], folder: str, environment: dict[str, str]) -> None:
    """Be where the client is, with its streams and environment."""
    from multiprocessing import process

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # What these are, such as seekable, is asked when they are opened.
    through = bool(environment.get("PYTHONUNBUFFERED"))
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    for name, number, errors in (("stdout", 1, "strict"), ("stderr", 2, "backslashreplace")):
        plain = open(number, "wb", 0 if through else -1, closefd=False)  # noqa: SIM115
        options = {"errors": errors, "line_buffering": number == 2, "write_through": through}
        text = io.TextIOWrapper(plain, encoding="utf-8", **options)
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)
    os.chdir(folder)
    process.ORIGINAL_DIR = folder
    os.environ.clear()
    os.environ.update(environment)


def _received(client: socket.socket, n_bytes: int) -> bytes:
    found = b""
    while len(found) < n_bytes:
        part = client.recv(n_bytes - len(found))
        if not part:
            raise EOFError("the client has ended")
        found += part
    return found


def _run(arguments: list[str]) -> None:
    """Run what follows ``python`` on a command line."""
    import runpy
    import warnings
    from types import ModuleType

    if arguments[:2] == ["-W", "error"]:
        sys.warnoptions[:] = ["error"]
        warnings.simplefilter("error")
        arguments = arguments[2:]
    option, *rest = arguments
    if option == "-m":
        sys.path[0], sys.argv = os.getcwd(), rest  # noqa: PTH109
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif option == "-c":
        main = sys.modules["__main__"] = ModuleType("__main__")
        sys.path[0], sys.argv = "", ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), main.__dict__)  # noqa: S102 - the tests' own
    else:
        sys.path[0], sys.argv = os.path.dirname(os.path.abspath(option)), arguments  # noqa: PTH100, PTH120
        runpy.run_path(option, run_name="__main__")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        try:
            _run(_serve(socket.socket(fileno=int(sys.argv[2]))))
        except KeyboardInterrupt:  # Python does so where it is in none of its own functions.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
    else:
        _ask(sys.argv[1], sys.argv[2:])
