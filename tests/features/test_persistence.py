from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import reference
from clouds import KINDS, cloud
from patchtst_har import _core
from patchtst_har.errors import DataError
from patchtst_har.features import persistence, rips_persistence, rips_persistence_of_distances
from patchtst_har.features.ripser_engine import enclosing_radius, pairwise_distances


def check(points, max_edge=math.inf):
    computed = rips_persistence(points, max_edge=max_edge)
    for bars, expected in zip(computed, reference.rips_diagrams(points, max_edge), strict=True):
        assert bars.dtype == np.float32
        assert bars.shape == expected.shape
        np.testing.assert_allclose(bars, expected, rtol=1e-5)
    return computed


@pytest.mark.parametrize("n_points", [2, 3, 4, 5, 10, 31, 64, 100])
@pytest.mark.parametrize("dimension", [1, 2, 3, 5])
def test_equals_ripser_on_random_clouds(n_points, dimension):
    points = np.random.default_rng([n_points, dimension]).normal(size=(n_points, dimension))
    check(points)
    check(points.astype(np.float32))


@pytest.mark.parametrize("step", [1e-6, 0.25])
@pytest.mark.parametrize("n_points", [0, 1, 2, 3, 5, 9, 14])
def test_equals_the_reduction_of_the_whole_boundary_matrix(n_points, step):
    # Coarse steps bring ties and coincident points.
    points = np.round(np.random.default_rng(n_points).normal(size=(n_points, 2)) / step) * step
    for bars, expected in zip(rips_persistence(points), reference.reduced_bars(points), strict=True):
        assert bars.shape == expected.shape
        np.testing.assert_allclose(bars, expected, rtol=1e-6)


@pytest.mark.parametrize("n_points", [63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513])
def test_every_instruction_set_gives_the_same_bars(n_points):
    rng = np.random.default_rng(n_points)
    active = _core.active_isa()
    try:
        for points in (rng.normal(size=(n_points, 3)), rng.integers(0, 9, (n_points, 3)) / 64):
            results = set()
            for isa in _core.available_isas():
                _core.select_isa(isa)
                results.add(b"|".join(bars.tobytes() for bars in rips_persistence(points)))
            assert len(results) == 1
            assert len(results.pop()) > 8 * n_points
    finally:
        _core.select_isa(active)


def test_a_distance_matrix_gives_the_bars_of_its_points():
    points = np.random.default_rng(8).normal(size=(80, 3))
    distances = pairwise_distances(points)
    for of_points, of_distances in zip(
        rips_persistence(points, max_edge=1.5),
        rips_persistence_of_distances(distances, max_edge=1.5),
        strict=True,
    ):
        np.testing.assert_array_equal(of_points, of_distances)
    assert len(of_points) > 5


def test_a_matrix_of_no_metric_equals_ripser():
    from ripser import ripser

    rng = np.random.default_rng(9)
    distances = np.triu(rng.integers(1, 50, (60, 60)), 1).astype(np.float32)
    distances += distances.T
    diagrams = ripser(distances, maxdim=1, thresh=distances.max(axis=1).min(), distance_matrix=True)["dgms"]
    for bars, expected in zip(rips_persistence_of_distances(distances), diagrams, strict=True):
        kept = sorted(bar for bar in expected.tolist() if bar[0] < bar[1] < math.inf)
        assert bars.tolist() == kept
        assert len(kept) > 20


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_points_of_a_matrix_may_coincide(zero):
    points = np.random.default_rng(10).normal(size=(40, 3))[np.arange(70) % 40]
    distances = pairwise_distances(points)
    distances[distances == 0] = zero
    of_points = rips_persistence(points)
    for bars, expected in zip(rips_persistence_of_distances(distances), of_points, strict=True):
        np.testing.assert_array_equal(bars, expected)


@pytest.mark.parametrize("max_edge", [0.0, 0.3, 0.8, 1.5, 100.0])
def test_equals_ripser_up_to_an_edge_length(max_edge):
    points = np.random.default_rng(5).normal(size=(60, 3))
    _, h1 = check(points, max_edge)
    assert (h1 <= max_edge).all()


@pytest.mark.parametrize("step", [1.0, 1 / 64])
def test_equals_ripser_with_coincident_points(step):
    points = np.random.default_rng(6).integers(0, 5, (120, 3)) * step
    assert len(np.unique(points, axis=0)) < 120
    check(points)


def test_a_square_has_one_loop():
    h0, h1 = rips_persistence(np.float32([[0, 0], [1, 0], [1, 1], [0, 1]]))
    np.testing.assert_array_equal(h0, [[0, 1]] * 3)
    np.testing.assert_allclose(h1, [[1, math.sqrt(2)]], rtol=1e-6)


