"""How far windows are from those that a model was trained on, by their embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from patchtst_har import _core
from patchtst_har.data.units import SignalWarning
from patchtst_har.errors import DataError, ModelFolderError
from patchtst_har.model_folder import FAMILIARITY_FILE
from patchtst_har.support.files import atomic_path
from patchtst_har.support.single_precision import to_float32
from patchtst_har.support.tensors import read_tensors

Float32Array = NDArray[np.float32]

HELD_OUT_FAMILIAR = 0.99
"""The part of the validation people's windows that is called familiar."""

MOST_COMPONENTS = 64
"""Directions of the embedding in which distances are measured: those in which training windows vary least."""

MOST_UNFAMILIAR = 0.25
"""A larger share of unfamiliar windows is said (chosen on held-out people: docs/method.md)."""

# Of the mean variance: directions in which training windows are all but equal count alike.
_RIDGE = 1e-3
# Windows whose embeddings are in memory in float64 at a time.
_BLOCK = 65_536
_TENSORS = ("class_means", "class_windows", "projection", "spread")


@dataclass(frozen=True, eq=False)
class Familiarity:
    """Where the embeddings of the training people's windows lie, by class.

    The distance of a window is that of its embedding from the nearest class mean (Mahalanobis, one covariance
    for all classes), in the directions in which the embeddings of training windows vary least: a network
    gives them the same values whatever the activity, as long as it is one that it knows. `fit` leaves the
    unit of Mahalanobis. In a model, the unit is the distance within which `HELD_OUT_FAMILIAR` of held-out
    people's windows lie (`held_out_unit`), so a window beyond 1 is unfamiliar.

    Attributes
    ----------
    class_means : ndarray of float32, shape (K, E)
        Mean embedding of each class; that of all windows for a class without a training window.
    class_windows : ndarray of float32, shape (K,)
        Training windows of each class.
    projection : ndarray of float32, shape (D, E)
        From embeddings to components in which distances are Euclidean.
    spread : ndarray of float32, shape ()
        Root mean square of the deviations of all values of training embeddings from their means.
    """

    class_means: Float32Array
    class_windows: Float32Array
    projection: Float32Array
    spread: Float32Array

    @classmethod
    def fit(cls, embeddings: Float32Array, labels: NDArray[np.int64], n_classes: int) -> Self:
        """Describe the embeddings (n, E) of training windows by their classes (n,), of `n_classes` in all."""
        blocks = [slice(first, first + _BLOCK) for first in range(0, len(embeddings), _BLOCK)]
        counts = np.bincount(labels, minlength=n_classes)
        present = np.flatnonzero(counts)
        n, width = embeddings.shape
        total, sums = np.zeros(width), np.zeros((n_classes, width))
        for rows in blocks:
            values = embeddings[rows].astype(np.float64)
            total += values.sum(axis=0)
            for k in present:
                sums[k] += values[labels[rows] == k].sum(axis=0)
        mean = total / n
        means = np.tile(mean, (n_classes, 1))
        means[present] = sums[present] / counts[present, None]
        squares, scatter = 0.0, np.zeros((width, width))
        for rows in blocks:
            centred = embeddings[rows].astype(np.float64) - mean
            squares += (centred**2).sum()
            scatter += centred.T @ centred
        variance = squares / (n * width)
        directions = np.linalg.eigh(scatter)[1][:, :MOST_COMPONENTS]
        inner = np.zeros((directions.shape[1], directions.shape[1]))
        for rows in blocks:
            within = (embeddings[rows].astype(np.float64) - means[labels[rows]]) @ directions
            inner += within.T @ within
        ridge = max(_RIDGE * variance, float(np.finfo(np.float32).tiny))
        covariance = inner / n + ridge * np.eye(directions.shape[1])
        projection = np.linalg.solve(np.linalg.cholesky(covariance), directions.T)
        means32, counts32, spread32 = (
            np.asarray(part, np.float32) for part in (means, counts, max(np.sqrt(variance), 1e-6))
        )

        return cls(means32, counts32, np.asarray(projection, np.float32), spread32)

    def in_units_of(self, distance: float) -> Self:
        """Divide all distances by `distance`, the new unit; return the result."""
        projection = self.projection / np.float32(max(distance, 1e-6))
        return type(self)(self.class_means, self.class_windows, projection, self.spread)

    @cached_property
    def centre(self) -> Float32Array:
        """The mean of the class means, each with the weight of its windows: (E,)."""
        centre = np.average(self.class_means, axis=0, weights=self.class_windows)
        return np.asarray(centre, np.float32)

    @cached_property
    def core(self) -> _core.Familiarity:
        """What computes distances."""
        return _core.Familiarity(self.centre, np.ascontiguousarray(self.projection), self._class_centres)

    @cached_property
    def _class_centres(self) -> Float32Array:
        """Where the classes that have windows lie among the directions: (k, components)."""
        known = self.class_means[self.class_windows > 0].astype(np.float64)
        centres = (known - self.centre) @ self.projection.T.astype(np.float64)
        return np.ascontiguousarray(to_float32(centres))

    def distances(self, embeddings: Float32Array) -> NDArray[np.float64]:
        """Return the distance of every window (n,) by its embedding (n, E); beyond 1 it is unfamiliar."""
        return self.core.distances(embeddings)

    def save(self, path: Path) -> None:
        """Write a safetensors file, whole or not at all."""
        with atomic_path(path) as temporary:
            safetensors.numpy.save_file({name: getattr(self, name) for name in _TENSORS}, temporary)

    @classmethod
    def load(cls, path: Path, n_classes: int, n_embedding: int) -> Self:
        """Read what `save` wrote for a model of so many classes and values of its embedding.

        Raises
        ------
        ModelFolderError
            If the file is damaged or does not fit the model; the message names it.
        """
        try:
            tensors = read_tensors(path)
        except DataError as error:
            raise ModelFolderError(str(error)) from error
        if set(tensors) != set(_TENSORS):
            raise ModelFolderError(f"{path}: needs the tensors {', '.join(_TENSORS)}")
        tensors = {name: np.array(values, np.float32, order="C") for name, values in tensors.items()}
        n_components = len(tensors["projection"]) if tensors["projection"].ndim else 0
        shapes = ((n_classes, n_embedding), (n_classes,), (max(n_components, 1), n_embedding), ())
        for name, shape in zip(_TENSORS, shapes, strict=True):
            if tensors[name].shape != shape:
                raise ModelFolderError(f"{path}: {name} must have shape {shape}, has {tensors[name].shape}")
        counts = tensors["class_windows"]
        if (counts < 0).any() or not counts.any() or not tensors["spread"] > 0:
            raise ModelFolderError(f"{path}: class_windows and spread must be positive")
        found = cls(**tensors)
        with np.errstate(over="ignore", invalid="ignore"):
            if not np.isfinite(found._class_centres).all():
                raise ModelFolderError(f"{path}: class_means or projection are beyond float32")
        return found


