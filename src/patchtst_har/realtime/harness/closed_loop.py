"""One stream, one decision after the other: how long a decision takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchtst_har.process_memory import MemoryMark, mark
from patchtst_har.realtime.decision import STAGES, Decision
from patchtst_har.realtime.harness.calibration import Calibration
from patchtst_har.realtime.harness.feed import Feed
from patchtst_har.realtime.harness.geometry import StreamGeometry
from patchtst_har.realtime.percentiles import describe, miss_rate_upper, quantile_curve, summarise

Push = Callable[[Any, Any], list[Decision]]
Durations = NDArray[np.int64]

WARM_UP = 50
OVERHEAD = "overhead"
_N_OUTLIERS = 20
_N_SLICES = 200
_N_CALIBRATIONS = 10


@dataclass(frozen=True, eq=False)
class ClosedLoop:
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
    hop_s: float

    def to_dict(self) -> dict[str, Any]:
        """Return the measurement as JSON values, durations in µs."""
        n, whole = len(self.end_to_end_ns), self.end_to_end_ns
        misses = int((whole > self.hop_s * 1e9).sum())
        return {
            "end_to_end": describe(whole),
            "curve": quantile_curve(whole),
            "stages": [{"name": name, **describe(self.stage_ns[:, i])} for i, name in enumerate(STAGES)],
            OVERHEAD: describe(self._overhead_ns()),
            "outliers": self._outliers(),
            "timeline": timeline(self.began_ns, whole),
            "deadline_misses": misses,
            "miss_rate_upper95": miss_rate_upper(misses, n),
            "real_time_factor": float((whole + self.feed_ns).mean() / 1e9 / self.hop_s),
            "blocks": self._blocks(),
        }

    def _overhead_ns(self) -> Durations:
        rest: Durations = self.end_to_end_ns - self.stage_ns.sum(axis=1)
        return rest

    def _outliers(self) -> list[dict[str, Any]]:
        slowest = np.argsort(-self.end_to_end_ns, kind="stable")[:_N_OUTLIERS].tolist()
        parts = np.column_stack([self.stage_ns, self._overhead_ns()])
        names = (*STAGES, OVERHEAD)
        return [
            {
                "decision": i,
                "at_s": int(self.began_ns[i]) / 1e9,
                "us": int(self.end_to_end_ns[i]) / 1e3,
                "stage": names[int(parts[i].argmax())],
            }
            for i in slowest
        ]

    def _blocks(self) -> list[dict[str, Any]]:
        parts = np.split(self.end_to_end_ns, np.cumsum(self.block_sizes)[:-1])
        rows = []
        for number, part in enumerate(parts):
            summary = summarise(part)
            rows.append(
                {
                    "p50_us": summary["p50_us"],
                    "p95_us": summary["p95_us"],
                    "calibration_us": float(np.median(self.calibration_ns[number]) / 1e3),
                }
            )
        return rows


def timeline(at_ns: Durations, took_ns: Durations) -> dict[str, list[float]]:
    """Return the longest of each of at most 200 slices of equally many, and when it was."""
    slices = np.array_split(np.arange(len(took_ns)), min(_N_SLICES, len(took_ns)))
    peaks = [int(rows[took_ns[rows].argmax()]) for rows in slices]
    return {"at_s": (at_ns[peaks] / 1e9).tolist(), "us": (took_ns[peaks] / 1e3).tolist()}


class _Loop:
    """Pushes hop after hop and keeps what each took; nothing is allocated for it on the way."""

    def __init__(
        self, push: Push, feed: Feed, geometry: StreamGeometry, n: int, now_ns: Callable[[], int]
    ) -> None:
        self._push, self._feed, self._geometry, self._now_ns = push, feed, geometry, now_ns
        # Written once, so that pages that appear later are not taken for a leak.
        self.rows = np.full((n, 3), -1, np.int64)
        self.stage_ns = np.full((n, len(STAGES)), -1, np.int64)
        self.n = 0
        self._next = geometry.window_size - geometry.hop_size
        if self._next:
            push(*feed.block(0, self._next))
        self._began_ns = now_ns()

    def decide(self) -> None:
        """Push the samples of a hop, the last one timed."""
        n_before = self._geometry.hop_size - 1
        block = self._feed.block(self._next, n_before)
        last = self._feed.one(self._next + n_before)
        now_ns, push = self._now_ns, self._push
        started = now_ns()
        early = push(*block) if n_before else []
        began = now_ns()
        decisions = push(*last)
        done = now_ns()
        self._next += n_before + 1
        self._keep(early, decisions)
        self.rows[self.n] = began - self._began_ns, done - began, began - started if n_before else 0
        self.n += 1

    def _keep(self, early: list[Decision], decisions: list[Decision]) -> None:
        lag = self._geometry.lag
        if early or len(decisions) != (self.n >= lag):
            raise RuntimeError(
                f"hop {self.n}: expected one decision at its last sample, got {len(early)} before it "
                f"and {len(decisions)} at it"
            )
        # A decision that waited tells the stages of its own window: they were spent `lag` pushes ago.
        for decision in decisions:
            self.stage_ns[self.n - lag, :-1] = decision.stage_ns[:-1]
            self.stage_ns[self.n, -1] = decision.stage_ns[-1]


def run_closed_loop(
    push: Push,
    feed: Feed,
    geometry: StreamGeometry,
    *,
    n_decisions: int,
    n_blocks: int,
    now_ns: Callable[[], int],
    on_block: Callable[[int, int], None] | None = None,
) -> ClosedLoop:
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
    ClosedLoop
        Without what was not counted.
    """
    sizes = [len(part) for part in np.array_split(np.arange(n_decisions), n_blocks)]
    n_early = WARM_UP + geometry.lag
    n_parts = min(_N_CALIBRATIONS, *sizes)
    n_hops = n_early + n_blocks * n_parts + n_decisions + geometry.lag
    loop = _Loop(push, feed, geometry, n_hops, now_ns)
    calibration = Calibration()
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
    return ClosedLoop(began, took, stages, fed, sizes, times, memory, geometry.hop_s)
