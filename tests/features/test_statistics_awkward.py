"""Signals that recordings should not hold but do, and numbers at the ends of single precision."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from patchtst_har.features import compute_statistical_features
from statistical_windows import check, feature, fixed, noisy, samples, walking


@pytest.mark.parametrize("sr", [5e-324, 1e-30, np.finfo(np.float32).max])
def test_extreme_rates_give_finite_features(sr):
    for n_samples in (1, 2, 100, 101):
        check(noisy(n_samples), sr)


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


def awkward_windows(n_samples):
    rng = np.random.default_rng(n_samples)
    noise = rng.normal([0.3, 0.5, 0.8], 0.3, (n_samples, 3))
    sample = np.arange(n_samples)[:, np.newaxis]
    return {
        "signed zeros": np.where(rng.random((n_samples, 3)) < 0.5, 0.0, -0.0),
        "beyond single precision": np.clip(noise, -1, 1) * 3.4e38,
        "every second sample infinite": np.where(sample % 2, noise, np.inf),
        "both infinities": np.where([True, False, True], np.where(sample % 2, np.inf, -np.inf), noise),
        "halving": np.float64(2) ** (-sample % 120) * [1, 1, 1],
        "of every order": np.sign(noise) * np.exp(rng.uniform(-80, 40, noise.shape)),
        "a small signal on a large offset": noise * 1e-3 + 1e6,
        "one unit in the last place": [0.6, 0, 0.8] + (rng.random(noise.shape) < 0.02) * 6e-8,
        "two values": np.where(rng.random(noise.shape) < 0.5, 1.0, -1.0),
        "rising peaks": sample * [1e-3, 0, 0] + sample % 2 * [0.1, 0, 0],
        "turned over": np.where(sample < n_samples // 2, [0, 0, 1.0], [0, 0, -1.0]),
    }


@pytest.mark.parametrize("name", awkward_windows(1))
@pytest.mark.slow
def test_awkward_signals_equal_the_reference(name):
    for n_samples in (1, 2, 9, 40, 211, 1000):
        check(awkward_windows(n_samples)[name].astype(np.float32))


def test_one_enormous_sample():
    window = walking(500)
    window[250] = 1e19
    assert np.isfinite(compute_statistical_features(window)).all()
    assert feature(window, "x_max") == np.float32(1e19)


def test_quartiles_survive_an_outlier_that_fills_one_bucket():
    window = noisy(777)
    window[3, 0] = 1e6
    check(window)


@fixed
@given(samples, st.floats(0.01, 1e4))
@pytest.mark.slow
def test_any_window_gives_finite_features(window, sr):
    assert np.isfinite(compute_statistical_features(window, sr)).all()
