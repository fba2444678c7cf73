from __future__ import annotations

import numpy as np
import pytest

import reference
from patchtst_har.config import N_STATISTICAL_FEATURES
from patchtst_har.errors import DataError, FeatureError
from patchtst_har.features import (
    STATISTICAL_FEATURE_NAMES,
    compute_extended_statistics,
    compute_extended_statistics_batch,
    compute_plugin_features,
    compute_plugin_features_batch,
    compute_statistical_features_batch,
    extended_statistics_names,
    register_feature,
)

pytestmark = pytest.mark.usefixtures("registry")


@pytest.fixture
def windows():
    return np.random.default_rng(0).normal(0, 0.4, (9, 200, 3)).astype(np.float32)


def sums(window, sr):
    return window[:, 0].sum(), len(window), sr > 60


def moody(window, sr):
    if window[0, 0] > 100:
        raise ValueError("too far")
    if window[0, 0] > 50:
        return np.array([np.nan, 1.0])
    if window[0, 0] > 20:
        return np.array([1.0])
    return np.array([1.0, 2.0])


@pytest.mark.compiles
@pytest.mark.parametrize("n_threads", [1, 2, 64])
def test_every_window_is_given_to_the_function(windows, n_threads):
    register_feature("sums", outputs=["total", "length", "fast"])(sums)
    values = compute_plugin_features_batch(windows, ["sums"], 50.0, n_threads=n_threads)
    assert values.dtype == np.float32
    assert values.shape == (9, 3)
    np.testing.assert_allclose(values[:, 0], windows[:, :, 0].sum(axis=1), rtol=1e-4, atol=1e-5)
    assert (values[:, 1:] == [200, 0]).all()
    for window, row in zip(windows, values, strict=True):
        np.testing.assert_array_equal(compute_plugin_features(window, ["sums"], 50.0), row)


def test_columns_follow_the_selection_and_out_is_written(windows):
    both = compute_plugin_features_batch(windows, ["hjorth", "jerk_rms"])
    out = np.full((9, 3), np.nan, np.float32)
    assert compute_plugin_features_batch(windows, ["jerk_rms", "hjorth"], out=out) is out
    np.testing.assert_array_equal(out, both[:, [2, 0, 1]])


@pytest.mark.compiles
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (101, r"raises ValueError: too far \(window 5\)"),
        (51, r"not finite in float32: p = nan \(window 5\)"),
        (21, r"returns 1 values, outputs names 2 \(p, q\) \(window 5\)"),
    ],
)
def test_a_failure_names_feature_and_window(windows, value, message, n_threads):
    register_feature("moody", outputs=["p", "q"])(moody)
    windows[5:, 0, 0] = value
    with pytest.raises(FeatureError, match=f"^feature 'moody': .*{message}"):
        compute_plugin_features_batch(windows, ["jerk_rms", "moody"], n_threads=n_threads)


def test_what_is_no_measurement_is_repaired_before_the_function_sees_it(windows):
    damaged = windows.copy()
    damaged[1, 5:9, 0] = np.nan
    damaged[1, 0, 2] = np.inf
    damaged[2, -1, 1] = 1e20
    damaged[3, :, 0] = np.nan
    before = damaged.copy()
    expected = compute_plugin_features_batch(
        np.stack([reference.repair(window) for window in damaged]), ["jerk_rms", "hjorth"]
    )
    np.testing.assert_array_equal(compute_plugin_features_batch(damaged, ["jerk_rms", "hjorth"]), expected)
    np.testing.assert_array_equal(damaged, before)


def test_read_only_windows_are_accepted(windows):
    expected = compute_plugin_features_batch(windows, ["jerk_rms"])
    windows.flags.writeable = False
    np.testing.assert_array_equal(compute_plugin_features_batch(windows, ["jerk_rms"]), expected)


def test_nothing_gives_nothing(windows):
    assert compute_plugin_features_batch(windows[:0], ["hjorth"]).shape == (0, 2)
    assert compute_plugin_features_batch(windows, []).shape == (9, 0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"windows": np.zeros((2, 5, 3))}, DataError, "windows must be float32, not float64"),
        ({"windows": np.zeros((5, 3), np.float32)}, DataError, r"not \(5, 3\)"),
        ({"sr": 0.0}, DataError, "sr must be positive"),
        ({"n_threads": 0}, DataError, "n_threads must be at least 1"),
        ({"out": np.zeros((9, 2), np.float32)}, DataError, r"out must have shape \(9, 1\), not \(9, 2\)"),
        ({"plugins": ["absent"]}, FeatureError, "'absent': is not registered"),
    ],
)
def test_bad_arguments_are_named(windows, arguments, error, message):
    with pytest.raises(error, match=message):
        compute_plugin_features_batch(**{"windows": windows, "plugins": ["jerk_rms"], **arguments})


def test_the_extended_statistics_are_the_built_in_ones_and_then_the_plug_ins(windows):
    names = extended_statistics_names(["hjorth"])
    assert names == (*STATISTICAL_FEATURE_NAMES, "hjorth_mobility", "hjorth_complexity")
    values = compute_extended_statistics_batch(windows, 50.0, ["hjorth"], n_threads=2)
    assert values.shape == (9, len(names))
    np.testing.assert_array_equal(
        values[:, :N_STATISTICAL_FEATURES], compute_statistical_features_batch(windows, 50.0)
    )
    np.testing.assert_array_equal(
        values[:, N_STATISTICAL_FEATURES:], compute_plugin_features_batch(windows, ["hjorth"], 50.0)
    )
    np.testing.assert_array_equal(compute_extended_statistics(windows[3], 50.0, ["hjorth"]), values[3])
    assert compute_extended_statistics(windows[3], 50.0).shape == (N_STATISTICAL_FEATURES,)
