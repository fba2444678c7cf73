"""Measuring one benchmark: every round timed alone, percentiles only where there are rounds enough."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from machine_speed import machine_speed_us
from patchtst_har import _core
from patchtst_har.support.percentiles import MIN_SAMPLES

PERCENTILES = {"p50": 50, "p95": 95, "p99": 99}
_WARM_UP = 5


def percentiles_us(seconds: Sequence[float], per_round: int = 1) -> dict[str, float | None]:
    """Return p50, p95 and p99 of an item in microseconds, None where there are too few rounds."""
    found: dict[str, float | None] = {}
    for name, percentile in PERCENTILES.items():
        enough = len(seconds) >= MIN_SAMPLES[name]
        value = float(np.percentile(seconds, percentile)) * 1e6 / per_round if enough else None
        found[f"{name}_us"] = None if value is None else round(value, 3)
    return found


def instruction_sets() -> list[Any]:
    """Return the available instruction sets as parameters; all but the active one are `bench_long`."""
    active = _core.active_isa()
    return [
        pytest.param(name, marks=() if name == active else pytest.mark.bench_long)
        for name in _core.available_isas()
    ]


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
        rows = inputs if isinstance(inputs, Iterator) else _in_turn(inputs)

        def setup() -> tuple[tuple[Any], dict[str, Any]]:
            row = next(rows)
            self._finish()
            return (row,), {}

        def run(row: Any) -> None:
            function(row)
            self._finish()

        speed_us, switches = [machine_speed_us()], _interruptions()
        benchmark.pedantic(
            run if self._device == "cuda" else function,
            setup=setup,
            iterations=1,
            rounds=rounds,
            warmup_rounds=min(rounds // 4, _WARM_UP),
        )
        switches = _interruptions() - switches
        speed_us.append(machine_speed_us())
        if benchmark.disabled:
            return []
        seconds: list[float] = benchmark.stats.stats.data
        self.extra_info.update(
            percentiles_us(seconds, per_round),
            device=self._device,
            per_round=per_round,
            machine_speed_us=speed_us,
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
        rows = _in_turn(inputs)
        pairs = []
        for _ in range(self.rounds(rounds)):
            row = next(rows)
            pairs.append((self._seconds(slow, row), self._seconds(fast, row)))
        slow_p50, fast_p50 = (statistics.median(column) for column in zip(*pairs, strict=True))
        self.extra_info[name] = round(slow_p50 / fast_p50, 2)

    def _seconds(self, function: Callable[[Any], Any], row: Any) -> float:
        self._finish()
        if self._device == "cuda":
            return _seconds_on_device(function, row)
        start = time.perf_counter()
        function(row)
        return time.perf_counter() - start

    def _finish(self) -> None:
        """Wait for what was started: CUDA returns before it is done."""
        if self._device == "cuda":
            import torch

            torch.cuda.synchronize()


def _seconds_on_device(function: Callable[[Any], Any], row: Any) -> float:
    """Time a call between two events of the device, so that the host's waiting is not counted."""
    import torch

    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    function(row)
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3


def _interruptions() -> int:
    """Return how often this process had to leave the processor to others so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def _in_turn(rows: Sequence[Any]) -> Iterator[Any]:
    while True:
        yield from rows
