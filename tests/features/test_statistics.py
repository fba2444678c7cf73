from __future__ import annotations

import itertools
import math
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import reference
from patchtst_har.features import (
    STATISTICAL_FEATURE_NAMES,
    compute_statistical_features,
    compute_statistical_features_batch,
)
from synthetic import activity_signal

LENGTHS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 32, 33, 50, 63, 64, 65, 97, 100, 127, 128, 129]
LENGTHS += [250, 500, 997, 1000, 1001, 1024, 2048]
INDEX = {name: position for position, name in enumerate(STATISTICAL_FEATURE_NAMES)}
NO_DIRECTION = math.sqrt(-2 * math.log(1e-12))


def noisy(n_samples, seed=0):
    rng = np.random.default_rng([n_samples, seed])
    return rng.normal([0.3, 0.5, 0.8], 0.3, (n_samples, 3)).astype(np.float32)


def walking(n_samples=1000, seed=0):
    return activity_signal("walking", n_samples, np.random.default_rng(seed))


def check(window, sr=100.0):
    features = compute_statistical_features(window, sr)
    assert np.isfinite(features).all()
    reference.assert_features_close(
        features, reference.statistical_features(window, sr), STATISTICAL_FEATURE_NAMES
    )
    return features


def feature(window, name, sr=100.0):
    return float(compute_statistical_features(window, sr)[INDEX[name]])


@pytest.mark.parametrize("n_samples", LENGTHS)
def test_equals_the_reference_at_every_length(n_samples):
    check(noisy(n_samples))
    check(walking(n_samples))


@pytest.mark.parametrize("sr", [0.4, 1, 2.5, 12.5, 31.25, 97.1, 104.26, 400, 1e6])
def test_equals_the_reference_at_every_rate(sr):
    for n_samples in (5, 64, 333):
        check(noisy(n_samples), sr)


@pytest.mark.parametrize("n_samples", [30011, 2**15, 3**9, 5**6, 2 * 3 * 5 * 7 * 11 * 13])
def test_equals_the_reference_for_long_windows(n_samples):
    check(walking(n_samples))


@pytest.mark.parametrize("activity", ["sitting", "running"])
def test_equals_the_reference_on_a_device_grid(activity):
    for seed in range(3):
        signal = activity_signal(activity, 1000, np.random.default_rng(seed))
        check((np.round(signal * 64) / 64).astype(np.float32))


def test_a_spike_has_a_flat_spectrum_and_the_lowest_bins_win():
    window = np.tile(np.float32([0, 0, 1]), (1000, 1))
    window[417, 2] += 1 / 64
    features = check(window)
    assert features[INDEX["freq_1"]] == np.float32(0.1)
    assert features[INDEX["freq_2"]] == np.float32(0.3)
    assert features[INDEX["power_1"]] == pytest.approx(1 / 500)
    assert features[INDEX["spectral_entropy"]] == pytest.approx(1)


def test_a_saturated_square_wave_has_plateau_peaks():
    window = np.zeros((1000, 3), np.float32)
    window[:, 0] = np.where(np.arange(1000) // 23 % 2, 8, -2)
    features = check(window)
    assert features[INDEX["peak_count"]] == 21
    assert features[INDEX["peak_prominence_median"]] == 6


def test_peaks_of_tied_and_nested_plateaus():
    rng = np.random.default_rng(3)
    for n_samples in (3, 10, 100, 400):
        steps = np.repeat(rng.integers(0, 6, n_samples), rng.integers(1, 4, n_samples))
        check(np.stack([steps / 4, 0 * steps, 0 * steps], axis=1).astype(np.float32))


def test_peaks_of_a_mountain_range_use_the_right_bases():
    heights = np.float32([5, 1, 4, 2, 3, 0.5, 3, 2, 6, 0, 6, 5.5, 7, 1, 2, 1.5])
    check(np.stack([heights, 0 * heights, 0 * heights], axis=1))


def test_a_sine_is_found_at_its_frequency():
    time_s = np.arange(1000) / 100
    window = np.zeros((1000, 3), np.float32)
    window[:, 2] = 1 + 0.3 * np.sin(2 * np.pi * 2 * time_s) + 0.1 * np.sin(2 * np.pi * 5 * time_s)
    features = check(window)
    assert features[INDEX["freq_1"]] == pytest.approx(2)
    assert features[INDEX["power_1"]] == pytest.approx(0.9, abs=1e-4)
    assert features[INDEX["freq_2"]] == pytest.approx(5)
    assert features[INDEX["power_2"]] == pytest.approx(0.1, abs=1e-4)
    assert features[INDEX["mag_autocorr_1s"]] == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("rest", "roll", "pitch", "yaw"),
    [
        ((0, 0, 1), 0, 0, 0),
        ((0, 1, 0), math.pi / 2, 0, 0),
        ((1, 0, 0), 0, -math.pi / 2, math.pi / 2),
        ((-1, 0, 0), 0, math.pi / 2, -math.pi / 2),
        ((0, -1, 0), -math.pi / 2, 0, math.pi),
    ],
)
def test_posture_at_rest(rest, roll, pitch, yaw):
    window = np.tile(np.float32(rest), (300, 1))
    features = check(window)
    angles = features[INDEX["gravity_roll"] : INDEX["gravity_yaw"] + 1]
    np.testing.assert_allclose(angles, [roll, pitch, yaw], atol=1e-6)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.7, 1 / 3, 1e-40, 1e18])
