"""One stream, one decision after the other: how long a decision takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from patchtst_har.benchmark.loops.hop_loop import Durations, HopLoop, Push
from patchtst_har.benchmark.loops.machine_speed import MachineSpeed
from patchtst_har.benchmark.loops.schedule import Feed, StreamGeometry
from patchtst_har.realtime.decision import STAGES
from patchtst_har.records import measurement as records
from patchtst_har.records.measurement import END_TO_END, OVERHEAD
from patchtst_har.support.percentiles import miss_rate_upper, summarise
from patchtst_har.support.process_memory import MemoryMark, mark

WARM_UP = 50
_N_OUTLIERS = 20
_N_SLICES = 200
_N_CALIBRATIONS = 10


@dataclass(frozen=True, eq=False)
class ClosedLoopTimes:
    """Measured decisions, in order.

    Attributes
    ----------
    began_ns : ndarray of int64, shape (n,)
        When the last sample of each was pushed, since the loop began.
    end_to_end_ns : ndarray of int64, shape (n,)
        Duration of that push, which returned the decision.
    stage_ns : ndarray of int64, shape (n, 4)
        Of it, spent in each of `STAGES`.
    feed_ns : ndarray of int64, shape (n,)
        Duration of the push of the other samples of the hop.
    block_sizes : list of int
        Decisions of each block.
    calibration_ns : ndarray of int64, shape (n_blocks, repeats)
        The fixed computation, spread over each block.
    memory : list of MemoryMark
        Before the first block and after each.
    first_ns : dict of str to int
        Of the very first decision: each stage, `OVERHEAD` and `END_TO_END`.
    hop_s : float
        The deadline.
    """

    began_ns: Durations
    end_to_end_ns: Durations
    stage_ns: Durations
    feed_ns: Durations
    block_sizes: list[int]
    calibration_ns: Durations
    memory: list[MemoryMark]
    first_ns: dict[str, int]
    hop_s: float

    def record(self) -> records.ClosedLoop:
        """Return the measurement, durations in µs."""
        whole = self.end_to_end_ns
        misses = int((whole > self.hop_s * 1e9).sum())
        parts = zip(STAGES, self.stage_ns.T, strict=True)
        return records.ClosedLoop(
            end_to_end=records.Percentiles.of(whole),
            curve=records.Curve.of(whole),
            stages=tuple(records.StageTimes.of(took, name=name) for name, took in parts),
            overhead=records.Percentiles.of(whole - self.stage_ns.sum(axis=1)),
            first_us={name: ns / 1e3 for name, ns in self.first_ns.items()},
            outliers=self._outliers(),
            timeline=timeline(self.began_ns, whole),
            deadline_misses=misses,
            miss_rate_upper95=miss_rate_upper(misses, len(whole)),
            real_time_factor=float((whole + self.feed_ns).mean() / 1e9 / self.hop_s),
            blocks=self._blocks(),
        )

    def _outliers(self) -> tuple[records.Outlier, ...]:
        slowest = np.argsort(-self.end_to_end_ns, kind="stable")[:_N_OUTLIERS].tolist()
        parts = np.column_stack([self.stage_ns, self.end_to_end_ns - self.stage_ns.sum(axis=1)])
        stages = np.array([*STAGES, OVERHEAD])[parts.argmax(axis=1)].tolist()
        at_s, us = (self.began_ns / 1e9).tolist(), (self.end_to_end_ns / 1e3).tolist()
        return tuple(records.Outlier(decision=i, at_s=at_s[i], us=us[i], stage=stages[i]) for i in slowest)

    def _blocks(self) -> tuple[records.Block, ...]:
        parts = np.split(self.end_to_end_ns, np.cumsum(self.block_sizes)[:-1])
        return tuple(
            records.Block(**summarise(part), calibration_us=float(np.median(ns) / 1e3))
            for part, ns in zip(parts, self.calibration_ns, strict=True)
        )


def timeline(at_ns: Durations, took_ns: Durations) -> records.Timeline:
    """Return the longest of each of at most 200 slices of equally many, and when it was."""
    slices = np.array_split(np.arange(len(took_ns)), min(_N_SLICES, len(took_ns)))
    peaks = [int(rows[took_ns[rows].argmax()]) for rows in slices]
    return records.Timeline(at_s=tuple(at_ns[peaks] / 1e9), us=tuple(took_ns[peaks] / 1e3))


def run_closed_loop(
    push: Push,
    feed: Feed,
    geometry: StreamGeometry,
    *,
    n_decisions: int,
    n_blocks: int,
    now_ns: Callable[[], int],
    on_block: Callable[[int, int], None] | None = None,
) -> ClosedLoopTimes:
    """Push samples as fast as decisions are made, and time every decision.

    A decision's last sample is pushed when the decision before it is known: a slow decision delays no other.

    Parameters
    ----------
    push : callable
        `Stream.push` of a new stream.
    feed : Feed
        The samples.
    geometry : StreamGeometry
        Of the stream.
    n_decisions, n_blocks : int
        Decisions to measure, and parts. The first `WARM_UP` hops, those until the smoother's lag is filled,
        and the first after each calibration, which leaves caches cold, are not counted.
    now_ns : callable
        Monotonic time in ns.
    on_block : callable, optional
        Called with (decisions done, of how many) after each block.

    Returns
    -------
    ClosedLoopTimes
        Without what was not counted.
    """
    sizes = [len(part) for part in np.array_split(np.arange(n_decisions), n_blocks)]
    n_early = WARM_UP + geometry.lag
    n_parts = min(_N_CALIBRATIONS, *sizes)
    n_hops = n_early + n_blocks * n_parts + n_decisions + geometry.lag
    loop = HopLoop(push, feed, geometry, n_hops, now_ns)
    calibration = MachineSpeed()
    for _ in range(n_early):
        loop.decide()
    times, memory = np.empty((n_blocks, n_parts), np.int64), [mark()]
    counted = np.zeros(n_hops, bool)
    for number, size in enumerate(sizes):
        for i, part in enumerate(np.array_split(np.arange(size), n_parts)):
            times[number, i] = calibration.time_ns(now_ns)
            loop.decide()
            counted[loop.n : loop.n + len(part)] = True
            for _ in part:
                loop.decide()
        memory.append(mark())
        if on_block is not None:
            on_block(sum(sizes[: number + 1]), n_decisions)
    for _ in range(geometry.lag):
        loop.decide()
    began, took, fed = loop.rows[counted].T
    stages = loop.stage_ns[counted]
    return ClosedLoopTimes(began, took, stages, fed, sizes, times, memory, _first(loop), geometry.hop_s)


def _first(loop: HopLoop) -> dict[str, int]:
    whole, stages = int(loop.rows[0, 1]), loop.stage_ns[0].tolist()
    return {**dict(zip(STAGES, stages, strict=True)), OVERHEAD: whole - sum(stages), END_TO_END: whole}
