"""The search for the most streams, on a clock where the answer is known."""

import numpy as np
import pytest

from fake_streams import GEOMETRY, MS, FakeClock, FakePool
from patchtst_har.benchmark.loops.capacity import as_probe, measure_capacity, search
from patchtst_har.benchmark.loops.open_loop import Fleet
from patchtst_har.benchmark.loops.schedule import ChunkFeed, Feed
from patchtst_har.records.measurement import Probe
from streams import make_samples

SAMPLES, _ = make_samples(20)


def fleet(cost_ns):
    clock = FakeClock()
    chunks = ChunkFeed(Feed(SAMPLES, 100.0), 10, 200)
    return Fleet(FakePool(clock, lambda number: cost_ns), chunks, GEOMETRY, clock, 0)


@pytest.mark.parametrize("start", [1, 40, 300])
@pytest.mark.slow
def test_it_finds_how_many_decisions_fit_in_a_hop(start):
    streams = fleet(23 * MS)
    probes = search(lambda n: as_probe(streams.run(n, 662 // n + 5)), start, resolution=0)
    assert max(probe.n_streams for probe in probes if probe.passed) == 1000 // 23
    assert min(probe.n_streams for probe in probes if not probe.passed) == 1000 // 23 + 1


def test_the_measured_capacity_is_within_two_percent_and_told_with_its_p99():
    found = measure_capacity(fleet(7 * MS), 1.0, 3.0, expected=90.0)
    assert 1000 / 7 * 0.98 - 1 <= found.max_streams <= 1000 / 7
    assert found.probes[0].n_streams == 45
    best = next(probe for probe in found.probes if probe.n_streams == found.max_streams)
    assert found.p99_us_there == best.p99_us <= 1e6
    assert best.utilisation == pytest.approx(0.007 * best.n_streams, rel=0.02)


def test_streams_that_fall_behind_slowly_are_too_many():
    """Over three hops, no decision is late by a hop: the p99 alone would let them pass."""
    probe = as_probe(fleet(4 * MS).run(300, 3))
    assert probe.p99_us < 1e6
    assert probe.deadline_misses == 0
    assert probe.utilisation == pytest.approx(1.2, rel=0.02)
    assert not probe.passed


def test_a_probe_is_long_enough_for_its_p99_and_is_given_up_when_it_is_lost():
    lengths = []
    streams = fleet(50 * MS)
    run = streams.run

    def watched(n_streams, n_hops, most_late):
        made = run(n_streams, n_hops, most_late)
        lengths.append((n_streams, n_hops, len(made.due_ns)))
        return made

    streams.run = watched
    found = measure_capacity(streams, 1.0, 3.0, expected=400.0)
    assert found.max_streams == 20 - 1
    for n_streams, n_hops, n_decisions in lengths:
        assert n_streams * n_hops >= 662
        assert n_hops >= 3
        lost = n_streams > 20
        assert (n_decisions < n_streams * n_hops) == lost


def test_when_none_can_be_carried_nothing_is_claimed():
    found = measure_capacity(fleet(900 * MS), 1.0, 3.0, expected=1.0)
    assert found.max_streams == 0
    assert found.p99_us_there is None
    assert found.criterion.endswith("12 were too many, and fewer need probes of more than 60 s")


def probe_of(n, *, passed):
    return Probe(n_streams=n, p99_us=1.0, deadline_misses=0, utilisation=0.5, passed=passed)


def test_the_search_stops_at_the_most_it_may_try():
    tried = []

    def probe(n):
        tried.append(n)
        return probe_of(n, passed=True)

    search(probe, 30, most=100)
    assert tried == [30, 60, 100]


@pytest.mark.parametrize("limit", [1, 2, 37, 64, 99])
def test_the_search_is_exact_for_any_limit(limit):
    def probe(n):
        return probe_of(n, passed=n <= limit)

    for start in (1, 16, 100):
        passed = [one.n_streams for one in search(probe, start, most=100, resolution=0) if one.passed]
        assert max(passed) == limit


def test_p99_is_told_only_of_enough_decisions():
    assert as_probe(fleet(0).run(661, 1)).p99_us is None
    probe = as_probe(fleet(MS).run(662, 1))
    assert probe.p99_us is not None
    assert probe.passed is True
    assert np.isfinite(probe.p99_us)
