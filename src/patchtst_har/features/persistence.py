"""Vietoris-Rips persistence of a point cloud in dimensions 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchtst_har import _core
from patchtst_har.errors import DataError
from patchtst_har.features.checks import Float32Array

FloatPoints = NDArray[np.floating[Any]]


def rips_persistence(points: FloatPoints, *, max_edge: float = math.inf) -> tuple[Float32Array, Float32Array]:
    """Return the finite persistence bars of the Vietoris-Rips filtration of `points`.

    Parameters
    ----------
    points : ndarray of float32 or float64, shape (n, d)
        0 <= n <= 2048 points in d >= 1 dimensions; coincident points are allowed, NaN and infinities are
        not.
    max_edge : float, default inf
        Longest edge that enters the filtration. Nothing changes beyond the enclosing radius, where the
        complex has become a cone (Bauer, J. Appl. Comput. Topol. 5, 2021).

    Returns
    -------
    h0, h1 : ndarray of float32, shape (k, 2)
        Birth and death of every class over Z/2 with death > birth that dies, sorted by birth and death, in
        the units of `points`. Both are empty for fewer than two distinct points.

    Raises
    ------
    DataError
        If the shape, dtype or a value of `points`, or `max_edge`, is not as above, which is found before any
        memory is taken; or if the reduced cycles would need more than 32 MB, before they do.
    TypeError
        If `points` is not a numpy array.

    Notes
    -----
    Distances are computed in float64 and rounded to float32. Edges of equal length come in the order of their
    ends, so that every run gives the same bars; as a set, these do not depend on the order of the points. The
    memory is kept for the thread's next cloud: about 14 n^2 bytes (3.4 MB after 490 points, 59 MB after
    2048), the points in float64, 24 bytes per cycle that ever opens (a few n; at most n^2 / 4), and up
    to 32 MB for the reduced cycles, which need little unless the cloud was built to be hard. While they
    grow, the lists of these two need up to three times their memory.
    """
    check_points(points)
    _check_count("points", points)
    return _bars(_core.rips_persistence, np.ascontiguousarray(points), max_edge)


def rips_persistence_of_distances(
    distances: Float32Array, *, max_edge: float = math.inf
) -> tuple[Float32Array, Float32Array]:
    """Return the finite persistence bars of the Vietoris-Rips filtration of a distance matrix.

    Parameters
    ----------
    distances : ndarray of float32, shape (n, n)
        Symmetric, not negative, finite, 0 on the diagonal, n <= 2048. The triangle inequality need not
        hold.
    max_edge : float, default inf
        As in `rips_persistence`, which also describes the result.

    Returns
    -------
    h0, h1 : ndarray of float32, shape (k, 2)

    Raises
    ------
    DataError
        If `distances` or `max_edge` is not as above, or memory would exceed its bound.
    TypeError
        If `distances` is not a numpy array.
    """
    _check_distances(distances)
    return _bars(_core.rips_persistence_of_distances, np.ascontiguousarray(distances), max_edge)


def _bars(
    kernel: Callable[[Any, float], tuple[Float32Array, Float32Array]], array: NDArray[Any], max_edge: float
) -> tuple[Float32Array, Float32Array]:
    if not max_edge >= 0:
        raise DataError(f"max_edge must not be negative or NaN, is {max_edge}")
    try:
        return kernel(array, float(min(max_edge, float(np.finfo(np.float32).max))))
    except _core.MemoryBoundError as error:
        raise DataError(f"{array.shape}: {error}") from error


def check_points(points: Any) -> None:
    """Raise unless `points` is an (n, d >= 1) array of finite floats whose distances do not overflow."""
    if not isinstance(points, np.ndarray):
        raise TypeError(f"points must be a numpy array, not {type(points).__name__}")
    if points.ndim != 2 or points.shape[1] < 1:
        raise DataError(f"points must have shape (n, d >= 1), not {points.shape}")
    if points.dtype not in (np.float32, np.float64):
        raise DataError(f"points must be float32 or float64, not {points.dtype} (shape {points.shape})")
    bad = ~np.isfinite(points).all(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(f"points of shape {points.shape}: row {row} is not finite: {points[row].tolist()}")
    limit = float(np.finfo(np.float32).max) / (2 * math.sqrt(points.shape[1]))
    if points.size and np.abs(points).max() > limit:
        raise DataError(f"points of shape {points.shape}: a value beyond {limit:.3g} overflows")


def _check_distances(distances: Any) -> None:
    if not isinstance(distances, np.ndarray):
        raise TypeError(f"distances must be a numpy array, not {type(distances).__name__}")
    if distances.ndim != 2 or distances.shape[0] != distances.shape[1]:
        raise DataError(f"distances must have shape (n, n), not {distances.shape}")
    if distances.dtype != np.float32:
        raise DataError(f"distances must be float32, not {distances.dtype} (shape {distances.shape})")
    _check_count("distances", distances)
    for problem, wrong in (
        ("is negative or not finite", ~((distances >= 0) & (distances < math.inf))),
        ("differs from the transposed one", distances != distances.T),
        ("on the diagonal is not 0", np.diag(np.diag(distances) != 0)),
    ):
        if wrong.any():
            row, column = (int(i) for i in np.unravel_index(np.argmax(wrong), wrong.shape))
            value = float(distances[row, column])
            raise DataError(f"distances of shape {distances.shape}: [{row}, {column}] = {value} {problem}")


def _check_count(name: str, array: NDArray[Any]) -> None:
    if len(array) > _core.MOST_POINTS:
        raise DataError(f"{name} of shape {array.shape}: more than {_core.MOST_POINTS} points")
