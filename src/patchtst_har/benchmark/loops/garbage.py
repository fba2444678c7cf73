"""What Python's garbage collector does meanwhile."""

from __future__ import annotations

import gc
from time import perf_counter_ns
from types import TracebackType
from typing import Self

from patchtst_har.records.measurement import GarbageCollection


class GarbageWatch:
    """Counts collections and the longest pause while it is entered; changes nothing about the collector.

    Attributes
    ----------
    collections : list of int
        By generation.
    longest_pause_ns : int
        Of one collection; 0 if there was none.
    """

    def __init__(self) -> None:
        self.collections = [0, 0, 0]
        self.longest_pause_ns = 0
        self._began_ns = 0

    def __enter__(self) -> Self:
        gc.callbacks.append(self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        gc.callbacks.remove(self._note)

    def record(self) -> GarbageCollection:
        """Return the counts."""
        return GarbageCollection(
            enabled=gc.isenabled(),
            collections=tuple(self.collections),
            longest_pause_us=self.longest_pause_ns / 1e3,
        )

    def _note(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began_ns = perf_counter_ns()
            return
        self.collections[info["generation"]] += 1
        self.longest_pause_ns = max(self.longest_pause_ns, perf_counter_ns() - self._began_ns)
