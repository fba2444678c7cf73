"""Measured latency of a pipeline of named stages, one window at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from patchtst_har.errors import DataError
from patchtst_har.support.host import host_facts
from patchtst_har.support.percentiles import MIN_SAMPLES, quantile_curve, summarise
from patchtst_har.support.progress import OnProgress

if TYPE_CHECKING:
    from rich.table import Table

Stage = Callable[[Any], Any]
Samples = npt.NDArray[np.int64]

_COLUMNS = ("p50", "p90", "p95", "p99", "p99_9", "max")


@dataclass(frozen=True, eq=False)
class LatencyReport:
    """Durations of every stage and of the whole, window by window.

    Attributes
    ----------
    stages : tuple of str
        Names, in the order of execution.
    stage_ns : ndarray of int64, shape (n_windows, n_stages)
        Durations after warm-up.
    end_to_end_ns : ndarray of int64, shape (n_windows,)
        From before the first stage to after the last, per window; never put together from percentiles.
    cold_stage_ns : ndarray of int64, shape (n_stages,)
        The very first pass (imports, compilation, first allocations), kept apart.
    cold_end_to_end_ns : int
        Duration of the very first pass.
    hop_s : float
        Seconds between decisions: the budget.
    warm_up : int
        Passes after the first that were run and not counted.
    host : dict
        See `patchtst_har.support.host.host_facts`.
    """

    stages: tuple[str, ...]
    stage_ns: Samples
    end_to_end_ns: Samples
    cold_stage_ns: Samples
    cold_end_to_end_ns: int
    hop_s: float
    warm_up: int
    host: dict[str, Any]

    @property
    def n_windows(self) -> int:
        """Number of measured windows."""
        return int(self.end_to_end_ns.size)

    @property
    def deadline_misses(self) -> int:
        """Number of windows that took longer than the hop."""
        return int((self.end_to_end_ns > self.hop_s * 1e9).sum())

    @property
    def real_time_factor(self) -> float:
        """Mean processing time a window divided by the hop; below 1 the pipeline keeps up on average."""
        return float(self.end_to_end_ns.mean() / 1e9 / self.hop_s)

    @property
    def feasible(self) -> bool | None:
        """Whether no measured window missed the hop; None below the samples that a p95 needs."""
        if self.deadline_misses:
            return False
        return True if self.n_windows >= MIN_SAMPLES["p95"] else None

    def verdict(self) -> str:
        """Return one sentence on real-time feasibility that claims no more than was measured."""
        n, misses = self.n_windows, self.deadline_misses
        if misses:
            return f"Not feasible in real time: {misses} of {n} windows missed the {self.hop_s:g} s hop."
        slowest = self.end_to_end_ns.max() / 1e6
        if self.feasible is None:
            return (
                f"Undecided: none of {n} windows missed the {self.hop_s:g} s hop, "
                f"but at least {MIN_SAMPLES['p95']} are needed."
            )
        # Rule of three: with no event in n trials, the 95 % upper bound of its rate is about 3 / n.
        return (
            f"Feasible in real time on this machine: none of {n} windows missed the {self.hop_s:g} s hop "
            f"(a miss rate below {3 / n:.2g} with 95 % confidence); the slowest took {slowest:.3g} ms."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values: the content of `latency.json`."""
        return {
            "n_windows": self.n_windows,
            "warm_up": self.warm_up,
            "hop_s": self.hop_s,
            "stages": [
                {"name": name, **summarise(self.stage_ns[:, i])} for i, name in enumerate(self.stages)
            ],
            "end_to_end": summarise(self.end_to_end_ns),
            "end_to_end_curve": quantile_curve(self.end_to_end_ns),
            "cold_start": {
                "end_to_end_us": self.cold_end_to_end_ns / 1e3,
                "stages": [
                    {"name": name, "us": int(ns) / 1e3}
                    for name, ns in zip(self.stages, self.cold_stage_ns, strict=True)
                ],
            },
            "real_time_factor": self.real_time_factor,
            "deadline_misses": self.deadline_misses,
            "feasible": self.feasible,
            "verdict": self.verdict(),
            "host": self.host,
        }

    def table(self) -> Table:
        """Return a table in microseconds: the stages, then end to end; "n/a" where n is too small."""
        from rich.table import Table

        table = Table(title=f"Latency in µs, batch 1, {self.n_windows} windows, one after another")
        table.add_column("stage")
        for name in (*_COLUMNS, "first call"):
            table.add_column(name.replace("_", "."), justify="right")
        for i, name in enumerate(self.stages):
            table.add_row(name, *_cells(summarise(self.stage_ns[:, i]), int(self.cold_stage_ns[i])))
        table.add_section()
        whole = _cells(summarise(self.end_to_end_ns), self.cold_end_to_end_ns)
        table.add_row("end to end", *whole, style="bold")
        return table


