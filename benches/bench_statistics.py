"""Latency of the 56 statistical features per instruction set and thread count, and of other ways to them.

Every result is checked against the reference before it is timed.
"""

from __future__ import annotations

import importlib
import os

import numpy as np
import pytest

import numpy_statistics
import patchtst_har
import reference
from patchtst_har import _core
from patchtst_har.features import (
    STATISTICAL_FEATURE_NAMES,
    compute_statistical_features,
    compute_statistical_features_batch,
)

N_BATCH = 256
ISAS = patchtst_har.cpu_info()["available"]


def check(window, features):
    reference.assert_features_close(
        np.asarray(features, np.float32), reference.statistical_features(window), STATISTICAL_FEATURE_NAMES
    )


@pytest.fixture(params=ISAS)
def isa(request):
    """Use one instruction set after the other; afterwards the active one again."""
    active = _core.active_isa()
    _core.select_isa(request.param)
    yield request.param
    _core.select_isa(active)


@pytest.fixture
def batch(windows):
    """Return (256, 1000, 3) windows."""
    return np.concatenate([windows] * (N_BATCH // len(windows)))


def test_one_window(windows, measure, isa):
    for window in windows[:3]:
        check(window, compute_statistical_features(window))
    measure(compute_statistical_features, windows, rounds=3000)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_batch_of_256_per_window(batch, measure, isa, n_threads):
    if n_threads > (os.cpu_count() or 1):
        pytest.skip(f"fewer than {n_threads} cores")
    out = np.empty((N_BATCH, 56), np.float32)

    def run(windows):
        return compute_statistical_features_batch(windows, n_threads=n_threads, out=out)

    check(batch[5], run(batch)[5])
    measure(run, [batch], rounds=60, per_round=N_BATCH)


def test_numpy_one_window(windows, measure):
    for window in windows[:3]:
        check(window, numpy_statistics.statistical_features(window))
    measure(numpy_statistics.statistical_features, windows, rounds=300)


def test_reference_one_window(windows, measure):
    measure(reference.statistical_features, windows, rounds=40)


def installed(name):
    """Import a package that is not a dependency, or skip."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"{name} cannot be imported: {error}")


def test_tsfel_statistical_domain_one_window(windows, measure):
    tsfel = installed("tsfel")
    domain = tsfel.get_features_by_domain("statistical")

    def run(window):
        return tsfel.time_series_features_extractor(
            domain, window, fs=100, verbose=0, header_names=list("xyz")
        )

    ours = compute_statistical_features(windows[0])
    table = run(windows[0])
    np.testing.assert_allclose([table[f"{axis}_Mean"][0] for axis in "xyz"], ours[[0, 8, 16]], rtol=1e-4)
    np.testing.assert_allclose(
        [table[f"{axis}_Standard deviation"][0] for axis in "xyz"], ours[[1, 9, 17]], rtol=1e-4
    )
    measure(run, windows, rounds=20)


def test_scikit_digital_health_equivalents_one_window(windows, measure):
    features = installed("skdh.features")
    whole = [features.Mean(), features.StdDev(), features.Range()]
    of_m = [
        features.Skewness(),
        features.Kurtosis(),
        features.DominantFrequency(),
        features.SpectralEntropy(),
    ]

    def run(window):
        axes = np.ascontiguousarray(window.T, np.float64)
        m = np.sqrt((axes * axes).sum(axis=0))
        return [one.compute(axes, fs=100.0, axis=-1) for one in whole] + [
            one.compute(m, fs=100.0, axis=-1) for one in of_m
        ]

    ours = compute_statistical_features(windows[0])
    np.testing.assert_allclose(run(windows[0])[0], ours[[0, 8, 16]], rtol=1e-4)
    measure(run, windows, rounds=200)
