"""Latency of the 56 statistical features per instruction set and thread count, and of numpy.

Every result is checked against the reference before it is timed.
"""

from __future__ import annotations

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
@pytest.mark.parametrize("n_threads", [1, 2], indirect=True)
def test_batch_of_256_per_window(batch, measure, isa, n_threads):
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