def measure_stages(
    stages: Mapping[str, Stage],
    n_windows: int,
    *,
    hop_s: float,
    warm_up: int = 50,
    clock: Callable[[], int] = time.perf_counter_ns,
    on_progress: OnProgress | None = None,
) -> LatencyReport:
    """Run windows through a pipeline, one at a time, and time every stage of every window.

    A closed loop: a window enters when the one before it has left. That is what a single stream does as long
    as a window takes less than the hop; queueing after a miss is not modelled. The garbage collector is left
    on, because its pauses belong to the tail.

    Parameters
    ----------
    stages : mapping of str to callable
        In the order of execution. The first is called with the number of the pass (0, 1, ...) and takes its
        window from there (``lambda i: windows[i % len(windows)]``); each of the others is called with what
        the one before it returned.
    n_windows : int
        Windows to measure. Percentiles need p90 64, p95 130, p99 662, p99.9 6636.
    hop_s : float
        Seconds between decisions.
    warm_up : int
        Passes between the first (reported as cold start) and the measured ones.
    clock : callable
        Monotonic time in integer nanoseconds.
    on_progress : callable, optional
        Called every 100 passes, and after the last, with (done, total, what), outside what is timed.

    Returns
    -------
    LatencyReport
        Durations of every stage and of the whole.

    Raises
    ------
    DataError
        If there is no stage or a number is out of its range.
    """
    _check_arguments(stages, n_windows, hop_s, warm_up)
    calls = list(stages.values())
    marks = np.empty((1 + warm_up + n_windows, len(calls) + 1), dtype=np.int64)
    for i in range(len(marks)):
        value: Any = i
        row = [clock()]
        for call in calls:
            value = call(value)
            row.append(clock())
        marks[i] = row
        if on_progress is not None and ((i + 1) % 100 == 0 or i + 1 == len(marks)):
            on_progress(i + 1, len(marks), "latency")
    durations, whole = np.diff(marks, axis=1), marks[:, -1] - marks[:, 0]
    measured = slice(1 + warm_up, None)
    return LatencyReport(
        tuple(stages),
        durations[measured],
        whole[measured],
        durations[0],
        int(whole[0]),
        float(hop_s),
        warm_up,
        host_facts(),
    )


def _check_arguments(stages: Mapping[str, Stage], n_windows: int, hop_s: float, warm_up: int) -> None:
    if not stages:
        raise DataError("stages: needs at least one stage")
    for name, value, least in (("n_windows", n_windows, 1), ("warm_up", warm_up, 0)):
        if value < least:
            raise DataError(f"{name}: needs at least {least}, is {value}")
    if not math.isfinite(hop_s) or hop_s <= 0:
        raise DataError(f"hop_s: needs a finite positive number, is {hop_s}")


def _cells(summary: Mapping[str, float | int | None], cold_ns: int) -> list[str]:
    values = [*(summary[f"{name}_us"] for name in _COLUMNS), cold_ns / 1e3]
    return ["n/a" if value is None else f"{value:,.1f}" for value in values]
