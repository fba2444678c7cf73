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
from clouds import KINDS, cloud, cross_polytope, random_lengths, tripartite
from patchtst_har.features import rips_persistence, rips_persistence_of_distances, takens_embedding
from patchtst_har.features.embedding import decimate
from recorded_windows import windows_by_activity

pytestmark = pytest.mark.slow


def some_cloud(largest, kinds=KINDS):
    return st.builds(
        cloud, st.sampled_from(kinds), st.integers(0, largest), st.integers(1, 5), st.integers(0, 2**32 - 1)
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


@settings(deadline=None, max_examples=1000, derandomize=True, database=None)
@given(some_cloud(45))
def test_equal_to_ripser_on_any_cloud(points):
    check_against_ripser(points)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_points", [63, 64, 65, 128, 129])
def test_equal_to_ripser_on_larger_clouds(kind, n_points):
    check_against_ripser(cloud(kind, n_points, 3, 0))


@pytest.mark.parametrize("n_points", [257, 400, 513])
def test_equal_to_ripser_on_large_clouds(n_points):
    check_against_ripser(cloud("torus", n_points, 4, 0))


@pytest.mark.parametrize("n_points", [6, 30, 99])
def test_equal_to_ripser_where_boundaries_are_many_and_long(n_points):
    check_against_ripser(tripartite(n_points))
    check_against_ripser(cross_polytope(n_points))


@pytest.mark.parametrize("n_groups", [1, 3])
def test_equal_to_ripser_where_lists_fill_again_and_again(n_groups):
    from ripser import ripser

    lengths = random_lengths(130, n_groups)
    diagrams = ripser(lengths, maxdim=1, distance_matrix=True)["dgms"]
    for bars, expected in zip(rips_persistence_of_distances(lengths), diagrams, strict=True):
        kept = sorted(bar for bar in expected.tolist() if bar[0] < bar[1] < np.inf)
        assert bars.tolist() == kept
    assert len(kept) > 500


@pytest.mark.parametrize("n_points", [130, 300])
def test_every_edge_between_two_groups_opens_a_cycle(n_points):
    h0, h1 = rips_persistence_of_distances(random_lengths(n_points, 2))
    assert len(h0) == n_points - 1
    assert len(h1) == (n_points // 2) ** 2 - (n_points - 1)
    assert (h1[:, 0] < 2).all()
    assert (h1[:, 1] >= 2).all()


def test_equal_to_ripser_on_the_largest_cloud():
    points = cloud("torus", 2048, 4, 0)
    max_edge = 0.3 * (1 + 2**-26)
    computed = rips_persistence(points, max_edge=max_edge)
    assert len(computed[1]) > 400
    assert_same_bars(computed, reference.rips_diagrams(points, max_edge))


def test_the_largest_polygon_dies_where_theory_says():
    h0, h1 = rips_persistence(cloud("circle", 2048, 2, 0))
    assert len(h0) == 2047
    side, third = (2 * np.sin(np.pi * steps / 2048) for steps in (1, -(-2048 // 3)))
    np.testing.assert_allclose(h1, [[side, third]], rtol=1e-4)


@settings(deadline=None, max_examples=400, derandomize=True, database=None)
@given(some_cloud(45))
def test_equal_to_gudhi_on_any_cloud(points):
    pytest.importorskip("gudhi")
    assert_same_bars(rips_persistence(points), gudhi_diagrams(points))


@settings(deadline=None, max_examples=60, derandomize=True, database=None)
@given(some_cloud(45), st.floats(0, 1))
def test_equal_to_ripser_up_to_any_edge_length(points, fraction):
    longest = float(cdist(points, points).max()) if len(points) else 1.0
    # Between two float32 values, so that rounding does not decide what enters.
    max_edge = float(np.float32(fraction * longest)) * (1 + 2**-26)
    assert_same_bars(rips_persistence(points, max_edge=max_edge), reference.rips_diagrams(points, max_edge))


@pytest.mark.study
@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=300, derandomize=True, database=None)
@given(data=st.data())
def test_thousands_of_clouds_up_to_500_points_equal_ripsers(kind, data):
    check_against_ripser(data.draw(some_cloud(500, [kind])))


@pytest.mark.study
@pytest.mark.parametrize("kind", KINDS)
def test_hundreds_of_clouds_equal_gudhis(kind):
    pytest.importorskip("gudhi")
    for seed in range(60):
        points = cloud(kind, 2 + 2 * seed, 1 + seed % 5, seed)
        assert_same_bars(rips_persistence(points), gudhi_diagrams(points))


@pytest.mark.study
@pytest.mark.parametrize(("factor", "delay"), [(8, 1), (5, 2), (2, 5)])
def test_real_windows_of_every_activity_equal_ripsers(factor, delay):
    folder = os.environ.get("PATCHTST_HAR_RECORDINGS")
    if folder is None:
        pytest.skip("PATCHTST_HAR_RECORDINGS names no folder of recordings")
    found = windows_by_activity(Path(folder), 12 if factor > 2 else 3)
    assert len(found) >= 5
    for window in np.concatenate(list(found.values())):
        magnitude = reference.magnitude(window)
        # Every second sample as the device wrote it, with its ties; otherwise as the features take it.
        series = magnitude[::2] if factor == 2 else decimate(magnitude, factor).astype(np.float32)
        check_against_ripser(np.ascontiguousarray(takens_embedding(series, 3, delay)))
