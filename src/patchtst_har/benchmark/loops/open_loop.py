"""Many streams on their schedule, in one thread: how late decisions are."""

from __future__ import annotations

from array import array
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from patchtst_har.benchmark.loops.closed_loop import timeline
from patchtst_har.benchmark.loops.hop_loop import Durations
from patchtst_har.benchmark.loops.schedule import ChunkFeed, Clock, StreamGeometry
from patchtst_har.realtime.decision import Decision
from patchtst_har.records.measurement import Curve, OpenLoop, Percentiles
from patchtst_har.support.percentiles import miss_rate_upper

_LEAD_NS = 10_000_000


class Pool(Protocol):
    """What a fleet pushes to: `StreamPool`."""

    def push(self, key: Hashable, samples: Any, t: Any) -> list[Decision]:
        """Take samples of one stream and return the decisions that they complete."""


@dataclass(frozen=True, eq=False)
class OpenLoopTimes:
    """Measured decisions, in the order of the schedule.

    Attributes
    ----------
    n_streams : int
        Streams pushed to.
    due_ns : ndarray of int64, shape (n,)
        When the samples that each decision needed were to arrive, since the loop began.
    from_schedule_ns : ndarray of int64, shape (n,)
        From then to the decision.
    lateness_ns : ndarray of int64, shape (m,)
        How late the driver woke up for each chunk, 0 where it had not waited because work was left: part
        of what is measured from the schedule, but no work of the package.
    scheduled_ns : int
        Time that the pushed chunks span by the schedule.
    busy_ns : int
        Time not spent waiting.
    complete : bool
        Whether it went to its end, and was not given up.
    hop_s : float
        The deadline.
    chunk_s : float
        Seconds of samples that come at a time.
    """

    n_streams: int
    due_ns: Durations
    from_schedule_ns: Durations
    lateness_ns: Durations
    scheduled_ns: int
    busy_ns: int
    complete: bool
    hop_s: float
    chunk_s: float

    @property
    def deadline_misses(self) -> int:
        """Decisions later than one hop after their schedule."""
        return int((self.from_schedule_ns > self.hop_s * 1e9).sum())

    @property
    def utilisation(self) -> float:
        """Work divided by the time that there is for it; above 1, streams fall behind for ever."""
        return self.busy_ns / self.scheduled_ns

    def record(self, workload: str) -> OpenLoop:
        """Return the measurement on a workload, durations in µs."""
        return OpenLoop(
            workload=workload,
            n_streams=self.n_streams,
            duration_s=self.scheduled_ns / 1e9,
            chunk_s=self.chunk_s,
            from_schedule=Percentiles.of(self.from_schedule_ns),
            curve=Curve.of(self.from_schedule_ns),
            lateness_of_the_driver=Percentiles.of(self.lateness_ns),
            deadline_misses=self.deadline_misses,
            miss_rate_upper95=miss_rate_upper(self.deadline_misses, len(self.from_schedule_ns)),
            utilisation=self.utilisation,
            timeline=timeline(self.due_ns, self.from_schedule_ns),
        )


