"""A model adapted to a person by some labelled windows: what is added to the weights of its last layer.

The logits are W e + b, e being a window's embedding. An adaptation is dW and db, fitted on the person's
windows with W and b as they are; W + dW and b + db take their place, so every engine runs it at no cost.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from patchtst_har.errors import DataError
from patchtst_har.inference.familiarity import Familiarity
from patchtst_har.support.documents import parse_json
from patchtst_har.support.files import atomic_path
from patchtst_har.support.tensors import read_metadata, read_tensors

L2 = 0.03
"""Half of this times the squares of dW and db is added to the loss, a sum over windows' shares."""

LEAST_WINDOWS = 2

# Of the minimisation, which takes some ten steps of some ten products.
_MOST_STEPS, _MOST_PRODUCTS, _FLAT, _LEAST_SIZE = 50, 250, 1e-5, 1e-6

_FORMAT, _FACTS = "adaptation 1", "patchtst_har"
_HEAD = ("head.project.weight", "head.project.bias")

Tensors = Mapping[str, NDArray[Any]]
Float64Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Adaptation:
    """What some labelled windows of a person add to a model.

    Attributes
    ----------
    weight : ndarray of float32, shape (K, E)
        Added to the weights of the last layer.
    bias : ndarray of float32, shape (K,)
        Added to its bias.
    model : str
        Fingerprint of the model (`weights_fingerprint`); no other model takes it.
    classes : tuple of str
        The model's.
    n_windows : dict of str to int
        Labelled windows of each class that had any.
    labelled_s : dict of str to float
        Seconds that these windows cover.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    model: str
    classes: tuple[str, ...]
    n_windows: dict[str, int]
    labelled_s: dict[str, float]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 that identifies this adaptation."""
        digest = hashlib.sha256(self.model.encode())
        digest.update(self.weight.tobytes() + self.bias.tobytes())
        return digest.hexdigest()

    def folded(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        """Return a model's tensors with the adaptation in them."""
        added = dict(zip(_HEAD, (self.weight, self.bias), strict=True))
        sums = {name: tensors[name].astype(np.float64) + values for name, values in added.items()}
        return {**tensors, **{name: values.astype(np.float32) for name, values in sums.items()}}

    def save(self, path: Path | str) -> Path:
        """Write a safetensors file, whole or not at all; return its path."""
        facts = {
            "format": _FORMAT,
            "model": self.model,
            "classes": self.classes,
            "n_windows": self.n_windows,
            "labelled_s": self.labelled_s,
        }
        # One text: the order of several would change from file to file.
        metadata = {_FACTS: json.dumps(facts)}
        with atomic_path(path) as temporary:
            safetensors.numpy.save_file({"weight": self.weight, "bias": self.bias}, temporary, metadata)
        return Path(path)

    @classmethod
    def load(cls, path: Path | str, tensors: Tensors, classes: tuple[str, ...]) -> Self:
        """Read what `save` wrote, for the model with these tensors and classes.

        Raises
        ------
        DataError
            If there is no such file, it is damaged, or it belongs to another model; the message names it.
        """
        path = Path(path)
        if not path.is_file():
            raise DataError(f"{path}: no such file")
        values, facts = read_tensors(path), parse_json(read_metadata(path).get(_FACTS, "{}"), str(path))
        if not isinstance(facts, dict) or facts.get("format") != _FORMAT or set(values) != {"weight", "bias"}:
            raise DataError(f"{path}: is no adaptation of a model (patchtst-har adapt writes one)")
        if facts.get("model") != weights_fingerprint(tensors, classes):
            raise DataError(f"{path}: was made for another model, not for this one; adapt this one")
        single = {name: np.ascontiguousarray(array, np.float32) for name, array in values.items()}
        for name, tensor in zip(("weight", "bias"), _HEAD, strict=True):
            expected, found = tensors[tensor].shape, single[name].shape
            if found != expected:
                raise DataError(f"{path}: {name} must have shape {expected}, has {found}")
        counts, seconds = (_by_class(facts, name, classes, path) for name in ("n_windows", "labelled_s"))
        n_windows = {name: int(value) for name, value in counts.items()}
        return cls(single["weight"], single["bias"], facts["model"], classes, n_windows, seconds)


def weights_fingerprint(tensors: Tensors, classes: Sequence[str]) -> str:
    """Return the SHA-256 of a model's tensors and classes, wherever the model lies."""
    digest = hashlib.sha256(json.dumps(list(classes)).encode())
    for name in sorted(tensors):
        values = np.asarray(tensors[name])
        single = np.ascontiguousarray(values, np.float32 if values.dtype.kind == "f" else np.int64)
        digest.update(f"{name}:{single.shape}\n".encode())
        digest.update(single.tobytes())
    return digest.hexdigest()


def fit_residual(
    embeddings: NDArray[np.float32],
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    familiarity: Familiarity,
    head: tuple[NDArray[Any], NDArray[Any]],
    shares: Float64Array | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fit what is to be added to the last layer (penalised multinomial logistic regression).

    Only classes with labelled windows get something added. So that it does not draw the windows of the other
    classes to them, each of these takes part with one more window, its mean embedding over the training
    people, which counts as much as the labelled windows of a class do on average. Embeddings are scaled to a
    mean variance of 1 over the training windows, so `L2` means the same for every model.

    Parameters
    ----------
    embeddings : ndarray of float32, shape (n, E)
        Of the person's windows.
    logits : ndarray of float32, shape (n, K)
        Of the model as it was trained.
    labels : ndarray of int64, shape (n,)
        Classes of the windows.
    familiarity : Familiarity
        The model's.
    head : tuple of ndarray, shapes (K, E) and (K,)
        Weights and bias of the last layer as it was trained.
    shares : ndarray of float64, shape (n,), optional
        How much each window counts (`window_shares`); 1 if left out.

    Returns
    -------
    weight : ndarray of float32, shape (K, E)
    bias : ndarray of float32, shape (K,)
    """
    n_classes = logits.shape[1]
    labelled = np.unique(labels)
    anchors = [k for k in np.flatnonzero(familiarity.class_windows > 0) if k not in labelled]
    means = familiarity.class_means[anchors].astype(np.float64)
    centre, spread = familiarity.centre.astype(np.float64), float(familiarity.spread)
    scaled = (np.concatenate([embeddings.astype(np.float64), means]) - centre) / spread
    # What is added lies in the space of the windows, so that space is all that is searched.
    basis, inputs = np.linalg.qr(np.column_stack([scaled, np.ones(len(scaled))]).T)
    inputs = np.ascontiguousarray(inputs.T)
    frozen = np.concatenate([logits.astype(np.float64), means @ head[0].T + head[1]])
    targets = np.eye(n_classes)[np.concatenate([labels, anchors]).astype(np.int64)]
    own = np.ones(len(labels)) if shares is None else shares
    weights = np.concatenate([own, np.full(len(anchors), own.sum() / len(labelled))])

    rows = _minimum(inputs, frozen, targets, weights, labelled) @ basis.T
    weight, bias = np.zeros((n_classes, embeddings.shape[1])), np.zeros(n_classes)
    weight[labelled] = rows[:, :-1] / spread
    bias[labelled] = rows[:, -1] - weight[labelled] @ centre
    return weight.astype(np.float32), bias.astype(np.float32)


def _minimum(
    inputs: Float64Array,
    frozen: Float64Array,
    targets: Float64Array,
    counts: Float64Array,
    labelled: NDArray[np.int64],
) -> Float64Array:
    """Return the rows (labelled classes, r) that minimise the penalised loss.

    Newton's steps, each by conjugate gradients, in numpy alone: scipy's L-BFGS takes seconds where other
    processes use the cores.

    Parameters
    ----------
    inputs : ndarray, shape (n, r)
        Of the windows, of which the scores are linear functions.
    frozen, targets : ndarray, shape (n, K)
        Scores without an addition; 1 for the true class.
    counts : ndarray, shape (n,)
        How often a window counts.
    labelled : ndarray of int64
        Classes that get an addition.
    """
    rows = np.zeros((len(labelled), inputs.shape[1]))
    value, chances = _loss(rows, inputs, frozen, targets, counts, labelled)
    for _ in range(_MOST_STEPS):
        slope = ((counts[:, None] * (chances - targets))[:, labelled]).T @ inputs + L2 * rows
        if np.abs(slope).max() < _FLAT:
            break
        step = _newton_step(slope, inputs, chances[:, labelled], counts)
        size, expected = 1.0, float((slope * step).sum())
        while True:
            tried = rows + size * step
            new_value, new_chances = _loss(tried, inputs, frozen, targets, counts, labelled)
            if new_value <= value + 1e-4 * size * expected or size < _LEAST_SIZE:
                break
            size /= 2
        if new_value >= value:
            break
        rows, value, chances = tried, new_value, new_chances
    return rows


def _loss(
    rows: Float64Array,
    inputs: Float64Array,
    frozen: Float64Array,
    targets: Float64Array,
    counts: Float64Array,
    labelled: NDArray[np.int64],
) -> tuple[float, Float64Array]:
    """Return the penalised loss, and the probabilities (n, K); arguments as `_minimum`."""
    scores = frozen.copy()
    scores[:, labelled] += inputs @ rows.T
    scores -= scores.max(axis=1, keepdims=True)
    odds = np.exp(scores)
    sums = odds.sum(axis=1, keepdims=True)
    losses = (targets * (np.log(sums) - scores)).sum(axis=1)
    return float(counts @ losses + 0.5 * L2 * (rows**2).sum()), odds / sums


def _newton_step(
    slope: Float64Array, inputs: Float64Array, chances: Float64Array, counts: Float64Array
) -> Float64Array:
    """Return minus the inverse of the loss's curvature, applied to its slope (labelled classes, r)."""
    weighed = counts[:, None] * chances
    step = np.zeros_like(slope)
    rest = direction = -slope
    size = first = float((rest**2).sum())
    for _ in range(_MOST_PRODUCTS):
        along = inputs @ direction.T
        curved = (weighed * (along - (chances * along).sum(axis=1, keepdims=True))).T @ inputs
        curved += L2 * direction
        length = size / float((direction * curved).sum())
        step, rest = step + length * direction, rest - length * curved
        size, before = float((rest**2).sum()), size
        if size < 1e-6 * first:
            break
        direction = rest + size / before * direction
    return step


def class_indices(
    labels: Sequence[str] | NDArray[Any], classes: tuple[str, ...], n: int
) -> NDArray[np.int64]:
    """Return the place of every label in `classes`.

    Raises
    ------
    DataError
        If there are not `n` labels, fewer than `LEAST_WINDOWS`, or one is not a class.
    """
    names = [str(name) for name in labels]
    if len(names) != n:
        raise DataError(f"labels: needs one for each of the {n} windows, has {len(names)}")
    unknown = sorted(set(names) - set(classes))
    if unknown:
        listed = ", ".join(map(repr, unknown))
        raise DataError(f"labels: {listed} unknown to the model, whose classes are {', '.join(classes)}")
    if n < LEAST_WINDOWS:
        raise DataError(
            f"windows: a model is adapted to at least {LEAST_WINDOWS} labelled windows, there are {n}"
        )
    return np.array([classes.index(name) for name in names], np.int64)


def window_shares(
    start_ns: NDArray[np.int64] | None, labels: NDArray[np.int64], window_s: float
) -> Float64Array:
    """Return which part of a window each of n windows adds to the time that its class's windows cover.

    Windows that overlap share the time between them, so that the penalty weighs as much as with windows that
    do not, and copies of a window count as one. Without their starts, as if none overlapped: 1 each.
    """
    shares = np.ones(len(labels))
    if start_ns is None:
        return shares
    for k in np.unique(labels):
        own = np.flatnonzero(labels == k)
        own = own[np.argsort(start_ns[own], kind="stable")]
        steps = np.minimum(np.diff(start_ns[own]) * 1e-9 / window_s, 1)
        shares[own] = (np.append(1, steps) + np.append(steps, 1)) / 2
    return shares


def _by_class(facts: Mapping[str, Any], name: str, classes: tuple[str, ...], path: Path) -> dict[str, float]:
    values = facts.get(name)
    if not isinstance(values, dict) or not set(values) <= set(classes):
        raise DataError(f"{path}: {name}: needs numbers of the model's classes")
    for value in values.values():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise DataError(f"{path}: {name}: {value!r} is not a valid number of windows or seconds")
    return {key: float(value) for key, value in values.items()}