@pytest.mark.parametrize("n_samples", [1, 2, 77, 1000])
def test_a_constant_window_has_documented_values(level, n_samples):
    window = np.full((n_samples, 3), level, np.float32)
    features = compute_statistical_features(window)
    assert np.isfinite(features).all()
    zeros = "x_std mag_range corr_xy corr_yz mag_mad mag_skew mag_kurtosis mag_autocorr_1s"
    zeros += " freq_1 power_1 freq_2 power_2 spectral_entropy peak_count dynamic_yaw_mean"
    for name in zeros.split():
        assert features[INDEX[name]] == 0, name
    assert features[INDEX["x_mean"]] == features[INDEX["z_q75"]] == np.float32(level)
    for angle in ("roll", "pitch", "yaw"):
        assert features[INDEX[f"dynamic_{angle}_cstd"]] == pytest.approx(NO_DIRECTION)


def test_identical_channels_correlate_fully():
    channel = np.random.default_rng(0).normal(size=500).astype(np.float32)
    features = compute_statistical_features(np.stack([channel] * 3, axis=1))
    np.testing.assert_allclose(features[27:30], 1, atol=1e-6)
    opposite = compute_statistical_features(np.stack([channel, -channel, channel], axis=1))
    np.testing.assert_allclose(opposite[27:30], [-1, 1, -1], atol=1e-6)


def invalid_windows():
    base = walking(300)
    single, ends, channel, everything, mixed = (base.copy() for _ in range(5))
    single[120, 1] = np.nan
    ends[:17, 0], ends[-9:, 2], ends[50:60, 1] = np.nan, np.inf, -np.inf
    channel[:, 1] = np.nan
    everything[:] = np.nan
    mixed[np.random.default_rng(0).random(mixed.shape) < 0.6] = np.nan
    only_one = np.full_like(base, np.nan)
    only_one[200] = [0.1, 0.2, 0.3]
    overflowing = base.copy()
    overflowing[40] = [3e38, -2e19, 1.1e19]
    return {
        "single": single,
        "ends": ends,
        "channel": channel,
        "everything": everything,
        "mixed": mixed,
        "only one": only_one,
        "overflowing": overflowing,
    }


@pytest.mark.parametrize("name", invalid_windows())
def test_invalid_samples_are_repaired(name):
    window = invalid_windows()[name]
    before = window.copy()
    features = check(window)
    np.testing.assert_array_equal(features, compute_statistical_features(reference.repair(window)))
    np.testing.assert_array_equal(window, before)


def test_repair_interpolates_linearly_between_neighbours():
    window = np.zeros((5, 3), np.float32)
    window[:, 0] = [1, np.nan, np.inf, 4, np.nan]
    expected = np.zeros((5, 3), np.float32)
    expected[:, 0] = [1, 2, 3, 4, 4]
    np.testing.assert_array_equal(
        compute_statistical_features(window), compute_statistical_features(expected)
    )


