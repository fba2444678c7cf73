"""Persistence of large clouds through a few of their points, with a bound on the error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from patchtst_har import _core
from patchtst_har.errors import DataError
from patchtst_har.features.checks import Float32Array, checked_count
from patchtst_har.features.persistence import FloatPoints, check_points, rips_persistence


@dataclass(frozen=True, eq=False)
class LandmarkDiagrams:
    """The diagrams of some points of a cloud, and how far those of the whole cloud can be from them."""

    h0: Float32Array
    """(k, 2) birth and death of the landmarks' finite bars, as `rips_persistence` gives them."""
    h1: Float32Array
    """(k, 2) likewise."""
    landmarks: NDArray[np.int64]
    """(m,) rows of the chosen points, in the order of their choice."""
    error_bound: float
    """Most that the bottleneck distance to the whole cloud's diagrams can be, in the units of the points."""


def landmark_persistence(points: FloatPoints, n_landmarks: int) -> LandmarkDiagrams:
    """Return the Vietoris-Rips diagrams of `n_landmarks` points of a cloud that lie as far apart as can be.

    The first landmark is the point nearest to the mean, every further one the point farthest from those
    before (max-min sampling); of equally good ones, the first in `points`.

    Parameters
    ----------
    points : ndarray of float32 or float64, shape (n, d)
        n >= 0 points, also more than `rips_persistence` takes; finite.
    n_landmarks : int
        1 to 2048. Fewer are chosen where fewer points are distinct; then nothing is lost.

    Returns
    -------
    LandmarkDiagrams

    Raises
    ------
    DataError
        If `points` or `n_landmarks` is not as above, or as `rips_persistence` for the landmarks.
    TypeError
        If `points` is not a numpy array or `n_landmarks` no integer.

    Notes
    -----
    With r the largest distance from a point to its nearest landmark, every simplex of the cloud at scale t
    has an image among the landmarks at t + 2 r, and every one of theirs is one of the cloud at t: the
    diagrams differ by at most 2 r in bottleneck distance (Chazal, de Silva and Oudot, Geometriae Dedicata
    173, 2014), which is `error_bound`. A landmarks' bar that lasts longer than twice the bound stands for one
    of the cloud. The time is O(n n_landmarks), and that of `rips_persistence` for the landmarks.
    """
    check_points(points)
    n_landmarks = checked_count(n_landmarks, "n_landmarks")
    if n_landmarks > _core.MOST_POINTS:
        raise DataError(f"n_landmarks must be at most {_core.MOST_POINTS}, is {n_landmarks}")
    landmarks, radius = _sample(points.astype(np.float64), n_landmarks)
    h0, h1 = rips_persistence(points[landmarks])
    return LandmarkDiagrams(h0, h1, landmarks, 2 * radius)


def _sample(points: NDArray[np.float64], n_landmarks: int) -> tuple[NDArray[np.int64], float]:
    """Return the landmarks, and the largest distance of a point from its nearest one."""
    if len(points) == 0:
        return np.empty(0, np.int64), 0.0
    chosen = [int(np.argmin(_squared_distances(points, points.mean(axis=0))))]
    nearest = _squared_distances(points, points[chosen[0]])
    while len(chosen) < n_landmarks and nearest.max() > 0:
        chosen.append(int(np.argmax(nearest)))
        np.minimum(nearest, _squared_distances(points, points[chosen[-1]]), out=nearest)
    return np.array(chosen), float(np.sqrt(nearest.max()))


def _squared_distances(points: NDArray[np.float64], centre: NDArray[np.float64]) -> NDArray[np.float64]:
    # Axis by axis: the order of the additions does not depend on the shape.
    squares = np.zeros(len(points))
    for axis, place in zip(points.T, centre, strict=True):
        squares += np.square(axis - place)
    return squares
