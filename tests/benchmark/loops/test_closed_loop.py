"""One stream, decision after decision."""

from dataclasses import replace

import numpy as np
import pytest

from fake_streams import GEOMETRY, MS, FakeClock, FakePool, decision
from patchtst_har.benchmark.loops.closed_loop import WARM_UP, ClosedLoopTimes, run_closed_loop, timeline
from patchtst_har.benchmark.loops.schedule import Feed, StreamGeometry
from patchtst_har.realtime.decision import STAGES
from patchtst_har.records.measurement import Block
from patchtst_har.support.process_memory import MemoryMark
from streams import make_samples, small_recognizer

SAMPLES, _ = make_samples(20)


def run(cost_ns, n=40, n_blocks=4, lag=0, feed_ns=0):
    clock = FakeClock()
    geometry = StreamGeometry(100.0, 200, 100, lag)
    pool = FakePool(clock, cost_ns, geometry, feed_ns)
    push = lambda samples, t: pool.push(0, samples, t)  # noqa: E731
    feed = Feed(SAMPLES, 100.0)
    return run_closed_loop(push, feed, geometry, n_decisions=n, n_blocks=n_blocks, now_ns=clock.now_ns)


def loop_of(took_ns, block_sizes=None, stage_ns=None, calibration_ns=None, hop_s=1.0):
    took = np.array(took_ns, np.int64)
    sizes = [len(took)] if block_sizes is None else block_sizes
    stages = np.zeros((len(took), len(STAGES)), np.int64) if stage_ns is None else np.array(stage_ns)
    calibration = np.full((len(sizes), 3), 5000) if calibration_ns is None else np.array(calibration_ns)
    marks = [MemoryMark(0.0, 0)] * (len(sizes) + 1)
    return ClosedLoopTimes(
        np.arange(len(took)) * MS, took, stages, 0 * took, sizes, calibration, marks, {}, hop_s
    )


def calibrated(loop):
    """Return the loop as if the calibration, for which the clock stands still, took a while."""
    return replace(loop, calibration_ns=loop.calibration_ns + 1000)


@pytest.mark.parametrize("lag", [0, 3])
def test_decisions_are_timed_from_their_last_sample_with_their_own_stages(lag):
    """With a lag, a push decides an older window; its time is still that of the stages of that push."""
    loop = run(lambda number: (1 + number) * 8000, n=120, lag=lag)
    first = WARM_UP + lag
    # Blocks of 30 have ten calibrations, each before three decisions that count and one that does not.
    numbers = [first + 4 * part + 1 + i for part in range(40) for i in range(3)]
    cost = (1 + np.array(numbers)) * 8000
    np.testing.assert_array_equal(loop.end_to_end_ns, cost)
    np.testing.assert_array_equal(loop.stage_ns, np.stack([cost // 2, cost // 4, 0 * cost, cost // 8], 1))
    assert loop.block_sizes == [30] * 4
    assert loop.calibration_ns.shape == (4, 10)
    assert len(loop.memory) == 5
    overhead = calibrated(loop).record().overhead
    assert overhead.max_us == cost.max() / 8 / 1e3
    if lag == 0:
        parts = {"statistical features": 4000, "topological features": 2000, "model": 0, "smoothing": 1000}
        assert loop.first_ns == {**parts, "overhead": 1000, "end to end": 8000}


def test_the_push_of_the_earlier_samples_counts_for_the_real_time_factor_only():
    loop = run(lambda number: 30 * MS, feed_ns=10 * MS)
    np.testing.assert_array_equal(loop.end_to_end_ns, [40 * MS] * 40)
    np.testing.assert_array_equal(loop.feed_ns, [10 * MS] * 40)
    assert calibrated(loop).record().real_time_factor == pytest.approx(0.05)


def test_a_hop_of_one_sample_and_a_hop_of_a_window_work():
    recognizer = small_recognizer()
    for hop_s in (0.01, 2.0):
        geometry = StreamGeometry.of(recognizer, hop_s, None)
        loop = run_closed_loop(
            recognizer.stream(hop_s).push,
            Feed(SAMPLES, 100.0),
            geometry,
            n_decisions=5,
            n_blocks=2,
            now_ns=FakeClock().now_ns,
        )
        assert loop.block_sizes == [3, 2]


@pytest.mark.parametrize("rate_hz", [100.0, 31.7, 97.3])
def test_at_any_rate_a_window_is_complete_with_its_last_sample(rate_hz):
    """A stamp rounded down would leave the last point of the grid to the next sample."""
    recognizer = small_recognizer()
    config = recognizer.config.replace(data=recognizer.config.data.replace(sample_rate_hz=rate_hz))
    recognizer.config, recognizer.smoother = config, None
    hop_s = 100 / rate_hz
    stream, feed = recognizer.stream(hop_s), Feed(SAMPLES, rate_hz)
    for n in range(2000):
        sample, stamp = feed.one(n)
        assert len(stream.push(sample, stamp)) == (n >= 199 and (n - 199) % 100 == 0)


def test_a_stream_that_decides_elsewhere_is_refused():
    push = lambda samples, t: [decision()] * 2  # noqa: E731
    feed = Feed(SAMPLES, 100.0)
    with pytest.raises(RuntimeError, match="expected one decision at its last sample, got 2 before it"):
        run_closed_loop(push, feed, GEOMETRY, n_decisions=5, n_blocks=1, now_ns=FakeClock().now_ns)


def test_misses_are_decisions_later_than_the_hop_and_bounded():
    record = loop_of([MS] * 97 + [1000 * MS, 1000 * MS + 1, 3000 * MS]).record()
    assert record.deadline_misses == 2
    assert 0.02 < record.miss_rate_upper95 < 0.07
    assert loop_of([MS] * 100).record().miss_rate_upper95 == pytest.approx(0.0295, abs=1e-4)


def test_blocks_have_their_own_medians_and_the_calibration_within_them():
    took = [1000] * 140 + [3000] * 100
    calibration = [[10_000, 15_000, 99_000], [30_000, 2_000, 31_000]]
    blocks = loop_of(took, [140, 100], calibration_ns=calibration).record().blocks
    assert blocks == (
        Block(p50_us=1.0, p95_us=1.0, calibration_us=15.0),
        Block(p50_us=3.0, p95_us=None, calibration_us=30.0),
    )


def test_the_slowest_decisions_name_their_slowest_part():
    took = np.full(30, 100)
    took[[4, 9, 20]] = [9000, 8000, 7000]
    stages = np.zeros((30, 4), int)
    stages[4] = [0, 8000, 500, 0]
    stages[9] = [10, 20, 30, 7000]
    outliers = loop_of(took, stage_ns=stages).record().outliers
    assert len(outliers) == 20
    names = ["topological features", "smoothing", "overhead"]
    assert [(row.decision, row.us, row.stage) for row in outliers[:3]] == [
        (4, 9.0, names[0]),
        (9, 8.0, names[1]),
        (20, 7.0, names[2]),
    ]
    assert outliers[0].at_s == pytest.approx(0.004)


def test_a_timeline_keeps_the_peaks_of_at_most_200_slices():
    took = np.full(5000, 1000)
    took[[7, 2500, 4999]] = 10**6
    shown = timeline(np.arange(5000) * MS, took)
    assert len(shown.us) == 200
    assert sorted(shown.us)[-4:] == [1, 1000, 1000, 1000]
    at = [s for s, us in zip(shown.at_s, shown.us, strict=True) if us == 1000]
    assert at == pytest.approx([0.007, 2.5, 4.999])
    assert timeline(np.arange(3), np.array([5000, 7000, 6000])).us == (5, 7, 6)