def test_a_window_without_samples_of_any_worth_equals_zeros():
    everything = np.full((50, 3), np.nan, np.float32)
    np.testing.assert_array_equal(
        compute_statistical_features(everything), compute_statistical_features(np.zeros_like(everything))
    )


@pytest.mark.parametrize("scale", [1e-44, 1e-30, 1e-12, 1e-6, 1e4, 1e12, 9e18])
def test_extreme_scales_stay_finite_and_right(scale):
    window = np.random.default_rng(1).uniform(-1, 1, (400, 3)) * scale
    check(window.astype(np.float32))


def test_one_enormous_sample():
    window = walking(500)
    window[250] = 1e19
    assert np.isfinite(compute_statistical_features(window)).all()
    assert feature(window, "x_max") == np.float32(1e19)


def test_enmo_counts_only_what_exceeds_one_g():
    window = np.float32([[0, 0, 2], [0, 0, 0.5], [0, 0, 1], [0, 3, 4]])
    assert feature(window, "enmo") == pytest.approx((1 + 0 + 0 + 4) / 4)


def test_quartiles_survive_an_outlier_that_fills_one_bucket():
    window = noisy(777)
    window[3, 0] = 1e6
    check(window)


samples = arrays(
    np.float32,
    st.tuples(st.integers(1, 40), st.just(3)),
    elements=st.floats(width=32, allow_nan=True, allow_infinity=True, allow_subnormal=True),
)
ordinary = arrays(
    np.float32,
    st.tuples(st.integers(1, 40), st.just(3)),
    elements=st.integers(-512, 512).map(lambda steps: steps / 64),
)
fixed = settings(deadline=None, max_examples=150, derandomize=True, database=None)


@fixed
@given(samples, st.floats(0.01, 1e4))
def test_any_window_gives_finite_features(window, sr):
    assert np.isfinite(compute_statistical_features(window, sr)).all()


@fixed
@given(ordinary)
def test_bounds_hold(window):
    features = dict(
        zip(STATISTICAL_FEATURE_NAMES, compute_statistical_features(window).tolist(), strict=True)
    )
    for part in ("x", "y", "z", "mag"):
        quantiles = [features[f"{part}_{name}"] for name in ("min", "q25", "q50", "q75", "max")]
        assert quantiles == sorted(quantiles)
        assert 0 <= features[f"{part}_std"] <= features[f"{part}_range"] / 2 * (1 + 1e-6)
    for name in ("corr_xy", "corr_xz", "corr_yz", "mag_autocorr_1s"):
        assert abs(features[name]) <= 1 + 1e-6
    assert 0 <= features["power_2"] <= features["power_1"] <= 1
    assert 0 <= features["spectral_entropy"] <= 1 + 1e-6


@fixed
@given(ordinary)
def test_exchanging_channels_exchanges_their_features(window):
    features = compute_statistical_features(window)
    exchanged = compute_statistical_features(np.ascontiguousarray(window[:, [1, 0, 2]]))
    np.testing.assert_array_equal(exchanged[:8], features[8:16])
    np.testing.assert_array_equal(exchanged[8:16], features[:8])
    np.testing.assert_array_equal(exchanged[[27, 29]], features[[27, 28]])


@fixed
@given(samples, st.integers(0, 5))
def test_features_do_not_depend_on_the_rest_of_the_batch(window, position):
    rng = np.random.default_rng(position)
    windows = rng.normal(size=(6, *window.shape)).astype(np.float32)
    windows[position] = window
    batch = compute_statistical_features_batch(windows)
    np.testing.assert_array_equal(batch[position], compute_statistical_features(window))


def test_the_batch_equals_its_windows_bit_for_bit_whatever_the_threads():
    windows = np.stack([walking(250, seed) for seed in range(37)])
    one_by_one = np.stack([compute_statistical_features(window) for window in windows])
    for n_threads in (1, 2, 3, 64):
        batch = compute_statistical_features_batch(windows, n_threads=n_threads)
        assert batch.tobytes() == one_by_one.tobytes()


def test_interleaved_lengths_do_not_disturb_each_other():
    fresh = {n: compute_statistical_features(noisy(n)).tobytes() for n in (1000, 7, 997, 64)}
    for first, second in itertools.permutations(fresh, 2):
        for n_samples in (first, second, first):
            assert compute_statistical_features(noisy(n_samples)).tobytes() == fresh[n_samples]


