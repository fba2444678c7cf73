"""Peaks of memory during operations that overlap."""

from __future__ import annotations

import threading
from collections.abc import Callable

from patchtst_har.support.process_memory import peak_resident_bytes, reset_peak


class PeakMeter:
    """Highest value since each of several starts that overlap, from one counter with a single reset.

    Parameters
    ----------
    read : callable
        Returns the highest value since the last reset, in bytes; None if it cannot be read.
    reset : callable
        Resets to the present value; returns whether that worked.
    """

    def __init__(self, read: Callable[[], int | None], reset: Callable[[], bool]) -> None:
        self._read = read
        self._reset = reset
        # Reentrant: the collector may end a forgotten operation while this thread holds it.
        self._lock = threading.RLock()
        self._highest: dict[int, int] = {}

    def start(self, key: int) -> None:
        """Begin to watch under a `key` that nobody else uses."""
        with self._lock:
            # Whoever watches already keeps what was reached so far: the reset forgets it.
            if self._keep_highest() and self._reset():
                self._highest[key] = 0

    def stop(self, key: int) -> int | None:
        """Return the highest value since `start`; None where it cannot be read."""
        with self._lock:
            known = self._keep_highest()
            highest = self._highest.pop(key, None)
            return highest if known else None

    def _keep_highest(self) -> bool:
        if not self._highest:
            return True
        value = self._read()
        if value is None:
            return False
        for key, highest in self._highest.items():
            self._highest[key] = max(highest, value)
        return True


# One for the process: whoever resets the counter resets it for all.
RESIDENT_PEAK = PeakMeter(peak_resident_bytes, reset_peak)
