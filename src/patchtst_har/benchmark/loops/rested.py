"""What a decision takes after a rest, as in a live stream: a closed loop has warm caches."""

from __future__ import annotations

from collections.abc import Callable

from patchtst_har.benchmark.loops.feed import Feed
from patchtst_har.benchmark.loops.geometry import StreamGeometry
from patchtst_har.benchmark.loops.hop_loop import Durations, HopLoop, Push


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
