"""Features and diagrams against the slow references on more than 1,000 real windows of seven exercises."""

import numpy as np
import pytest

from patchtst_har.config import DataConfig
from patchtst_har.data import cut_windows, read_recording, write_watch_recordings
from patchtst_har.features import (
    STATISTICAL_FEATURE_NAMES,
    TOPOLOGICAL_FEATURE_NAMES,
    compute_statistical_features_batch,
    compute_topological_features_batch,
    rips_persistence,
    takens_embedding,
)
from reference import assert_features_close, rips_diagrams, statistical_features, topological_features

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> tuple[np.ndarray, np.ndarray]:
    paths = write_watch_recordings(tmp_path_factory.mktemp("recordings"))
    config = DataConfig(hop_size=250)
    cut = [cut_windows(read_recording(path)[0], config) for path in paths]
    return np.concatenate([one.windows for one in cut]), np.concatenate([one.labels for one in cut])


@pytest.fixture(scope="module")
def windows(labelled) -> np.ndarray:
    return labelled[0]


def test_statistical_features(windows):
    assert len(windows) > 1000
    # Each window shares three quarters with the next one; every tenth new one is computed slowly, too.
    rows = compute_statistical_features_batch(windows)
    for row, window in zip(rows[::40], windows[::40], strict=True):
        assert_features_close(row, statistical_features(window, 100.0), STATISTICAL_FEATURE_NAMES)


def test_topological_features(windows):
    chosen = windows[:: len(windows) // 50].copy()
    for row, window in zip(compute_topological_features_batch(chosen), chosen, strict=True):
        assert_features_close(row, topological_features(window, 100.0), TOPOLOGICAL_FEATURE_NAMES)


@pytest.mark.parametrize(("step", "delay", "per_exercise"), [(8, 1, 8), (5, 2, 4), (2, 5, 1)])
def test_diagrams_of_every_exercise_equal_ripsers(labelled, step, delay, per_exercise):
    windows, labels = labelled
    exercises = np.unique(labels)
    assert len(exercises) == 7
    for exercise in exercises:
        some = windows[labels == exercise]
        for window in some[:: len(some) // per_exercise][:per_exercise]:
            # On the grid of a device, with its ties.
            magnitude = (np.round(np.linalg.norm(window, axis=1) * 256) / 256).astype(np.float32)
            points = np.ascontiguousarray(takens_embedding(magnitude[::step], 3, delay))
            for bars, expected in zip(rips_persistence(points), rips_diagrams(points), strict=True):
                assert bars.shape == expected.shape
                np.testing.assert_allclose(bars, expected, rtol=1e-5)
