"""Windows that wait to be decided."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from patchtst_har.realtime.stream_smoothing import WindowPlace

DropPolicy = Literal["oldest", "newest", "error"]


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """A window that waits: its samples (window_size, 3), its place, when its last sample arrived."""

    window: NDArray[np.float32]
    place: WindowPlace
    arrival_ns: int


class Backlog:
    """At most `capacity` windows in memory that is used again and again.

    Not safe by itself to use from several threads.

    Parameters
    ----------
    capacity : int
        Windows that may wait.
    drop : {"oldest", "newest", "error"}
        Which window is dropped when one more comes. ``error`` drops the newest, and the
        caller of `add` raises the error.
    window_size : int
        Samples per window.
    """

    def __init__(self, capacity: int, drop: DropPolicy, window_size: int) -> None:
        self.capacity = capacity
        self.drop = drop
        self.n_dropped = 0
        self._window_size = window_size
        self._waiting: deque[Waiting] = deque()
        self._free: list[NDArray[np.float32]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, window: NDArray[np.float32], place: WindowPlace, arrival_ns: int) -> bool:
        """Copy a window in; return whether no window had to be dropped."""
        full = len(self._waiting) == self.capacity
        if full:
            self.n_dropped += 1
            if self.drop != "oldest":
                return False
            self.release(self._waiting.popleft())
        memory = self._free.pop() if self._free else np.empty((self._window_size, 3), np.float32)
        np.copyto(memory, window)
        self._waiting.append(Waiting(memory, place, arrival_ns))
        return not full

    def take(self) -> Waiting | None:
        """Return the window that has waited longest; its memory is the caller's until `release`."""
        return self._waiting.popleft() if self._waiting else None

    def release(self, waiting: Waiting) -> None:
        """Give a window's memory back."""
        self._free.append(waiting.window)

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self._waiting)
