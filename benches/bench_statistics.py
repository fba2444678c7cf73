"""Latency of the 56 statistical features per instruction set and thread count, and of other ways to them.

Every result is checked against the reference before it is timed.
"""

from __future__ import annotations

import importlib
import os

import numpy as np
import pytest

import numpy_statistics
import reference
from measuring import Contestant, instruction_sets
from patchtst_har.features import (
    STATISTICAL_FEATURE_NAMES,
    compute_statistical_features,
    compute_statistical_features_batch,
)

N_BATCH = 256


def check(window, features):
    reference.assert_features_close(
        np.asarray(features, np.float32), reference.statistical_features(window), STATISTICAL_FEATURE_NAMES
    )


@pytest.fixture
def batch(windows):
    """Return (256, 1000, 3) windows."""
    return np.concatenate([windows] * (N_BATCH // len(windows)))


@pytest.mark.parametrize("isa", instruction_sets(), indirect=True)
def test_one_window(windows, measure, isa):
    for window in windows[:3]:
        check(window, compute_statistical_features(window))
    measure(compute_statistical_features, windows, rounds=3000)


@pytest.mark.parametrize("isa", instruction_sets(), indirect=True)
@pytest.mark.parametrize("n_threads", [1, 2])
def test_batch_of_256_per_window(batch, measure, isa, n_threads):
    if n_threads > (os.cpu_count() or 1):
        pytest.skip(f"fewer than {n_threads} cores")
    out = np.empty((N_BATCH, len(STATISTICAL_FEATURE_NAMES)), np.float32)

    def run(windows):
        return compute_statistical_features_batch(windows, n_threads=n_threads, out=out)

    check(batch[5], run(batch)[5])
    measure(run, [batch], rounds=130, per_round=N_BATCH)


def test_numpy_one_window(windows, measure):
    for window in windows[:3]:
        check(window, numpy_statistics.statistical_features(window))
    measure(numpy_statistics.statistical_features, windows, rounds=700)


@pytest.mark.parametrize("ours", ["one window", "batch of 256"])
def test_ratios_to_numpy(windows, batch, compare, ours):
    """One thread, in turn with numpy's version, window by window."""
    contestants = [
        Contestant(ours, compute_statistical_features, windows, 64)
        if ours == "one window"
        else Contestant(ours, compute_statistical_features_batch, [batch], 4, N_BATCH),
        Contestant("numpy", numpy_statistics.statistical_features, windows, 16),
    ]
    for one in contestants:
        result = one.function(one.inputs[0])
        check(windows[0], result[0] if one.n_items > 1 else result)
    compare(contestants, rounds=60)


@pytest.mark.bench_long
def test_reference_one_window(windows, measure):
    measure(reference.statistical_features, windows, rounds=40)


def installed(name):
    """Import a package that is not a dependency, or skip."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"{name} cannot be imported: {error}")


def four_channels(window):
    """Return x, y, z and the magnitude as float64, (T, 4)."""
    axes = window.astype(np.float64)
    return np.column_stack([axes, np.sqrt((axes * axes).sum(axis=1))])


# Names in TSFEL, and where ours are; of x first, which repeats for y and z.
TSFEL_OF_AXIS = {
    "Mean": 0,
    "Standard deviation": 1,
    "Peak to peak distance": 2,
    "Min": 3,
    "Max": 4,
    "Median": 6,
}
TSFEL_OF_MAGNITUDE = {"Mean": 24, "Standard deviation": 25, "Median absolute deviation": 35, "Skewness": 36}
TSFEL_OF_MAGNITUDE |= {"Kurtosis": 37}


@pytest.mark.bench_long
def test_tsfel_equivalents_one_window(windows, measure):
    """Ten features that TSFEL defines alike, of four channels each: TSFEL takes no choice by channel."""
    tsfel = installed("tsfel")
    wanted = {*TSFEL_OF_AXIS, *TSFEL_OF_MAGNITUDE, "Interquartile range"}
    domain = tsfel.get_features_by_domain("statistical")
    domain = {"statistical": {name: domain["statistical"][name] for name in sorted(wanted)}}

    def run(window):
        return tsfel.time_series_features_extractor(
            domain, four_channels(window), fs=100, verbose=0, header_names=list("xyzm")
        )

    ours = compute_statistical_features(windows[0])
    table = run(windows[0]).iloc[0]
    for name, position in TSFEL_OF_AXIS.items():
        theirs = [table[f"{axis}_{name}"] for axis in "xyz"]
        np.testing.assert_allclose(theirs, ours[[position, 8 + position, 16 + position]], rtol=1e-4)
    for name, position in TSFEL_OF_MAGNITUDE.items():
        np.testing.assert_allclose(table[f"m_{name}"], ours[position], rtol=1e-4, atol=1e-5)
    spreads = [table[f"{axis}_Interquartile range"] for axis in "xyz"]
    np.testing.assert_allclose(spreads, ours[[7, 15, 23]] - ours[[5, 13, 21]], rtol=1e-4)
    measure(run, windows, rounds=30)


@pytest.mark.bench_long
def test_tsfel_statistical_domain_one_window(windows, measure):
    tsfel = installed("tsfel")
    domain = tsfel.get_features_by_domain("statistical")

    def run(window):
        return tsfel.time_series_features_extractor(
            domain, window, fs=100, verbose=0, header_names=list("xyz")
        )

    table = run(windows[0]).iloc[0]
    ours = compute_statistical_features(windows[0])
    np.testing.assert_allclose([table[f"{axis}_Mean"] for axis in "xyz"], ours[[0, 8, 16]], rtol=1e-4)
    measure(run, windows, rounds=20)


@pytest.mark.bench_long
def test_scikit_digital_health_equivalents_one_window(windows, measure):
    """Ten features; it defines autocorrelation and spectrum otherwise: the last four are not compared."""
    features = installed("skdh.features")
    of_axes = [features.Mean(), features.StdDev(), features.Range(), features.IQR()]
    of_magnitude = [
        features.Skewness(),
        features.Kurtosis(),
        features.Autocorrelation(lag=100),
        features.DominantFrequency(),
        features.DominantFrequencyValue(),
        features.SpectralEntropy(),
    ]

    def run(window):
        channels = np.ascontiguousarray(four_channels(window).T)
        return [one.compute(channels, fs=100.0, axis=-1) for one in of_axes] + [
            one.compute(channels[3], fs=100.0, axis=-1) for one in of_magnitude
        ]

    ours = compute_statistical_features(windows[0])
    mean, std, extent, spread, skew, kurtosis = run(windows[0])[:6]
    np.testing.assert_allclose(mean, ours[[0, 8, 16, 24]], rtol=1e-4)
    # Its deviation is the sample's, ours the population's.
    np.testing.assert_allclose(std * np.sqrt(0.999), ours[[1, 9, 17, 25]], rtol=1e-4)
    np.testing.assert_allclose(extent, ours[[2, 10, 18, 26]], rtol=1e-4)
    quartiles = ours[[7, 15, 23, 34]] - ours[[5, 13, 21, 32]]
    np.testing.assert_allclose(spread, quartiles, rtol=1e-4)
    # Its skew and kurtosis are corrected for the sample's bias.
    n = len(windows[0])
    np.testing.assert_allclose(skew, ours[36] * np.sqrt(n * (n - 1)) / (n - 2), rtol=1e-4, atol=1e-5)
    corrected = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * ours[37] + 6)
    np.testing.assert_allclose(kurtosis, corrected, rtol=1e-4, atol=1e-5)
    measure(run, windows, rounds=200)
