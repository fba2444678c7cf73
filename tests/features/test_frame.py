from __future__ import annotations

import numpy as np
import pytest

from patchtst_har.config import TopologyConfig
from patchtst_har.errors import DataError
from patchtst_har.features import (
    MOVEMENT_FEATURE_NAMES,
    STATISTICAL_FEATURE_NAMES,
    TOPOLOGICAL_FEATURE_NAMES,
    compute_movement_features_batch,
    compute_plugin_features_batch,
    compute_statistical_features_batch,
    compute_topological_features_batch,
    feature_frame,
)

N_BUILT_IN = len(STATISTICAL_FEATURE_NAMES) + len(TOPOLOGICAL_FEATURE_NAMES)


def test_columns_are_named_and_hold_both_kinds():
    windows = np.random.default_rng(0).normal(size=(3, 120, 3)).astype(np.float32)
    config = TopologyConfig(max_points=30)
    frame = feature_frame(windows, 50.0, config, n_threads=2)
    assert frame.shape == (3, N_BUILT_IN)
    assert set(frame.dtypes) == {np.dtype(np.float32)}
    statistical = compute_statistical_features_batch(windows, 50.0)
    topological = compute_topological_features_batch(windows, 50.0, config)
    np.testing.assert_array_equal(frame[list(STATISTICAL_FEATURE_NAMES)], statistical)
    np.testing.assert_array_equal(frame[list(TOPOLOGICAL_FEATURE_NAMES)], topological)


def test_plugins_are_columns_behind_the_others():
    windows = np.random.default_rng(0).normal(size=(3, 120, 3)).astype(np.float32)
    frame = feature_frame(windows, 50.0, TopologyConfig(max_points=30), plugins=("jerk_rms",))
    assert frame.shape == (3, N_BUILT_IN + 1)
    np.testing.assert_array_equal(
        frame[["jerk_rms"]], compute_plugin_features_batch(windows, ["jerk_rms"], 50.0)
    )


def test_movement_is_added_between_statistics_and_topology():
    windows = np.random.default_rng(0).normal(size=(3, 120, 3)).astype(np.float32)
    frame = feature_frame(windows, 50.0, TopologyConfig(max_points=30), movement=True)
    expected = STATISTICAL_FEATURE_NAMES + MOVEMENT_FEATURE_NAMES + TOPOLOGICAL_FEATURE_NAMES
    assert tuple(frame.columns) == expected
    movement = compute_movement_features_batch(windows, 50.0)
    np.testing.assert_array_equal(frame[list(MOVEMENT_FEATURE_NAMES)], movement)


def test_no_windows_give_an_empty_table_with_names():
    frame = feature_frame(np.empty((0, 100, 3), np.float32))
    assert frame.shape == (0, N_BUILT_IN)
    assert tuple(frame.columns) == STATISTICAL_FEATURE_NAMES + TOPOLOGICAL_FEATURE_NAMES


def test_a_single_window_is_refused():
    with pytest.raises(DataError, match="needs a leading axis"):
        feature_frame(np.zeros((100, 3), np.float32))
