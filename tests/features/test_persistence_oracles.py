"""Diagrams against ripser's and gudhi's, bar by bar.

The long version is a study: `pytest -m study tests/features/test_persistence_oracles.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

import reference
from clouds import KINDS, cloud
from patchtst_har.features import rips_persistence, takens_embedding
from patchtst_har.features.embedding import decimate

some_cloud = st.builds(
    cloud,
    st.sampled_from(KINDS),
    st.integers(0, 45),
    st.integers(1, 5),
    st.integers(0, 2**32 - 1),
)


def assert_same_bars(computed, expected):
    for bars, wanted in zip(computed, expected, strict=True):
        assert bars.shape == wanted.shape
        np.testing.assert_allclose(bars, wanted, rtol=1e-5)


def gudhi_diagrams(points):
    """Return gudhi's finite bars of positive length, sorted."""
    import gudhi

    distances = cdist(points, points).astype(np.float32)
    tree = gudhi.RipsComplex(distance_matrix=distances).create_simplex_tree(max_dimension=2)
    tree.compute_persistence(homology_coeff_field=2, min_persistence=0, persistence_dim_max=False)
    diagrams = []
    for dimension in (0, 1):
        bars = tree.persistence_intervals_in_dimension(dimension).reshape(-1, 2)
        finite = bars[np.isfinite(bars[:, 1])]
        diagrams.append(finite[np.lexsort((finite[:, 1], finite[:, 0]))])
    return diagrams


def check_against_ripser(points):
    assert_same_bars(rips_persistence(points), reference.rips_diagrams(points))


@settings(deadline=None, max_examples=300, derandomize=True, database=None)
@given(some_cloud)
def test_equal_to_ripser_on_any_cloud(points):
    check_against_ripser(points)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_points", [63, 64, 65, 128, 129])
def test_equal_to_ripser_on_larger_clouds(kind, n_points):
    check_against_ripser(cloud(kind, n_points, 3, 0))


def test_equal_to_ripser_on_a_large_cloud():
    check_against_ripser(cloud("torus", 400, 4, 0))


@settings(deadline=None, max_examples=200, derandomize=True, database=None)
@given(some_cloud)
def test_equal_to_gudhi_on_any_cloud(points):
    pytest.importorskip("gudhi")
    assert_same_bars(rips_persistence(points), gudhi_diagrams(points))


@settings(deadline=None, max_examples=60, derandomize=True, database=None)
@given(some_cloud, st.floats(0, 1))
def test_equal_to_ripser_up_to_any_edge_length(points, fraction):
    longest = float(cdist(points, points).max()) if len(points) else 1.0
    # Between two float32 values, so that rounding does not decide what enters.
    max_edge = float(np.float32(fraction * longest)) * (1 + 2**-26)
    assert_same_bars(rips_persistence(points, max_edge=max_edge), reference.rips_diagrams(points, max_edge))


@pytest.mark.study
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_clouds_equal_ripsers(kind):
    """The sizes lean to the small: 300 clouds of each kind, up to 500 points."""
    rng = np.random.default_rng(0)
    for seed in range(300):
        n_points = int(500 * rng.random() ** 3) if seed else 500
        check_against_ripser(cloud(kind, n_points, int(rng.integers(1, 6)), seed))


@pytest.mark.study
@pytest.mark.parametrize("kind", KINDS)
def test_hundreds_of_clouds_equal_gudhis(kind):
    pytest.importorskip("gudhi")
    for seed in range(60):
        points = cloud(kind, 2 + 2 * seed, 1 + seed % 5, seed)
        assert_same_bars(rips_persistence(points), gudhi_diagrams(points))


def real_windows(per_activity):
    """Yield (activity, window) of recordings, with as many windows of each activity."""
    folder = os.environ.get("PATCHTST_HAR_RECORDINGS")
    if folder is None:
        pytest.skip("PATCHTST_HAR_RECORDINGS names no folder of recordings")
    found = {}
    for path in sorted(Path(folder).glob("*.npz")):
        with np.load(path) as arrays:
            acceleration, labels, classes = arrays["acc"], arrays["y"], arrays["classes"]
        for start in range(0, len(labels) - 999, 1000):
            if (labels[start : start + 1000] == labels[start]).all() and labels[start] >= 0:
                found.setdefault(str(classes[labels[start]]), []).append(acceleration[start : start + 1000])
    for activity, windows in found.items():
        for window in windows[:: max(1, len(windows) // per_activity)][:per_activity]:
            yield activity, window


@pytest.mark.study
@pytest.mark.parametrize(("factor", "delay"), [(8, 1), (5, 2), (2, 5)])
def test_real_windows_of_every_activity_equal_ripsers(factor, delay):
    activities = set()
    for activity, window in real_windows(12 if factor > 2 else 3):
        magnitude = reference.magnitude(window)
        # Every second sample as the device wrote it, with its ties; otherwise as the features take it.
        series = magnitude[::2] if factor == 2 else decimate(magnitude, factor).astype(np.float32)
        check_against_ripser(np.ascontiguousarray(takens_embedding(series, 3, delay)))
        activities.add(activity)
    assert len(activities) >= 5
