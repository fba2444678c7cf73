"""The numpy version that ours is timed against is right, and checks ours for long windows."""

from __future__ import annotations

import numpy as np
import pytest

import numpy_movement
import numpy_statistics
import reference
from movement_reference import assert_movement_close
from patchtst_har.features import (
    MOVEMENT_FEATURE_NAMES,
    STATISTICAL_FEATURE_NAMES,
    compute_statistical_features,
)
from statistical_windows import noisy, walking


@pytest.mark.parametrize("sr", [12.5, 100.0])
def test_equal_the_reference(sr):
    windows = [make(n) for n in (1, 2, 3, 4, 6, 50, 997, 1000) for make in (noisy, walking)]
    windows += [np.tile(np.float32(rest), (n, 1)) for rest in ([0, 0, 0], [0.6, 0, 0.8]) for n in (1, 300)]
    windows.append(np.round(walking() * 64) / 64)
    for window in windows:
        features = np.asarray(numpy_statistics.statistical_features(window, sr), np.float32)
        expected = reference.statistical_features(window, sr)[: len(features)]
        reference.assert_features_close(features, expected, STATISTICAL_FEATURE_NAMES[: len(features)])


@pytest.mark.parametrize("sr", [12.5, 100.0])
@pytest.mark.slow
def test_movement_equals_the_reference(sr):
    windows = [make(n) for n in (1, 2, 3, 7, 50, 997, 1000) for make in (noisy, walking)]
    windows += [np.tile(np.float32(rest), (n, 1)) for rest in ([0, 0, 0], [0.6, 0, 0.8]) for n in (1, 300)]
    for window in windows:
        features = np.asarray(numpy_movement.movement_features(window, sr), np.float32)
        assert_movement_close(features, window, MOVEMENT_FEATURE_NAMES, sr)


@pytest.mark.parametrize("n_samples", [2**20, 2**20 - 3, 10**6, 3**12])
@pytest.mark.slow
def test_the_longest_windows_equal_numpys_version(n_samples):
    """2**20 - 3 is prime; the reference's loops would take minutes."""
    window = noisy(n_samples)
    expected = np.asarray(numpy_statistics.statistical_features(window))
    n = len(expected)
    features = compute_statistical_features(window)
    reference.assert_features_close(features[:n], expected, STATISTICAL_FEATURE_NAMES[:n])
