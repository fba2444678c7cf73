"""Latency from the schedule: what a stall delays is late as well."""

import numpy as np
import pytest

from fake_streams import GEOMETRY, MS, FakeClock, FakePool
from patchtst_har.benchmark.loops.closed_loop import WARM_UP, run_closed_loop
from patchtst_har.benchmark.loops.open_loop import Fleet
from patchtst_har.benchmark.loops.schedule import ChunkFeed, Feed, StreamGeometry
from patchtst_har.realtime import StreamPool
from streams import make_samples, small_recognizer

SAMPLES, _ = make_samples(20)
FEED = Feed(SAMPLES, 100.0)


def fleet(pool, clock, seed=0):
    return Fleet(pool, ChunkFeed(FEED, 10, 200), GEOMETRY, clock, seed)


def test_a_stall_delays_what_falls_due_meanwhile():
    clock = FakeClock()
    n_streams, stalled = 20, 20 + 30
    # The first 20 decisions are those of filling the streams.
    pool = FakePool(clock, lambda number: 700 * MS if number == stalled else 2 * MS)
    run = fleet(pool, clock).run(n_streams, 5)
    costs = np.where(np.arange(100) == 30, 700 * MS, 2 * MS)
    done, expected = 0, []
    for due, cost in zip(run.due_ns.tolist(), costs.tolist(), strict=True):
        done = max(due, done) + cost
        expected.append(done - due)
    np.testing.assert_array_equal(run.from_schedule_ns, expected)
    # Some 14 decisions fall due in 700 ms; the last of them waited least.
    late = np.flatnonzero(run.from_schedule_ns > 20 * MS)
    assert late[0] == 30
    assert 10 < len(late) < 18
    assert (np.diff(late) == 1).all()


def test_a_closed_loop_omits_the_same_stall():
    clock = FakeClock()
    # Ten calibrations in the block, each with a hop before it counts again: counted 30 is hop 34.
    pool = FakePool(clock, lambda number: 700 * MS if number == WARM_UP + 34 else 2 * MS)
    loop = run_closed_loop(
        lambda samples, t: pool.push(0, samples, t),
        FEED,
        GEOMETRY,
        n_decisions=100,
        n_blocks=1,
        now_ns=clock.now_ns,
    )
    np.testing.assert_array_equal(np.flatnonzero(loop.end_to_end_ns > 2 * MS), [30])


def test_every_stream_decides_once_a_hop_at_a_phase_of_its_own():
    clock = FakeClock()
    run = fleet(FakePool(clock, lambda number: 0), clock).run(50, 4)
    assert len(run.due_ns) == 50 * 4
    phases = np.sort(run.due_ns % (1000 * MS))
    np.testing.assert_array_equal(phases[::4], phases[3::4])
    assert len(np.unique(phases)) == 50
    assert (np.diff(run.due_ns) >= 0).all()
    # Spread over the hop, and not evenly.
    counts, _ = np.histogram(phases[::4], bins=5, range=(0, 1000 * MS))
    assert counts.min() >= 2
    assert np.diff(phases[::4]).std() > 5 * MS
    assert run.scheduled_ns == 4000 * MS


def test_the_drivers_own_lateness_is_told_and_part_of_the_latency():
    clock = FakeClock(oversleep_ns=3 * MS)
    run = fleet(FakePool(clock, lambda number: MS), clock).run(1, 5)
    record = run.record("walking")
    assert record.lateness_of_the_driver.p50_us == 3000
    assert record.lateness_of_the_driver.n == 50
    np.testing.assert_array_equal(run.from_schedule_ns, [4 * MS] * 5)


def test_work_left_is_no_lateness_of_the_driver():
    clock = FakeClock()
    run = fleet(FakePool(clock, lambda number: 300 * MS), clock).run(10, 3)
    assert run.lateness_ns.max() == 0
    assert run.from_schedule_ns.max() > 3000 * MS


def test_misses_and_utilisation_are_counted():
    clock = FakeClock()
    pool = FakePool(clock, lambda number: 1500 * MS if number == 15 else 4 * MS)
    run = fleet(pool, clock).run(10, 20)
    assert run.deadline_misses == np.count_nonzero(run.from_schedule_ns > 1000 * MS) > 1
    assert run.utilisation == pytest.approx((1500 + 199 * 4) / 20_000)
    record = run.record("walking")
    assert record.deadline_misses == run.deadline_misses
    assert run.deadline_misses / 200 < record.miss_rate_upper95 < 0.2
    assert list(record.timeline.us) == (run.from_schedule_ns / 1e3).tolist()


def test_it_gives_up_when_too_many_were_late():
    clock = FakeClock()
    run = fleet(FakePool(clock, lambda number: 500 * MS), clock).run(10, 100, most_late=7)
    assert not run.complete
    assert run.deadline_misses == 8
    assert run.scheduled_ns < 20_000 * MS


def test_streams_go_on_from_run_to_run_and_more_can_join():
    clock = FakeClock()
    pool = FakePool(clock, lambda number: 0)
    streams = fleet(pool, clock)
    for n_streams in (3, 8, 5):
        assert len(streams.run(n_streams, 2).due_ns) == 2 * n_streams


@pytest.mark.parametrize("smoothing", [None, "lag:2"])
def test_a_pool_of_streams_gets_its_samples_in_order(smoothing):
    recognizer = small_recognizer()
    geometry = StreamGeometry.of(recognizer, 1.0, smoothing)
    assert geometry == StreamGeometry(100.0, 200, 100, 2 if smoothing else 0)
    pool, clock = StreamPool(recognizer, 1.0, smoothing), FakeClock()
    run = Fleet(pool, ChunkFeed(FEED, geometry.chunk_size, 200), geometry, clock, 0).run(7, 3)
    assert len(run.due_ns) == 21
    stats = pool.stats()
    assert len(stats) == 7
    for one in stats.values():
        assert (one.n_gaps, one.n_jumps, one.n_repeated_stamps, one.n_dropped) == (0, 0, 0, 0)
        assert one.n_decisions == one.n_windows - geometry.lag == 4


@pytest.mark.parametrize(
    ("rate_hz", "hop_size", "expected"), [(100, 100, 10), (100, 25, 5), (30, 30, 3), (30, 7, 1), (5, 5, 1)]
)
def test_chunks_divide_the_hop_and_last_a_tenth_of_a_second_at_most(rate_hz, hop_size, expected):
    assert StreamGeometry(float(rate_hz), 1000, hop_size, 0).chunk_size == expected
