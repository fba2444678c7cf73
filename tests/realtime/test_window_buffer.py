"""The compiled buffer makes the windows that `cut_windows` makes, bit for bit."""

import subprocess

import numpy as np
import pytest

from patchtst_har import _core
from patchtst_har.config import DataConfig
from patchtst_har.data.windows import cut_windows
from streams import make_samples, recording_of
from sweeps import native_sweep


def drain(buffer, samples, stamps):
    """Feed everything and end the segment: windows, their starts, their (segment, number)."""
    windows, starts, places = [], [], []

    def keep():
        windows.append(buffer.window().copy())
        start, segment, number, _ = buffer.place()
        starts.append(start)
        places.append((segment, number))

    first = 0
    while True:
        first = buffer.feed(samples, stamps, first)
        if not buffer.ready:
            break
        keep()
    assert first == len(samples)
    buffer.finish()
    if buffer.ready:
        keep()
    return np.array(windows).reshape(-1, len(windows[0]) if windows else 1, 3), starts, places


def damaged(samples, stamps, seed=0):
    """Leave samples out, make some unusable, and pause twice."""
    rng = np.random.default_rng(seed)
    samples = samples.copy()
    samples[rng.random(len(samples)) < 0.01] = 0
    samples[rng.random(len(samples)) < 0.01, 1] = np.nan
    samples[rng.integers(len(samples)), 2] = -np.inf
    samples[rng.random(len(samples)) < 0.01, 0] = rng.choice([-9999.0, 3.4e38, 50.01])
    stamps = stamps.copy()
    stamps[len(stamps) // 3 :] += 3_333_333_333
    stamps[len(stamps) // 2 :] += 900_000_000
    kept = rng.random(len(samples)) > 0.05
    kept[700:720] = False
    return samples[kept], stamps[kept]


@pytest.mark.parametrize("rate_hz", [25.0, 50.0, 97.0, 99.7, 100.0, 101.3, 103.0, 109.0])
@pytest.mark.parametrize(("window", "hop"), [(1000, 1000), (1000, 100), (200, 7), (1, 1), (3, 2)])
@pytest.mark.slow
def test_windows_are_those_of_a_recording(rate_hz, window, hop):
    samples, stamps = damaged(*make_samples(45, rate_hz))
    cut = cut_windows(recording_of(samples, stamps), DataConfig(window_size=window, hop_size=hop))
    buffer = _core.WindowBuffer(100.0, window, hop, 1.0)
    windows, starts, _ = drain(buffer, samples, stamps)
    assert len(cut) > 1
    np.testing.assert_array_equal(windows, cut.windows)
    np.testing.assert_array_equal(starts, cut.start_ns)
    counts = buffer.counts()
    for name in ("n_samples", "n_nonfinite", "n_zero", "n_out_of_range", "n_gaps"):
        assert counts[name] == cut.info[name], name


@pytest.mark.parametrize("target_hz", [30.0, 40.0, 99.0, 100.0 / 3])
def test_other_rates_of_the_model(target_hz):
    samples, stamps = make_samples(40, target_hz * 1.01)
    config = DataConfig(sample_rate_hz=target_hz, window_size=300, hop_size=50)
    cut = cut_windows(recording_of(samples, stamps), config)
    windows, starts, _ = drain(_core.WindowBuffer(target_hz, 300, 50, 1.0), samples, stamps)
    np.testing.assert_array_equal(windows, cut.windows)
    np.testing.assert_array_equal(starts, cut.start_ns)


def test_the_grid_ends_half_a_step_after_the_last_sample():
    """19 samples a little over 10 ms apart span 18.6 steps: the offline grid has one point more."""
    stamps = np.rint(np.arange(19) * 1.031e7).astype(np.int64)
    samples = np.random.default_rng(0).normal(size=(19, 3)).astype(np.float32)
    cut = cut_windows(recording_of(samples, stamps), DataConfig(window_size=20, hop_size=20))
    assert len(cut) == 1
    for later in (False, True):
        buffer = _core.WindowBuffer(100.0, 20, 20, 1.0)
        if later:
            # The window is made by the sample that shows that the segment has ended.
            extra = np.append(samples, samples[:1], axis=0), np.append(stamps, stamps[-1] + 5 * 10**9)
            assert buffer.feed(*extra, 0) == 20
            assert buffer.ready
            np.testing.assert_array_equal(buffer.window(), cut.windows[0])
            assert buffer.feed(*extra, 20) == 20
            assert not buffer.ready
        else:
            windows, _, _ = drain(buffer, samples, stamps)
            np.testing.assert_array_equal(windows, cut.windows)


def test_a_sample_at_a_time_makes_the_same_windows():
    samples, stamps = damaged(*make_samples(20))
    whole, starts, places = drain(_core.WindowBuffer(100.0, 200, 3, 1.0), samples, stamps)
    buffer, single = _core.WindowBuffer(100.0, 200, 3, 1.0), []
    for (x, y, z), stamp in zip(samples.tolist(), stamps.tolist(), strict=True):
        first = 0
        while True:
            first = buffer.feed_sample(x, y, z, stamp, first)
            if not buffer.ready:
                break
            single.append((buffer.window().copy(), buffer.place()))
    buffer.finish()
    if buffer.ready:
        single.append((buffer.window().copy(), buffer.place()))
    np.testing.assert_array_equal([window for window, _ in single], whole)
    assert [place[0] for _, place in single] == starts
    assert [place[1:3] for _, place in single] == places


def test_windows_are_numbered_in_their_segment():
    samples, stamps = make_samples(20, jitter_ms=0)
    stamps = stamps.copy()
    stamps[1000:] += 2 * 10**9
    places = drain(_core.WindowBuffer(100.0, 200, 200, 1.0), samples, stamps)[2]
    assert places == [(segment, number) for segment in (1, 2) for number in range(5)]


def test_a_clock_that_jumps_backwards_begins_a_segment():
    samples, stamps = make_samples(20, jitter_ms=0)
    stamps = stamps.copy()
    stamps[1000:] -= 4 * 10**9
    buffer = _core.WindowBuffer(100.0, 200, 200, 1.0)
    windows, starts, places = drain(buffer, samples, stamps)
    assert buffer.counts()["n_jumps"] == 1
    assert [segment for segment, _ in places] == [1] * 5 + [2] * 5
    assert buffer.place()[3] == 1
    parts = [
        cut_windows(recording_of(samples[part], stamps[part]), DataConfig(window_size=200, hop_size=200))
        for part in (slice(0, 1000), slice(1000, None))
    ]
    np.testing.assert_array_equal(windows, np.concatenate([part.windows for part in parts]))
    np.testing.assert_array_equal(starts, np.concatenate([part.start_ns for part in parts]))


def test_repeated_stamps_are_one_period_apart():
    """Batches of 20 with one stamp at exactly the model's rate fall on the grid."""
    samples, _ = make_samples(10, jitter_ms=0)
    true = np.arange(1000) * 10**7
    buffer = _core.WindowBuffer(100.0, 200, 200, 1.0)
    windows, _, _ = drain(buffer, samples, np.repeat(true[::20], 20))
    np.testing.assert_array_equal(windows, samples.reshape(5, 200, 3))
    assert buffer.counts()["n_repeated_stamps"] == 1000 - 50


def test_batches_of_a_device_that_is_a_little_fast_stay_in_order():
    samples, stamps = make_samples(20, 105.0, jitter_ms=0)
    batched = np.repeat(stamps[::21], 21)[: len(stamps)]
    windows, starts, _ = drain(_core.WindowBuffer(100.0, 200, 200, 1.0), samples, batched)
    expected = cut_windows(recording_of(samples, stamps), DataConfig(window_size=200, hop_size=200))
    n = len(expected)
    assert 9 <= n <= len(windows)
    np.testing.assert_array_equal(starts[:n], expected.start_ns)
    # A batch is stretched by 5 % and then cut off: its samples come at most one period too late.
    assert np.abs(windows[:n] - expected.windows).mean() < 0.1


@pytest.mark.parametrize(("rate_hz", "refused"), [(109.5, False), (110.5, True), (200.0, True)])
def test_a_clearly_faster_device_is_refused_before_its_first_window(rate_hz, refused):
    samples, stamps = make_samples(11, rate_hz, jitter_ms=0)
    buffer = _core.WindowBuffer(100.0, 1000, 1000, 1.0)
    if not refused:
        assert len(drain(buffer, samples, stamps)[0]) == 1
        return
    with pytest.raises(_core.TooFastError, match="1000 samples came within"):
        drain(buffer, samples, stamps)
    assert not buffer.ready
    # It can go on at the right rate.
    samples, stamps = make_samples(11, jitter_ms=0)
    assert len(drain(buffer, samples, stamps + 10**12)[0]) == 1


def test_samples_without_stamps_follow_each_other():
    samples, _ = make_samples(8)
    windows, starts, _ = drain(_core.WindowBuffer(100.0, 200, 100, 1.0), samples, None)
    assert starts == [i * 10**9 for i in range(7)]
    np.testing.assert_array_equal(windows[3], samples[300:500])


@pytest.mark.parametrize("n", [0, 1, 150, 200, 201, 1357])
def test_a_state_goes_on_with_the_same_bits(n):
    samples, stamps = damaged(*make_samples(20, 98.0))
    whole, starts, places = drain(_core.WindowBuffer(100.0, 200, 30, 1.0), samples, stamps)
    one = _core.WindowBuffer(100.0, 200, 30, 1.0)
    before, first = 0, 0
    while True:
        first = one.feed(samples[:n], stamps[:n], first)
        if not one.ready:
            break
        before += 1
    other = _core.WindowBuffer(100.0, 200, 30, 1.0)
    other.restore(*one.state())
    after, more, where = drain(other, samples[n:], stamps[n:])
    np.testing.assert_array_equal(after, whole[before:])
    assert (more, where) == (starts[before:], places[before:])
    assert other.counts()["n_samples"] == len(samples)


def test_impossible_states_and_shapes_are_refused():
    buffer = _core.WindowBuffer(100.0, 200, 30, 1.0)
    samples, stamps = make_samples(3)
    buffer.feed(samples, stamps, 0)
    numbers, points = buffer.state()
    for place, value in ((6, 2**63 - 1), (9, -1), (9, 3), (8, int(numbers[7]) + 1)):
        wrong = numbers.copy()
        wrong[place] = value
        with pytest.raises(ValueError, match="contradicts itself"):
            _core.WindowBuffer(100.0, 200, 30, 1.0).restore(wrong, points)
    for bad_numbers, bad_points in ((numbers[:-1], points), (numbers, points[:-1]), (numbers, points[:1])):
        with pytest.raises(ValueError):
            _core.WindowBuffer(100.0, 200, 30, 1.0).restore(bad_numbers.copy(), bad_points.copy())
    for arguments in ((0.0, 10, 10, 1.0), (100.0, 0, 1, 1.0), (100.0, 10, 11, 1.0), (100.0, 10, 10, np.nan)):
        with pytest.raises(ValueError):
            _core.WindowBuffer(*arguments)
    with pytest.raises(ValueError, match="samples must have shape"):
        buffer.feed(samples[:, :2].copy(), stamps, 0)
    with pytest.raises(ValueError, match="stamps_ns must have shape"):
        buffer.feed(samples, stamps[:-1], 0)
    with pytest.raises(ValueError, match="first must not lie"):
        buffer.feed(samples, stamps, len(samples) + 1)
    for stamp in (2**62 + 1, -(2**63)):
        with pytest.raises(ValueError, match="not within 145 years"):
            buffer.feed_sample(0.0, 0.0, 1.0, stamp, 0)
    with pytest.raises(ValueError, match="no window is complete"):
        _core.WindowBuffer(100.0, 200, 30, 1.0).window()


def test_extreme_stamps_do_not_overflow():
    buffer = _core.WindowBuffer(100.0, 10, 10, 1.0)
    most = 2**62 - 2**55
    for stamp in (-most, most, -most, most, most):
        buffer.feed_sample(0.0, 0.0, 1.0, stamp, 0)
    assert buffer.counts()["n_jumps"] == 1
    assert buffer.counts()["n_gaps"] == 2


def test_the_window_is_the_buffers_own_memory():
    buffer = _core.WindowBuffer(100.0, 50, 50, 1.0)
    samples, _ = make_samples(1)
    assert buffer.feed(samples, None, 0) == 50
    first = buffer.window()
    assert first.base is not None
    assert not first.flags.owndata
    assert first.__array_interface__["data"][0] == buffer.window().__array_interface__["data"][0]
    del buffer
    np.testing.assert_array_equal(first, samples[:50])


@pytest.mark.compiles
def test_no_memory_is_allocated_after_construction(tmp_path):
    """The sweep program, with a counting allocator of its own, fails at an allocation."""
    program = native_sweep("stream_sweep", tmp_path)
    result = subprocess.run([program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "no allocation" in result.stdout
