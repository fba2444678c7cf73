"""One stream: the push of every hop's last sample timed, at once or after a rest, and single samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchtst_har.benchmark.loops.schedule import Feed, StreamGeometry
from patchtst_har.realtime.decision import STAGES, Decision

Push = Callable[[Any, Any], list[Decision]]
Durations = NDArray[np.int64]

N_PUSHES = 7000
_WARM_UP = 500


class HopLoop:
    """Pushes hop after hop and keeps what each took; nothing is allocated for it on the way.

    Parameters
    ----------
    push : callable
        `Stream.push` of a new stream.
    feed : Feed
        The samples.
    geometry : StreamGeometry
        Of the stream.
    n : int
        Most hops.
    now_ns : callable
        Monotonic time in ns.

    Attributes
    ----------
    rows : ndarray of int64, shape (n, 3)
        Of each hop: when its last sample was pushed, how long that took, and how long the push before it.
    stage_ns : ndarray of int64, shape (n, 4)
        Of that, spent in each of `STAGES`.
    n : int
        Hops done.
    """

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

    def decide(self, rest: Callable[[], None] | None = None) -> None:
        """Push the samples of a hop, the last one timed, `rest` called before it."""
        n_before = self._geometry.hop_size - 1
        block = self._feed.block(self._next, n_before)
        last = self._feed.one(self._next + n_before)
        now_ns, push = self._now_ns, self._push
        started = now_ns()
        early = push(*block) if n_before else []
        pushed = now_ns()
        if rest is not None:
            rest()
        began = now_ns()
        decisions = push(*last)
        done = now_ns()
        self._next += n_before + 1
        self._keep(early, decisions)
        self.rows[self.n] = began - self._began_ns, done - began, pushed - started if n_before else 0
        self.n += 1

    def _keep(self, early: list[Decision], decisions: list[Decision]) -> None:
        lag = self._geometry.lag
        if early or len(decisions) != (self.n >= lag):
            raise RuntimeError(
                f"hop {self.n}: expected one decision at its last sample, got {len(early)} before it "
                f"and {len(decisions)} at it"
            )
        # A decision that waited has the stages of its own window, which were spent `lag` pushes ago.
        for decision in decisions:
            self.stage_ns[self.n - lag, :-1] = decision.stage_ns[:-1]
            self.stage_ns[self.n, -1] = decision.stage_ns[-1]


def run_rested(
    push: Push,
    feed: Feed,
    geometry: StreamGeometry,
    n_decisions: int,
    rest: Callable[[], None],
    now_ns: Callable[[], int],
) -> Durations:
    """Push hops whose last sample comes after a rest, and time its push.

    Parameters
    ----------
    push, feed, geometry, now_ns
        As `run_closed_loop`.
    n_decisions : int
        Decisions to measure, after the first one and those until the smoother's lag is filled.
    rest : callable
        Returns after a while in which the thread slept.

    Returns
    -------
    ndarray of int64, shape (n_decisions,)
        Durations in ns.
    """
    n_early = 1 + geometry.lag
    loop = HopLoop(push, feed, geometry, n_early + n_decisions, now_ns)
    for _ in range(n_early + n_decisions):
        loop.decide(rest)
    took: Durations = loop.rows[n_early:, 1]
    return took


def run_single_pushes(push: Push, feed: Feed, n: int, now_ns: Callable[[], int]) -> Durations:
    """Push samples one by one, each timed through Python, and leave out those that complete a window.

    Parameters
    ----------
    push : callable
        `Stream.push` of a new stream.
    feed : Feed
        The samples.
    n : int
        Pushes to measure, after 500 that are not counted.
    now_ns : callable
        Monotonic time in ns; reading it is part of what is measured (some 50 ns).

    Returns
    -------
    ndarray of int64, shape (n,)
        Durations in ns.
    """
    times = np.empty(n + _WARM_UP, np.int64)
    n_timed = number = 0
    while n_timed < len(times):
        sample, stamp = feed.one(number)
        number += 1
        began = now_ns()
        decisions = push(sample, stamp)
        took = now_ns() - began
        if not decisions:
            times[n_timed] = took
            n_timed += 1
    return times[_WARM_UP:]
