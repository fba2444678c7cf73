"""Both feature families against the slow references on more than 1,000 real windows."""

import numpy as np
import pytest

from patchtst_har.config import DataConfig
from patchtst_har.data import cut_windows, read_recording, write_watch_recordings
from patchtst_har.features import (
    STATISTICAL_FEATURE_NAMES,
    TOPOLOGICAL_FEATURE_NAMES,
    compute_statistical_features_batch,
    compute_topological_features_batch,
)
from reference import assert_features_close, statistical_features, topological_features


@pytest.fixture(scope="module")
def windows(tmp_path_factory) -> np.ndarray:
    paths = write_watch_recordings(tmp_path_factory.mktemp("recordings"))
    config = DataConfig(hop_size=250)
    return np.concatenate([cut_windows(read_recording(path)[0], config).windows for path in paths])


def test_statistical_features(windows):
    assert len(windows) > 1000
    for row, window in zip(compute_statistical_features_batch(windows), windows, strict=True):
        assert_features_close(row, statistical_features(window, 100.0), STATISTICAL_FEATURE_NAMES)


def test_topological_features(windows):
    chosen = windows[:: len(windows) // 400].copy()
    for row, window in zip(compute_topological_features_batch(chosen), chosen, strict=True):
        assert_features_close(row, topological_features(window, 100.0), TOPOLOGICAL_FEATURE_NAMES)
