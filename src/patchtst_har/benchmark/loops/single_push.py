"""What a sample costs that completes no window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from patchtst_har.benchmark.loops.feed import Feed
from patchtst_har.benchmark.loops.hop_loop import Durations, Push

N_PUSHES = 7000
_WARM_UP = 500


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