def test_a_regular_polygon_dies_where_theory_says():
    angles = 2 * np.pi * np.arange(12) / 12
    h0, h1 = rips_persistence(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    side = 2 * math.sin(math.pi / 12)
    np.testing.assert_allclose(h0, [[0, side]] * 11, rtol=1e-5)
    # The loop is filled by the triangle that holds the centre: a third of the way round.
    np.testing.assert_allclose(h1, [[side, math.sqrt(3)]], rtol=1e-5)


@pytest.mark.parametrize("points", [np.zeros((0, 3)), np.ones((1, 3)), np.ones((50, 2)), np.zeros((2, 1))])
def test_fewer_than_two_distinct_points_have_no_bars(points):
    for bars in rips_persistence(points):
        assert bars.shape == (0, 2)
        assert bars.dtype == np.float32


def test_two_points_have_one_bar():
    h0, h1 = rips_persistence(np.array([[0.0, 0, 0], [0, 3, 4]]))
    assert h0.tolist() == [[0, 5]]
    assert h1.shape == (0, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_neither_the_order_of_points_nor_what_came_before_matters(kind):
    rng = np.random.default_rng(7)
    points = cloud(kind, 140, 3, 7)
    expected = rips_persistence(points)
    for shuffled in (rng.permutation(points), points, rng.permutation(points)):
        for bars, wanted in zip(rips_persistence(shuffled), expected, strict=True):
            assert bars.tobytes() == wanted.tobytes()
        rips_persistence(rng.normal(size=(60, 2)))


@settings(deadline=None, max_examples=100, derandomize=True, database=None)
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(0, 12), st.integers(1, 3)),
        elements=st.floats(-(2.0**60), 2.0**60, width=32),
    )
)
def test_any_finite_cloud_has_ordered_finite_bars(points):
    h0, h1 = rips_persistence(points)
    radius = enclosing_radius(pairwise_distances(points))
    assert len(h0) <= max(len(points) - 1, 0)
    for bars in (h0, h1):
        assert np.isfinite(bars).all()
        assert (bars[:, 1] > bars[:, 0]).all()
        assert (bars <= radius).all()
        assert bars.tolist() == sorted(bars.tolist())


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros(5), "points must have shape (n, d >= 1), not (5,)"),
        (np.zeros((5, 0)), "not (5, 0)"),
        (np.zeros((5, 2), np.int64), "points must be float32 or float64, not int64 (shape (5, 2))"),
        (np.array([[0, 0], [0, np.nan]]), "points of shape (2, 2): row 1 is not finite: [0.0, nan]"),
        (np.array([[0, np.inf]]), "row 0 is not finite"),
        (np.array([[0, 1e38], [0, -3e38]]), "points of shape (2, 2): a value beyond 1.2e+38 overflows"),
    ],
)
def test_bad_points_are_refused(points, message):
    with pytest.raises(DataError, match=re.escape(message)):
        rips_persistence(points)


def test_too_many_points_are_refused_before_memory_is_taken():
    message = "points of shape (2049, 3): more than 2048 points"
    with pytest.raises(DataError, match=re.escape(message)):
        rips_persistence(np.zeros((2049, 3)))
    message = "distances of shape (2049, 2049): more than 2048 points"
    with pytest.raises(DataError, match=re.escape(message)):
        rips_persistence_of_distances(np.broadcast_to(np.float32(0), (2049, 2049)))


def test_a_bound_that_is_met_on_the_way_names_the_cloud():
    def kernel(array, max_edge):
        raise _core.MemoryBoundError("the reduced boundaries exceed their memory bound of 7 bytes")

    message = "(5, 3): the reduced boundaries exceed their memory bound of 7 bytes"
    with pytest.raises(DataError, match=re.escape(message)):
        persistence._bars(kernel, np.zeros((5, 3)), 1.0)


def matrix(changes):
    distances = np.float32([[0, 1, 2], [1, 0, 2], [2, 2, 0]])
    for place, value in changes.items():
        distances[place] = value
    return distances


@pytest.mark.parametrize(
    ("distances", "message"),
    [
        (np.zeros((2, 3), np.float32), "distances must have shape (n, n), not (2, 3)"),
        (np.zeros((2, 2)), "distances must be float32, not float64 (shape (2, 2))"),
        (matrix({(1, 2): -1}), "distances of shape (3, 3): [1, 2] = -1.0 is negative or not finite"),
        (matrix({(0, 1): np.nan}), "[0, 1] = nan is negative or not finite"),
        (matrix({(2, 1): np.inf}), "[2, 1] = inf is negative or not finite"),
        (matrix({(0, 2): 5}), "[0, 2] = 5.0 differs from the transposed one"),
        (matrix({(1, 1): 1}), "[1, 1] = 1.0 on the diagonal is not 0"),
    ],
)
def test_bad_distances_are_refused(distances, message):
    with pytest.raises(DataError, match=re.escape(message)):
        rips_persistence_of_distances(distances)


def test_a_list_is_refused():
    with pytest.raises(TypeError, match="points must be a numpy array, not list"):
        rips_persistence([[0.0, 1.0]])


def test_an_edge_length_beyond_all_floats_is_no_limit():
    points = np.random.default_rng(3).normal(size=(20, 2))
    for bars, unlimited in zip(
        rips_persistence(points, max_edge=10**400), rips_persistence(points), strict=True
    ):
        np.testing.assert_array_equal(bars, unlimited)


@pytest.mark.parametrize("max_edge", [-1.0, math.nan])
def test_bad_edge_lengths_are_refused(max_edge):
    with pytest.raises(DataError, match=f"max_edge must not be negative or NaN, is {max_edge}"):
        rips_persistence(np.zeros((3, 2)), max_edge=max_edge)


def test_the_enclosing_radius_is_that_of_the_best_centre():
    points = np.array([[0.0], [1.0], [5.0]])
    assert enclosing_radius(pairwise_distances(points)) == 4
    assert enclosing_radius(pairwise_distances(np.zeros((0, 3)))) == 0


def test_close_points_far_from_the_origin_keep_their_distance():
    points = np.array([[1e6, 1e6, 1e6], [1e6 + 2**-10, 1e6, 1e6]])
    assert pairwise_distances(points)[0, 1] == 2**-10
