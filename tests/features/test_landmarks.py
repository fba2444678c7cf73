from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clouds import KINDS, cloud
from patchtst_har.errors import DataError
from patchtst_har.features import landmark_persistence, rips_persistence


def slow_landmarks(points, n_landmarks):
    """Return max-min landmarks and the largest distance to the nearest one, by the definition."""
    points = points.astype(np.float64)
    mean = points.mean(axis=0)
    chosen = [min(range(len(points)), key=lambda i: math.dist(points[i], mean))]
    while True:
        nearest = [min(math.dist(point, points[i]) for i in chosen) for point in points]
        if len(chosen) == n_landmarks or max(nearest) == 0:
            return chosen, max(nearest)
        chosen.append(nearest.index(max(nearest)))


@pytest.mark.parametrize("kind", ["uniform", "clustered", "duplicated", "far"])
@pytest.mark.parametrize("n_landmarks", [1, 2, 7, 40])
@pytest.mark.slow
def test_landmarks_are_chosen_by_the_definition(kind, n_landmarks):
    points = cloud(kind, 40, 3, 0)
    result = landmark_persistence(points, n_landmarks)
    expected, radius = slow_landmarks(points, n_landmarks)
    assert result.landmarks.tolist() == expected
    assert result.error_bound == pytest.approx(2 * radius, rel=1e-12)
    for bars, wanted in zip((result.h0, result.h1), rips_persistence(points[expected]), strict=True):
        np.testing.assert_array_equal(bars, wanted)


@settings(deadline=None, max_examples=150, derandomize=True, database=None)
@given(
    st.sampled_from(KINDS),
    st.integers(1, 60),
    st.integers(1, 4),
    st.integers(0, 2**32 - 1),
    st.integers(1, 60),
)
@pytest.mark.slow
def test_the_diagrams_differ_by_no_more_than_the_bound(kind, n_points, dimension, seed, n_landmarks):
    gudhi = pytest.importorskip("gudhi")
    points = cloud(kind, n_points, dimension, seed)
    result = landmark_persistence(points, n_landmarks)
    rounding = 1e-6 * float(np.abs(points).max())
    for bars, whole in zip((result.h0, result.h1), rips_persistence(points), strict=True):
        distance = gudhi.bottleneck_distance(bars.astype(np.float64), whole.astype(np.float64))
        assert distance <= result.error_bound + rounding


def test_the_bound_is_tight_enough_to_tell_a_loop():
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, 20_000)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    result = landmark_persistence(points, 200)
    assert len(result.landmarks) == 200
    assert 0 < result.error_bound < 0.1
    lifetimes = result.h1[:, 1] - result.h1[:, 0]
    assert (lifetimes > 2 * result.error_bound).sum() == 1
    assert lifetimes.max() == pytest.approx(math.sqrt(3), abs=result.error_bound)


@pytest.mark.parametrize("kind", KINDS)
def test_all_distinct_points_give_the_diagrams_of_the_cloud(kind):
    points = cloud(kind, 50, 3, 1)
    result = landmark_persistence(points, 50)
    assert result.error_bound == 0
    assert len(result.landmarks) == len(np.unique(points, axis=0))
    for bars, whole in zip((result.h0, result.h1), rips_persistence(points), strict=True):
        np.testing.assert_array_equal(bars, whole)


@pytest.mark.parametrize("n_points", [0, 1])
def test_fewer_than_two_points_have_no_bars(n_points):
    result = landmark_persistence(np.zeros((n_points, 3)), 5)
    assert len(result.landmarks) == n_points
    assert result.error_bound == 0
    assert result.h0.shape == result.h1.shape == (0, 2)


@pytest.mark.parametrize(
    ("points", "n_landmarks", "error", "message"),
    [
        (np.zeros((5, 2)), 0, DataError, "n_landmarks must be at least 1, not 0"),
        (np.zeros((5, 2)), 2049, DataError, "n_landmarks must be at most 2048, is 2049"),
        (np.zeros((5, 2)), 2.0, TypeError, "n_landmarks must be an integer, not float"),
        (np.zeros(5), 2, DataError, "points must have shape (n, d >= 1), not (5,)"),
        (np.array([[0.0, np.nan]]), 2, DataError, "row 0 is not finite"),
        ([[0.0]], 2, TypeError, "points must be a numpy array, not list"),
    ],
)
def test_bad_arguments_are_refused(points, n_landmarks, error, message):
    with pytest.raises(error, match=re.escape(message)):
        landmark_persistence(points, n_landmarks)
