"""Other ways to persistence: ripser.py, giotto-ph where it is installed, and the method of the prototype."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from ripser import ripser

from patchtst_har.features import takens_embedding

Diagrams = Sequence[NDArray[np.float32]]


def with_ripser(distances: NDArray[np.float32]) -> Diagrams:
    """Return all bars of a matrix of distances."""
    return ripser(distances, maxdim=1, distance_matrix=True)["dgms"]


def with_giotto(distances: NDArray[np.float32]) -> Diagrams:
    """Return all bars of a matrix of distances."""
    from gph import ripser_parallel

    return ripser_parallel(distances, maxdim=1, metric="precomputed", n_threads=1)["dgms"]


OTHERS: dict[str, Callable[[NDArray[np.float32]], Diagrams]] = {"ripser.py": with_ripser}
"""Engines that are installed, by name."""
if importlib.util.find_spec("gph") is not None:
    OTHERS["giotto-ph"] = with_giotto


def lasting(diagrams: Diagrams) -> list[NDArray[np.float32]]:
    """Return the finite bars of positive length, sorted."""
    kept = []
    for bars in diagrams:
        some = bars[np.isfinite(bars[:, 1]) & (bars[:, 1] > bars[:, 0])]
        kept.append(some[np.lexsort((some[:, 1], some[:, 0]))])
    return kept


def prototype_cloud(window: NDArray[np.float32], n_points: int) -> NDArray[np.float32]:
    """Return the first points of what the prototype embeds: every second sample, delay 5."""
    magnitude = np.linalg.norm(window, axis=1)[::2]
    return np.ascontiguousarray(takens_embedding(magnitude, 3, 5)[:n_points])


def prototype_diagrams(window: NDArray[np.float32]) -> Diagrams:
    """Return the diagrams of the prototype's method, on 490 points."""
    magnitude = np.sqrt(np.square(window).sum(axis=1))
    return ripser(takens_embedding(magnitude[::2], 3, 5), maxdim=1)["dgms"]
