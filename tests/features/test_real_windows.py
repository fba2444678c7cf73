"""Both feature families against the slow references on real recordings.

A study, run by name: `PATCHTST_HAR_RECORDINGS=FOLDER pytest -m study tests/features`, where the folder
holds NPZ recordings with `acc` (n, 3) in g.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from patchtst_har.features import (
    STATISTICAL_FEATURE_NAMES,
    TOPOLOGICAL_FEATURE_NAMES,
    compute_statistical_features_batch,
    compute_topological_features_batch,
)
from reference import assert_features_close, statistical_features, topological_features

pytestmark = pytest.mark.study


@pytest.fixture(scope="module")
def windows() -> np.ndarray:
    folder = os.environ.get("PATCHTST_HAR_RECORDINGS")
    if folder is None:
        pytest.skip("PATCHTST_HAR_RECORDINGS names no folder of recordings")
    cut = []
    for path in sorted(Path(folder).glob("*.npz")):
        with np.load(path) as arrays:
            acceleration = arrays["acc"]
        n = len(acceleration) // 1000
        cut.append(acceleration[: n * 1000].reshape(n, 1000, 3))
    everything = np.concatenate(cut)
    assert len(everything) >= 1000
    return everything[:: max(1, len(everything) // 1500)].copy()


def test_statistical_features_of_real_windows(windows):
    got = compute_statistical_features_batch(windows)
    for row, window in zip(got, windows, strict=True):
        assert_features_close(row, statistical_features(window, 100.0), STATISTICAL_FEATURE_NAMES)


def test_topological_features_of_real_windows(windows):
    got = compute_topological_features_batch(windows)
    wrong = 0
    for row, window in zip(got, windows, strict=True):
        expected = topological_features(window, 100.0)
        # A lifetime within rounding of 5 % of the radius may be counted or not.
        count = TOPOLOGICAL_FEATURE_NAMES.index("h1_count")
        wrong += row[count] != expected[count]
        expected[count] = row[count]
        assert_features_close(row, expected, TOPOLOGICAL_FEATURE_NAMES)
    assert wrong <= len(windows) // 1000
