"""Several ways to compute the same, timed in turn: what else the machine does meets all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

CLOCKS = ("clock", "processor")
PERCENTILES = (50, 95)


@dataclass(frozen=True)
class Contestant:
    """One way: in its turn, `n_calls` calls with the next of `inputs`, which hold `n_items` each."""

    name: str
    function: Callable[[Any], Any]
    inputs: Sequence[Any]
    n_calls: int = 1
    n_items: int = 1


def times_in_turn(contestants: Sequence[Contestant], rounds: int) -> list[np.ndarray]:
    """Return the microseconds an item of every call, by the clock and in processor time of the thread.

    Processor time is little disturbed by others on the same cores; reading it adds 0.2 to a call.

    Returns
    -------
    list of ndarray, shape (2, rounds * n_calls)
        One of each contestant.
    """
    taken: list[list[tuple[float, float]]] = [[] for _ in contestants]
    for turn in range(rounds):
        for one, times in zip(contestants, taken, strict=True):
            for call in range(turn * one.n_calls, (turn + 1) * one.n_calls):
                given = one.inputs[call % len(one.inputs)]
                processor, clock = time.thread_time_ns(), time.perf_counter_ns()
                one.function(given)
                clock = time.perf_counter_ns() - clock
                processor = time.thread_time_ns() - processor
                times.append((clock / 1e3 / one.n_items, processor / 1e3 / one.n_items))
    return [np.array(times).T for times in taken]


def summary(contestants: Sequence[Contestant], taken: Sequence[np.ndarray]) -> dict[str, dict[str, float]]:
    """Return by contestant its percentiles, and how many times the first one's they are."""
    rows: dict[str, dict[str, float]] = {}
    for one, times in zip(contestants, taken, strict=True):
        row = rows[one.name] = {}
        for clock, own, first in zip(CLOCKS, times, taken[0], strict=True):
            for percentile in PERCENTILES:
                value, unit = (float(np.percentile(some, percentile)) for some in (own, first))
                row[f"{clock}_p{percentile}_us"] = round(value, 2)
                row[f"{clock}_p{percentile}_ratio"] = round(value / unit, 1)
    return rows
