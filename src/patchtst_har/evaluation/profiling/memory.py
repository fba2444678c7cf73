"""Memory of this process as the kernel counts it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int | None:
    """Return the resident memory of this process; None where there is no ``/proc``."""
    # Not psutil: this is one file, and the 5 microseconds of reading it are part of what is measured.
    content = _content("/proc/self/statm")
    return None if content is None else int(content.split()[1]) * _PAGE_BYTES


class PeakMeter:
    """Highest value since each of several starts that overlap, from one counter with a single reset.

    Parameters
    ----------
    read : callable
        Returns the highest value since the last reset, in bytes.
    reset : callable
        Begins anew at the present value. Both may raise OSError: then there is no peak.
    """

    def __init__(self, read: Callable[[], int], reset: Callable[[], None]) -> None:
        self._read = read
        self._reset = reset
        # Reentrant: the collector may end a forgotten operation while this thread holds it.
        self._lock = threading.RLock()
        self._highest: dict[int, int] = {}

    def start(self, key: int) -> None:
        """Begin to watch under a `key` that nobody else uses."""
        with self._lock:
            try:
                # Whoever watches already keeps what was reached so far: the reset forgets it.
                self._keep_highest()
                self._reset()
            except OSError:
                return
            self._highest[key] = 0

    def stop(self, key: int) -> int | None:
        """Return the highest value since `start`; None where there is none to be had."""
        with self._lock:
            try:
                self._keep_highest()
            except OSError:
                self._highest.pop(key, None)
                return None
            return self._highest.pop(key, None)

    def _keep_highest(self) -> None:
        if self._highest:
            value = self._read()
            for key, highest in self._highest.items():
                self._highest[key] = max(highest, value)


def _read_resident_peak() -> int:
    content = _content("/proc/self/status")
    if content is None or b"VmHWM:" not in content:
        raise OSError("no VmHWM in /proc/self/status")
    return int(content.split(b"VmHWM:", 1)[1].split(b"kB", 1)[0]) * 1024


def _reset_resident_peak() -> None:
    handle = os.open("/proc/self/clear_refs", os.O_WRONLY)
    try:
        os.write(handle, b"5")
    finally:
        os.close(handle)


def _content(path: str) -> bytes | None:
    """Return the first 8 KiB of a file; None if it cannot be read."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        return os.read(handle, 8192)
    finally:
        os.close(handle)


# One for the process: whoever resets the counter resets it for all.
RESIDENT_PEAK = PeakMeter(_read_resident_peak, _reset_resident_peak)
