"""SIGTERM and SIGHUP as an orderly end: what is open is closed, nothing half-written stays."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = ("SIGTERM", "SIGHUP")


class Terminated(BaseException):
    """A signal asked the process to end; like `KeyboardInterrupt`, no handler of errors catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_status = 128 + number


class StopRequest:
    """Whether a signal asked to end, and which."""

    def __init__(self) -> None:
        self.number: int | None = None

    def take(self, number: int, frame: FrameType | None) -> None:
        """Note a signal; a second one does not wait."""
        if self.number is not None:
            raise Terminated(number)
        self.number = number

    def raise_if_asked(self) -> None:
        """End now with the status of the signal, if there was one."""
        if self.number is not None:
            raise Terminated(self.number)


def _raise(number: int, frame: FrameType | None) -> None:
    raise Terminated(number)


@contextmanager
def ending_signals_raise() -> Iterator[None]:
    """Raise `Terminated` where the program is when a signal asks it to end."""
    with _handled(_raise, signal.SIG_DFL):
        yield


@contextmanager
def ending_signals_noted() -> Iterator[StopRequest]:
    """Yield what a loop looks at between two steps, in place of being interrupted within one."""
    request = StopRequest()
    with _handled(request.take, signal.SIG_DFL, _raise):
        yield request


@contextmanager
def _handled(handler: object, *replaced: object) -> Iterator[None]:
    """Handle the signals that have one of the handlers `replaced`: who started us may have them ignored."""
    before = {}
    # Python handles signals in its main thread only.
    if threading.current_thread() is threading.main_thread():
        numbers = [getattr(signal, name) for name in _ENDING if hasattr(signal, name)]
        before = {number: signal.getsignal(number) for number in numbers}
        before = {number: found for number, found in before.items() if found in replaced}
    for number in before:
        signal.signal(number, handler)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for number, found in before.items():
            signal.signal(number, found)
