"""Latency of the 24 topological features and of their engine, checked before they are timed."""

from __future__ import annotations

import numpy as np
import pytest

import reference
from patchtst_har.features import (
    TOPOLOGICAL_FEATURE_NAMES,
    compute_topological_features,
    rips_persistence,
    takens_embedding,
)


def test_topology_one_window(windows, measure):
    for window in windows[:2]:
        reference.assert_features_close(
            compute_topological_features(window),
            reference.topological_features(window),
            TOPOLOGICAL_FEATURE_NAMES,
        )
    measure(compute_topological_features, windows, rounds=200)


@pytest.mark.parametrize("n_points", [100, 200])
def test_topology_persistence(windows, measure, n_points):
    series = np.linalg.norm(windows.astype(np.float64), axis=2)[:, ::4]
    clouds = [takens_embedding(row, 3, 3)[:n_points].astype(np.float32) for row in series]
    for bars, expected in zip(rips_persistence(clouds[0]), reference.rips_diagrams(clouds[0]), strict=True):
        np.testing.assert_allclose(bars, expected, rtol=1e-5)
    measure(rips_persistence, clouds, rounds=60)
