"""A clock that moves on request, and streams that take a chosen time."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from patchtst_har.benchmark.loops.schedule import StreamGeometry
from patchtst_har.realtime.decision import Decision

MS = 1_000_000
GEOMETRY = StreamGeometry(rate_hz=100.0, window_size=200, hop_size=100, lag=0)


class FakeClock:
    """Starts at 1 s; waiting takes it to the time waited for, or `oversleep_ns` past it."""

    def __init__(self, oversleep_ns=0):
        self.ns = 1000 * MS
        self.oversleep_ns = oversleep_ns

    def now_ns(self):
        return self.ns

    def wait_until(self, due_ns):
        assert due_ns > self.ns
        self.ns = due_ns + self.oversleep_ns


class FakePool:
    """Streams that decide as real ones do, each decision at `cost_ns(number of the decision)`."""

    def __init__(self, clock, cost_ns, geometry=GEOMETRY, feed_ns=0):
        self.clock, self.cost_ns, self.geometry, self.feed_ns = clock, cost_ns, geometry, feed_ns
        self.n_samples = defaultdict(int)
        self.n_windows = defaultdict(int)
        self.n_decided = 0
        self.stages = defaultdict(list)
        self.last_stamp = {}

    def push(self, key, samples, t):
        n = 1 if isinstance(samples, tuple) else len(samples)
        stamps = np.atleast_1d(t)
        assert len(stamps) == n
        assert stamps[0] > self.last_stamp.get(key, 0)
        self.last_stamp[key] = stamps[-1]
        self.clock.ns += self.feed_ns
        before, self.n_samples[key] = self.n_samples[key], self.n_samples[key] + n
        decisions = []
        for _ in range(self._windows(self.n_samples[key]) - self._windows(before)):
            decisions += self._decide(key)
        return decisions

    def _windows(self, n_samples):
        geometry = self.geometry
        return max(0, (n_samples - geometry.window_size) // geometry.hop_size + 1)

    def _decide(self, key):
        cost = self.cost_ns(self.n_decided)
        self.n_decided += 1
        self.clock.ns += cost
        # The last stage is smoothing, done at the push that returns the decision.
        self.stages[key].append((cost // 2, cost // 4, 0))
        lag = self.geometry.lag
        if len(self.stages[key]) <= lag:
            return []
        return [decision((*self.stages[key][-1 - lag], cost // 8))]


def decision(stage_ns=(0, 0, 0, 0)):
    return Decision(0, 0, "a", 1.0, np.ones(1), "a", 0.0, tuple(stage_ns))
