"""The clock that the harness measures with, so that tests can bring their own."""

from __future__ import annotations

import time
from typing import Protocol

# `time.sleep` wakes up some 50 to 200 µs late: the rest of a wait is spent looking at the clock.
_SPIN_NS = 300_000


class Clock(Protocol):
    """Monotonic time in ns, and how to wait for it."""

    def now_ns(self) -> int:
        """Return the time."""

    def wait_until(self, due_ns: int) -> None:
        """Return at a time or as soon as possible after it."""


class WallClock:
    """The machine's monotonic clock."""

    now_ns = staticmethod(time.perf_counter_ns)

    def wait_until(self, due_ns: int) -> None:
        """Sleep until shortly before a time, then watch the clock."""
        left_ns = due_ns - time.perf_counter_ns() - _SPIN_NS
        if left_ns > 0:
            time.sleep(left_ns * 1e-9)
        while time.perf_counter_ns() < due_ns:
            pass