def test_out_is_filled_and_returned():
    windows = np.stack([walking(100, seed) for seed in range(5)])
    out = np.full((5, 56), np.nan, np.float32)
    assert compute_statistical_features_batch(windows, out=out, n_threads=2) is out
    np.testing.assert_array_equal(out, compute_statistical_features_batch(windows))


@pytest.mark.parametrize("hop", [1, 7, 100, 130])
def test_overlapping_windows_of_a_ring_buffer_are_read_in_place(hop):
    ring = walking(700)
    windows = np.lib.stride_tricks.sliding_window_view(ring, 100, axis=0)[::hop].transpose(0, 2, 1)
    assert np.shares_memory(windows, ring)
    expected = compute_statistical_features_batch(np.ascontiguousarray(windows))
    for n_threads in (1, 2):
        assert (
            compute_statistical_features_batch(windows, n_threads=n_threads).tobytes() == expected.tobytes()
        )
    backwards = compute_statistical_features_batch(windows[::-1])
    assert backwards.tobytes() == expected[::-1].tobytes()
    same = np.broadcast_to(ring[:100], (3, 100, 3))
    np.testing.assert_array_equal(compute_statistical_features_batch(same), expected[[0, 0, 0]])


def test_the_longest_window():
    window = np.zeros((2**20, 3), np.float32)
    window[:, 2] = 1 + 0.25 * np.sin(2 * np.pi * np.arange(2**20) / 64)
    features = dict(
        zip(STATISTICAL_FEATURE_NAMES, compute_statistical_features(window).tolist(), strict=True)
    )
    assert features["freq_1"] == np.float32(100 / 64)
    assert features["power_1"] == pytest.approx(1, abs=1e-6)
    assert features["peak_count"] == 2**20 / 64
    assert features["peak_prominence_median"] == pytest.approx(0.5)
    assert features["z_q50"] == pytest.approx(1, abs=1e-6)
    assert features["z_std"] == pytest.approx(0.25 / math.sqrt(2))


# The samples from which on a feature can be other than 0, as docs/features.md has them.
DEFINED_FROM = {
    1: ["x_mean", "z_q50", "mag_mean", "gravity_roll", "gravity_pitch", "gravity_yaw", "enmo"],
    2: ["x_std", "y_range", "corr_xy", "mag_std", "mag_mad", "mag_kurtosis", "freq_1", "power_1"],
    3: ["mag_skew", "mag_autocorr_1s", "peak_count", "peak_prominence_median"],
    4: ["spectral_entropy"],
    6: ["freq_2", "power_2"],
}


def test_every_feature_is_defined_from_its_documented_length_on():
    for n_samples in range(1, 9):
        windows = np.stack([noisy(n_samples, seed) for seed in range(200)])
        values = compute_statistical_features_batch(windows, sr=1.0)
        varies = dict(zip(STATISTICAL_FEATURE_NAMES, (values != 0).any(axis=0), strict=True))
        for needed, names in DEFINED_FROM.items():
            for name in names:
                assert varies[name] == (n_samples >= needed), (name, n_samples)


def test_no_windows_give_no_rows():
    result = compute_statistical_features_batch(np.empty((0, 100, 3), np.float32), n_threads=4)
    assert result.shape == (0, 56)
    assert result.dtype == np.float32


def test_the_rate_reaches_the_batch():
    windows = np.stack([walking(200)])
    np.testing.assert_array_equal(
        compute_statistical_features_batch(windows, 50)[0], compute_statistical_features(windows[0], 50.0)
    )
    assert feature(windows[0], "freq_1", 50) == feature(windows[0], "freq_1", 100) / 2


def test_read_only_windows_are_welcome():
    window = walking(100)
    window.flags.writeable = False
    assert compute_statistical_features(window).shape == (56,)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_child_processes_compute_after_the_parent_used_threads(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this platform")
    windows = np.stack([walking(200, seed) for seed in range(4)])
    expected = compute_statistical_features_batch(windows, n_threads=2)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        result = pool.submit(compute_statistical_features_batch, windows, 100.0, n_threads=2).result(60)
    np.testing.assert_array_equal(result, expected)
