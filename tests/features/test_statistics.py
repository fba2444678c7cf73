from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from patchtst_har.features import (
    STATISTICAL_FEATURE_NAMES,
    compute_statistical_features,
    compute_statistical_features_batch,
)
from patchtst_har.synthetic import bout as activity_signal
from statistical_windows import INDEX, check, feature, fixed, noisy, walking

LENGTHS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 32, 33, 50, 63, 64, 65, 97, 100, 127, 128, 129]
LENGTHS += [250, 500, 997, 1000, 1001, 1024, 2048]
NO_DIRECTION = math.sqrt(-2 * math.log(1e-12))
ordinary = arrays(
    np.float32,
    st.tuples(st.integers(1, 40), st.just(3)),
    elements=st.integers(-512, 512).map(lambda steps: steps / 64),
)


@pytest.mark.parametrize("n_samples", LENGTHS)
@pytest.mark.slow
def test_equals_the_reference_at_every_length(n_samples):
    check(noisy(n_samples))
    check(walking(n_samples))


@pytest.mark.parametrize("sr", [0.4, 1, 2.5, 12.5, 31.25, 97.1, 104.26, 400, 1e6])
def test_equals_the_reference_at_every_rate(sr):
    for n_samples in (5, 64, 333):
        check(noisy(n_samples), sr)


@pytest.mark.parametrize("n_samples", [30011, 2**15, 3**9, 5**6, 2 * 3 * 5 * 7 * 11 * 13])
@pytest.mark.slow
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


def test_enmo_counts_only_what_exceeds_one_g():
    window = np.float32([[0, 0, 2], [0, 0, 0.5], [0, 0, 1], [0, 3, 4]])
    assert feature(window, "enmo") == pytest.approx((1 + 0 + 0 + 4) / 4)


@fixed
@given(ordinary)
@pytest.mark.slow
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
@pytest.mark.slow
def test_exchanging_channels_exchanges_their_features(window):
    features = compute_statistical_features(window)
    exchanged = compute_statistical_features(np.ascontiguousarray(window[:, [1, 0, 2]]))
    np.testing.assert_array_equal(exchanged[:8], features[8:16])
    np.testing.assert_array_equal(exchanged[8:16], features[:8])
    np.testing.assert_array_equal(exchanged[[27, 29]], features[[27, 28]])


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
