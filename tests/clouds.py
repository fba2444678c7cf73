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
}