class Fleet:
    """Streams that send chunks of samples, each at a phase of its own.

    Phases are drawn at random, as devices that know nothing of each other have them: several decisions fall
    due at once now and then. Streams go on from one run to the next.

    Parameters
    ----------
    pool : Pool
        Has the streams 0, 1, ...
    chunks : ChunkFeed
        The samples; each stream begins somewhere else in them.
    geometry : StreamGeometry
        Of every stream.
    clock : Clock
        Time.
    seed : int
        Of the phases.
    """

    def __init__(
        self, pool: Pool, chunks: ChunkFeed, geometry: StreamGeometry, clock: Clock, seed: int
    ) -> None:
        self._pool, self._chunks, self._geometry, self._clock = pool, chunks, geometry, clock
        self._rng = np.random.default_rng(seed)
        self._chunk_ns = round(chunks.size * 1e9 / geometry.rate_hz)
        self._chunks_a_hop = geometry.hop_size // chunks.size
        # Of each stream: chunks pushed, chunks by which its samples are shifted, phase within a chunk.
        self._n_pushed: list[int] = []
        self._shifts: list[int] = []
        self._phases_ns: list[int] = []

    def run(self, n_streams: int, n_hops: int, most_late: int | None = None) -> OpenLoopTimes:
        """Push to the first `n_streams` streams for so many hops, on the schedule.

        Every chunk has a time at which it is to arrive, whatever became of those before it. When the driver
        is behind, it pushes at once, and latency counts from the time by the schedule all the same: a stall
        delays every decision that falls due meanwhile, as in a live stream (a closed loop omits this).

        Parameters
        ----------
        n_streams, n_hops : int
            At least 1.
        most_late : int, optional
            Give up when more decisions than this were later than a hop.

        Returns
        -------
        OpenLoopTimes
            ``n_streams * n_hops`` decisions, unless given up.
        """
        self._grow(n_streams)
        clock, chunk_ns = self._clock, self._chunk_ns
        order = sorted(range(n_streams), key=self._phases_ns.__getitem__)
        schedule = (
            (step * chunk_ns + self._phases_ns[key], key)
            for step in range(n_hops * self._chunks_a_hop)
            for key in order
        )
        tally = _Tally(round(self._geometry.hop_s * 1e9), most_late)
        began_ns = clock.now_ns() + _LEAD_NS
        waited_ns, due_ns, done_ns = 0, 0, began_ns
        for due_ns, key in schedule:
            samples, stamps = self._next_chunk(key)
            now_ns = max(clock.now_ns(), began_ns)
            wait_ns = began_ns + due_ns - now_ns
            if wait_ns > 0:
                clock.wait_until(began_ns + due_ns)
                waited_ns += wait_ns
            tally.lateness_ns.append(clock.now_ns() - began_ns - due_ns if wait_ns > 0 else 0)
            decisions = self._pool.push(key, samples, stamps)
            done_ns = clock.now_ns()
            if decisions and tally.add(due_ns, done_ns - began_ns - due_ns, len(decisions)):
                break
        due, late, lateness = (np.array(ns) for ns in (tally.due_ns, tally.late_ns, tally.lateness_ns))
        return OpenLoopTimes(
            n_streams,
            due,
            late,
            lateness,
            # Whole chunks: the last of them has its time too.
            scheduled_ns=-(-(due_ns + 1) // chunk_ns) * chunk_ns,
            busy_ns=done_ns - began_ns - waited_ns,
            complete=not tally.given_up,
            hop_s=self._geometry.hop_s,
            chunk_s=chunk_ns / 1e9,
        )

    def _next_chunk(self, key: int) -> Any:
        self._n_pushed[key] += 1
        return self._chunks.chunk(self._n_pushed[key] - 1, self._shifts[key])

    def _grow(self, n_streams: int) -> None:
        """Add streams that have decided already, so that every hop brings a decision."""
        geometry, size = self._geometry, self._chunks.size
        for key in range(len(self._n_pushed), n_streams):
            shift = int(self._rng.integers(self._chunks.n_chunks))
            n_first = geometry.window_size + geometry.lag * geometry.hop_size
            n_chunks = -(-n_first // size) + int(self._rng.integers(self._chunks_a_hop))
            self._pool.push(key, *self._chunks.chunks(n_chunks, shift))
            self._n_pushed.append(n_chunks)
            self._shifts.append(shift)
            self._phases_ns.append(int(self._rng.integers(self._chunk_ns)))


class _Tally:
    """What a run has measured so far."""

    def __init__(self, hop_ns: int, most_late: int | None) -> None:
        self.due_ns, self.late_ns, self.lateness_ns = array("q"), array("q"), array("q")
        self.given_up, self._n_late = False, 0
        self._hop_ns, self._most_late = hop_ns, most_late

    def add(self, due_ns: int, late_ns: int, n_decisions: int) -> bool:
        """Note decisions; return whether to give up."""
        self.due_ns.extend([due_ns] * n_decisions)
        self.late_ns.extend([late_ns] * n_decisions)
        if late_ns > self._hop_ns:
            self._n_late += n_decisions
            self.given_up = self._most_late is not None and self._n_late > self._most_late
        return self.given_up
