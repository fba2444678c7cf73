"""Timing: one benchmark round by round, and several ways to compute the same in turn."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
import pytest

from patchtst_har import _core
from patchtst_har.benchmark.loops.machine_speed import MachineSpeed
from patchtst_har.support.percentiles import summarise

PERCENTILES = ("p50", "p95", "p99")
CLOCKS = ("clock", "processor")
_WARM_UP = 5
_N_CALIBRATIONS = 15
_CALIBRATION = MachineSpeed()


def percentiles_us(seconds: Sequence[float], per_round: int = 1) -> dict[str, float | None]:
    """Return p50, p95 and p99 of an item in microseconds, None where there are too few rounds."""
    found = summarise(np.asarray(seconds) * (1e9 / per_round))
    values = {f"{name}_us": found[f"{name}_us"] for name in PERCENTILES}
    return {name: None if value is None else round(value, 3) for name, value in values.items()}


def machine_speed_us() -> float:
    """Return how long a fixed piece of work takes just now, in microseconds.

    Every benchmark is measured between two of these, so that stored runs can be compared although the
    machine, its clock or its other work differ. The least of several: other work interrupts the rest.
    """
    return min(_CALIBRATION.time_ns(time.perf_counter_ns) for _ in range(_N_CALIBRATIONS)) / 1e3


def instruction_sets() -> list[Any]:
    """Return the available instruction sets as parameters; all but the active one are `bench_long`."""
    active = _core.active_isa()
    return [
        pytest.param(name, marks=() if name == active else pytest.mark.bench_long)
        for name in _core.available_isas()
    ]


@dataclass(frozen=True)
class Contestant:
    """One way: in its turn, `n_calls` calls with the next of `inputs`, which hold `n_items` each."""

    name: str
    function: Callable[[Any], Any]
    inputs: Sequence[Any]
    n_calls: int = 1
    n_items: int = 1


def timed(function: Callable[[Any], Any], argument: Any) -> tuple[int, int]:
    """Call once; return the ns by the clock and in processor time of all threads of this process.

    Processor time is little disturbed by others on the same cores; reading it adds 0.2 µs to a call.
    """
    processor, clock = time.process_time_ns(), time.perf_counter_ns()
    function(argument)
    clock = time.perf_counter_ns() - clock
    return clock, time.process_time_ns() - processor


def times_in_turn(
    contestants: Sequence[Contestant],
    rounds: int,
    timer: Callable[[Callable[[Any], Any], Any], tuple[int, int]] = timed,
) -> list[np.ndarray]:
    """Time several ways in turn: what else the machine does meets all of them alike.

    Returns
    -------
    list of ndarray, shape (2, rounds * n_calls)
        Microseconds of an item in every call by each of `CLOCKS`, one array of each contestant.
    """
    taken: list[list[tuple[int, int]]] = [[] for _ in contestants]
    rows = [cycle(one.inputs) for one in contestants]
    for _ in range(rounds):
        for one, inputs, times in zip(contestants, rows, taken, strict=True):
            times += [timer(one.function, next(inputs)) for _ in range(one.n_calls)]
    return [np.array(times).T / (1e3 * one.n_items) for one, times in zip(contestants, taken, strict=True)]


def summary(contestants: Sequence[Contestant], taken: Sequence[np.ndarray]) -> dict[str, dict[str, float]]:
    """Return by contestant p50 and p95 by each clock, and how many times the first one's they are."""
    rows: dict[str, dict[str, float]] = {}
    for one, times in zip(contestants, taken, strict=True):
        row = rows[one.name] = {}
        for clock, own, first in zip(CLOCKS, times, taken[0], strict=True):
            for percentile in (50, 95):
                value, unit = (float(np.percentile(some, percentile)) for some in (own, first))
                row[f"{clock}_p{percentile}_us"] = round(value, 2)
                row[f"{clock}_p{percentile}_ratio"] = round(value / unit, 1)
    return rows


class Measure:
    """What the fixture `measure` gives to a benchmark.

    Parameters
    ----------
    benchmark : BenchmarkFixture
        Of pytest-benchmark.
    rounds_factor : float
        By which every number of rounds is multiplied.
    device : str
        ``cpu``, or ``cuda``: then a round ends when the device has nothing left to do.
    """

    def __init__(self, benchmark: Any, rounds_factor: float = 1.0, device: str = "cpu") -> None:
        self._benchmark = benchmark
        self._factor = rounds_factor
        self._device = device
        self.extra_info: dict[str, Any] = benchmark.extra_info

    def __call__(
        self,
        function: Callable[[Any], Any],
        inputs: Sequence[Any] | Iterator[Any],
        rounds: int,
        per_round: int = 1,
    ) -> list[float]:
        """Time `rounds` calls, one by one; put the percentiles into `extra_info`, return the seconds.

        Parameters
        ----------
        function : callable
            Called with one input.
        inputs : sequence or iterator
            A sequence is taken in turn; an iterator may prepare each call, which is not timed.
        rounds : int
            Calls that are timed; up to five before them are not.
        per_round : int, default 1
            Items that a call computes: percentiles are of an item.
        """
        benchmark, rounds = self._benchmark, self.rounds(rounds)
        rows = inputs if isinstance(inputs, Iterator) else cycle(inputs)

        def setup() -> tuple[tuple[Any], dict[str, Any]]:
            row = next(rows)
            self._finish()
            return (row,), {}

        def run(row: Any) -> None:
            function(row)
            self._finish()

        speed_us, switches = [machine_speed_us()], _interruptions()
        called, warm_up = run if self._device == "cuda" else function, min(rounds // 4, _WARM_UP)
        benchmark.pedantic(called, setup=setup, iterations=1, rounds=rounds, warmup_rounds=warm_up)
        switches = _interruptions() - switches
        speed_us.append(machine_speed_us())
        if benchmark.disabled:
            return []
        seconds: list[float] = benchmark.stats.stats.data
        self.extra_info.update(
            percentiles_us(seconds, per_round),
            device=self._device,
            per_round=per_round,
            speed_us=speed_us,
            interrupted_share=min(1.0, switches / rounds),
        )
        return seconds

    def rounds(self, rounds: int) -> int:
        """Return how many rounds are made where `rounds` are asked for."""
        return max(1, round(rounds * self._factor))

    def ratio(
        self,
        name: str,
        slow: Callable[[Any], Any],
        fast: Callable[[Any], Any],
        inputs: Sequence[Any],
        rounds: int,
    ) -> None:
        """Time two functions in turn; put the ratio of their medians, slow to fast, into `extra_info`.

        Only what alternates within a second is the same machine.
        """
        if self._benchmark.disabled:
            return
        contestants = [Contestant("slow", slow, inputs), Contestant("fast", fast, inputs)]
        timer = _timed_on_device if self._device == "cuda" else timed
        taken = times_in_turn(contestants, self.rounds(rounds), timer)
        slow_p50, fast_p50 = (float(np.median(times[0])) for times in taken)
        self.extra_info[name] = round(slow_p50 / fast_p50, 2)

    def _finish(self) -> None:
        """Wait for what was started: CUDA returns before it is done."""
        if self._device == "cuda":
            import torch

            torch.cuda.synchronize()


def _timed_on_device(function: Callable[[Any], Any], row: Any) -> tuple[int, int]:
    """Time a call between two events of the device, so that the host's waiting is not counted."""
    import torch

    torch.cuda.synchronize()
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    function(row)
    end.record()
    end.synchronize()
    return (round(start.elapsed_time(end) * 1e6),) * 2


def _interruptions() -> int:
    """Return how often this process had to leave the processor to others so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