def held_out_unit(distances: NDArray[np.float64]) -> float:
    """Return the distance beyond which a window is unfamiliar, from those (n,) of held-out people."""
    return float(np.quantile(distances, HELD_OUT_FAMILIAR))


def load_familiarity(folder: Path | str, n_classes: int, tensors: Any) -> Familiarity | None:
    """Return what a model folder says of its training windows' embeddings; None without the file.

    Raises
    ------
    ModelFolderError
        As `Familiarity.load`.
    """
    path = Path(folder) / FAMILIARITY_FILE
    if not path.exists():
        return None
    return Familiarity.load(path, n_classes, tensors["head.project.weight"].shape[1])


def unfamiliar_doubt(n_unfamiliar: int | None, n_windows: int) -> list[str]:
    """Return a warning if many windows are unlike all that the model was trained on; None: not known."""
    # One window in a hundred of known people is unfamiliar by definition, so a single one proves nothing.
    if n_unfamiliar is None or n_unfamiliar <= max(1, MOST_UNFAMILIAR * n_windows):
        return []
    return [
        f"{n_unfamiliar:,} of {n_windows:,} windows ({n_unfamiliar / n_windows:.0%}) are far from all that "
        "the model was trained on: another movement, device or wear position; their labels are doubtful."
    ]


class UnfamiliarWarning(SignalWarning):
    """A recording is unlike those that the model was trained on."""
