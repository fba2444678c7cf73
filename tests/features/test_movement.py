"""The movement features equal their reference, and are defined everywhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given

from movement_reference import assert_movement_close
from patchtst_har import _core
from patchtst_har.errors import DataError
from patchtst_har.features import (
    MOVEMENT_FEATURE_NAMES,
    compute_movement_features,
    compute_movement_features_batch,
)
from patchtst_har.synthetic import bout as activity_signal
from statistical_windows import fixed, noisy, samples, walking

LENGTHS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 97, 127, 128, 129, 250, 500]
EMPTY_BAND = math.log(1e-8)


def check(window, sr=100.0):
    features = compute_movement_features(window, sr)
    assert np.isfinite(features).all()
    assert_movement_close(features, window, MOVEMENT_FEATURE_NAMES, sr)
    return named(features)


def named(features):
    return dict(zip(MOVEMENT_FEATURE_NAMES, features.tolist(), strict=True))


@pytest.mark.parametrize("n_samples", [*LENGTHS, 997, 1000, 1001])
@pytest.mark.slow
def test_equal_the_reference_at_every_length(n_samples):
    check(noisy(n_samples))
    check(walking(n_samples))


@pytest.mark.parametrize("sr", [0.4, 1, 2.5, 12.5, 31.25, 97.1, 104.26, 400, 1e6])
def test_equal_the_reference_at_every_rate(sr):
    for n_samples in (5, 64, 333):
        check(noisy(n_samples), sr)


@pytest.mark.parametrize("activity", ["sitting", "running"])
def test_equal_the_reference_on_a_device_grid(activity):
    for seed in range(3):
        signal = activity_signal(activity, 500, np.random.default_rng(seed))
        check((np.round(signal * 64) / 64).astype(np.float32))


def test_samples_that_are_not_valid_are_repaired():
    window = walking(300)
    window[np.random.default_rng(0).random(window.shape) < 0.2] = np.nan
    window[-5:, 1] = np.inf
    check(window)


@fixed
@given(samples)
def test_always_finite(window):
    assert np.isfinite(compute_movement_features(window)).all()


@pytest.mark.parametrize("sr", [1e-30, 3e38])
def test_rates_at_the_ends_of_what_is_accepted(sr):
    for n_samples in (1, 2, 300):
        assert np.isfinite(compute_movement_features(noisy(n_samples), sr)).all()


@pytest.mark.parametrize("level", [0.0, 1.0, -0.7, 1 / 3, 1e-40, 1e18])
@pytest.mark.parametrize("n_samples", [1, 2, 77, 1000])
def test_a_constant_window_has_documented_values(level, n_samples):
    features = named(compute_movement_features(np.full((n_samples, 3), level, np.float32)))
    for channel in ("x", "y", "z", "mag"):
        for band in (1, 9, 18):
            assert features[f"{channel}_band_{band}"] == pytest.approx(EMPTY_BAND)
        assert features[f"{channel}_log_std"] == pytest.approx(math.log(1e-4))
        assert features[f"{channel}_log_jerk_mean"] == pytest.approx(math.log(1e-3))
        assert features[f"{channel}_part_mean_std"] == 0
    zeros = [name for name in features if name.startswith(("corr", "cadence", "cycle", "vertical", "horiz"))]
    assert len(zeros) == 30
    assert {features[name] for name in zeros} == {0}
    direction = math.copysign(1 / math.sqrt(3), level) if abs(level) > 1e-6 else 0
    assert features["up_x"] == pytest.approx(direction)
    assert features["z_q90"] == np.float32(level)


def test_a_step_rhythm_is_found_in_spectrum_and_autocorrelation():
    time_s = np.arange(1000) / 100
    window = np.zeros((1000, 3), np.float32)
    window[:, 2] = 1 + 0.3 * np.sin(2 * np.pi * 2 * time_s)
    features = check(window)
    assert features["cadence"] == pytest.approx(2)
    assert features["cycle_duration"] == pytest.approx(0.5)
    assert features["cycle_height"] == pytest.approx(0.95, abs=0.01)
    assert features["cycle_depth"] == pytest.approx(-0.97, abs=0.01)
    bands = [features[f"z_band_{band}"] for band in range(1, 19)]
    # A bin on an edge belongs to the band above it: 2 Hz to band 9.
    assert int(np.argmax(bands)) + 1 == 9
    assert (features["up_z"], features["up_angle_yz"]) == (1, pytest.approx(math.pi / 2))
    assert features["vertical_std"] == pytest.approx(0.3 / math.sqrt(2), abs=1e-6)
    assert features["horizontal_max"] == 0
    assert features["principal_log_var_1"] == pytest.approx(math.log(0.045), abs=1e-6)
    assert features["principal_log_var_3"] == pytest.approx(EMPTY_BAND)


def test_the_first_high_peak_is_taken_although_a_later_one_is_higher():
    """Strides of two unequal steps: the autocorrelation is higher after two."""
    time_s = np.arange(1000) / 100
    window = np.zeros((1000, 3), np.float32)
    window[:, 0] = 2 + 0.4 * np.sin(2 * np.pi * 2 * time_s) + 0.1 * np.sin(2 * np.pi * time_s)
    assert check(window)["cycle_duration"] == pytest.approx(0.5, abs=0.03)
    window[:, 0] += 0.3 * np.sin(2 * np.pi * time_s)
    assert check(window)["cycle_duration"] == pytest.approx(1, abs=0.03)


def test_bands_above_the_highest_frequency_hold_their_floor():
    features = check(noisy(250), 25.0)
    assert features["x_band_16"] > -10
    assert features["x_band_18"] == pytest.approx(EMPTY_BAND)


def test_turning_the_device_changes_neither_vertical_nor_principal_values():
    window = walking(400)
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    turned = np.ascontiguousarray(window @ turn.T, dtype=np.float32)
    still, moved = map(named, map(compute_movement_features, (window, turned)))
    for name, value in still.items():
        if name.startswith(("vertical", "horizontal", "principal", "mag", "cadence", "cycle")):
            assert moved[name] == pytest.approx(value, rel=1e-3, abs=1e-3), name


def test_batches_equal_single_windows_whatever_the_threads():
    windows = np.stack([walking(250, seed) for seed in range(13)])
    one_by_one = np.stack([compute_movement_features(window, 50.0) for window in windows])
    for n_threads in (1, 2, 64):
        batch = compute_movement_features_batch(windows, 50.0, n_threads=n_threads)
        assert batch.tobytes() == one_by_one.tobytes()
    out = np.full(one_by_one.shape, np.nan, np.float32)
    assert compute_movement_features_batch(windows, 50.0, out=out) is out
    np.testing.assert_array_equal(out, one_by_one)
    ring = walking(700)
    overlapping = np.lib.stride_tricks.sliding_window_view(ring, 100, axis=0)[::30].transpose(0, 2, 1)
    np.testing.assert_array_equal(
        compute_movement_features_batch(overlapping)[1], compute_movement_features(ring[30:130])
    )
    empty = compute_movement_features_batch(np.empty((0, 100, 3), np.float32))
    assert empty.shape == (0, len(MOVEMENT_FEATURE_NAMES))


def test_statistics_in_between_do_not_disturb():
    expected = {n: compute_movement_features(noisy(n)).tobytes() for n in (64, 997)}
    for n_samples in (64, 997, 64):
        _core.window_statistics(noisy(n_samples), 100.0)
        assert compute_movement_features(noisy(n_samples)).tobytes() == expected[n_samples]


def test_wrong_arguments_are_refused():
    with pytest.raises(DataError, match="window must be float32, not float64"):
        compute_movement_features(np.zeros((10, 3)))
    with pytest.raises(DataError, match="sr must be positive"):
        compute_movement_features(noisy(10), 0)
    with pytest.raises(DataError, match=r"out must have shape \(2, 171\)"):
        compute_movement_features_batch(noisy(10)[np.newaxis].repeat(2, 0), out=np.zeros((2, 3), np.float32))
