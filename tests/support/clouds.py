"""Clouds of points that are hard for persistence, each in its own way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

KINDS = (
    "uniform",
    "clustered",
    "collinear",
    "duplicated",
    "grid",
    "circle",
    "torus",
    "far",
    "still",
    "coincident",
    "lattice",
    "near_ties",
    "sphere",
    "two_far",
)


def cloud(kind: str, n_points: int, dimension: int, seed: int) -> NDArray[np.float32]:
    """Return (n_points, dimension) float32 points; the same for the same arguments."""
    rng = np.random.default_rng([KINDS.index(kind), n_points, dimension, seed])
    points = _MAKERS[kind](rng, n_points, dimension)
    assert points.shape == (n_points, dimension)
    return points.astype(np.float32)


def _uniform(rng: np.random.Generator, n: int, d: int) -> NDArray[np.float64]:
    return rng.uniform(-1, 1, (n, d))


def _clustered(rng: np.random.Generator, n: int, d: int) -> NDArray[np.float64]:
    centres = rng.uniform(-1, 1, (4, d))
    return centres[rng.integers(0, 4, n)] + rng.normal(0, 0.02, (n, d))


def _collinear(rng: np.random.Generator, n: int, d: int) -> NDArray[np.float64]:
    """Points of a line with equal and unequal gaps."""
    steps = np.where(rng.random(n) < 0.5, rng.integers(0, 20, n), rng.uniform(0, 20, n))
    return steps[:, np.newaxis] * np.eye(1, d)


def _duplicated(rng: np.random.Generator, n: int, d: int) -> NDArray[np.float64]:
    return rng.normal(0, 1, (max(n // 4, 1), d))[rng.integers(0, max(n // 4, 1), n)]


def _grid(rng: np.random.Generator, n: int, d: int) -> NDArray[np.float64]:
    """Few coordinates, so that most distances are tied."""
    return rng.integers(0, 5, (n, d)) / 64


def _on_curves(angles: list[NDArray[np.float64]], d: int) -> NDArray[np.float64]:
    waves = [wave for angle in angles for wave in (np.cos(angle), np.sin(angle))]
    flat = np.stack(waves, axis=1)[:, :d]
    return np.pad(flat, ((0, 0), (0, d - flat.shape[1])))


def _circle(rng: np.random.Generator, n: int, d: int) -> NDArray[np.float64]:
    """Corners of a regular polygon: ties up to rounding."""
    return _on_curves([2 * np.pi * np.arange(n) / max(n, 1)], d)


def _torus(rng: np.random.Generator, n: int, d: int) -> NDArray[np.float64]:
    return _on_curves(list(rng.uniform(0, 2 * np.pi, (2, n))), d)


def _far(rng: np.random.Generator, n: int, d: int) -> NDArray[np.float64]:
    points = rng.normal(0, 1, (n, d))
    points[:1] = 1e4
    return points


def _still(rng: np.random.Generator, n: int, d: int) -> NDArray[np.float64]:
    """The delay embedding of a sensor at rest, in steps of 1/64 g."""
    series = np.round(rng.normal(0, 0.6, n + d - 1)) / 64
    return np.stack([series[k : k + n] for k in range(d)], axis=1)


def _coincident(rng: np.random.Generator, n: int, d: int) -> NDArray[np.float64]:
    return np.tile(rng.normal(0, 1, (1, d)), (n, 1))


def _lattice(rng: np.random.Generator, n: int, d: int) -> NDArray[np.float64]:
    """The first points of a cubic lattice: nearly all distances are tied."""
    side = int(np.ceil(max(n, 1) ** (1 / d)))
    return np.stack(np.unravel_index(np.arange(n), (side,) * d), axis=1).astype(np.float64)


def _near_ties(rng: np.random.Generator, n: int, d: int) -> NDArray[np.float64]:
    """A lattice that rounding makes uneven."""
    return _lattice(rng, n, d) + rng.normal(0, 1e-6, (n, d))


def _sphere(rng: np.random.Generator, n: int, d: int) -> NDArray[np.float64]:
    points = rng.normal(0, 1, (n, d))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def _two_far(rng: np.random.Generator, n: int, d: int) -> NDArray[np.float64]:
    """Two clusters a thousand times their size apart."""
    return rng.normal(0, 1, (n, d)) + 1000.0 * (np.arange(n) % 2)[:, np.newaxis]


def cross_polytope(n_points: int) -> NDArray[np.float64]:
    """Return pairs of opposite corners, n_points // 2 * 2 points in n_points // 2 dimensions.

    All edges but the longest are tied, and the complex of these is a sphere.
    """
    corners = np.eye(n_points // 2)
    return np.concatenate([corners, -corners])


def random_lengths(n_points: int, n_groups: int, seed: int = 0) -> NDArray[np.float32]:
    """Return a matrix of random distances from 1 to 3, those between groups first.

    No cloud in few dimensions has as many cycles and as long boundaries; in two groups, every edge between
    them that does not join components opens a cycle.
    """
    rng = np.random.default_rng([n_points, n_groups, seed])
    lengths = np.triu(rng.uniform(1, 2, (n_points, n_points)), 1)
    groups = np.arange(n_points) % n_groups
    lengths += np.triu(groups[:, np.newaxis] == groups, 1)
    return (lengths + lengths.T).astype(np.float32)


def tripartite(n_points: int) -> NDArray[np.float64]:
    """Return the corners of three simplices, one a little smaller, around one centre.

    Every corner is equally far from all corners of the other simplices, and hardly farther from those of its
    own: nearly every edge leaves a lune of many components, so that boundaries are many and long.
    n_points // 3 * 3 points in n_points // 3 dimensions.
    """
    n_corners = n_points // 3
    simplex = np.eye(n_corners) - 1 / n_corners
    return np.concatenate([simplex, simplex, 0.9995 * simplex])


_MAKERS = {
    "uniform": _uniform,
    "clustered": _clustered,
    "collinear": _collinear,
    "duplicated": _duplicated,
    "grid": _grid,
    "circle": _circle,
    "torus": _torus,
    "far": _far,
    "still": _still,
    "coincident": _coincident,
    "lattice": _lattice,
    "near_ties": _near_ties,
    "sphere": _sphere,
    "two_far": _two_far,
}
