"""Confusion matrices (K x K counts; row: true class, column: predicted), vectorised over leading axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from patchtst_har.errors import DataError
from patchtst_har.smoothing.checks import check_labels
from patchtst_har.support.names import participant_array

FloatArray = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class StreamingConfusion:
    """Confusion matrix that is updated batch by batch; predictions are not kept.

    Parameters
    ----------
    n_classes : int
        Number of classes K.

    Attributes
    ----------
    counts : ndarray of int64, shape (K, K)
        Row: true class; column: predicted class.
    """

    def __init__(self, n_classes: int) -> None:
        if n_classes < 1:
            raise DataError(f"n_classes: needs a positive integer, is {n_classes!r}")
        self.n_classes = n_classes
        self.counts: Counts = np.zeros((n_classes, n_classes), dtype=np.int64)

    def update(self, y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> None:
        """Add a batch of at least one window.

        Parameters
        ----------
        y_true, y_pred : array_like of int, shape (n,)
            Class indices, 0 to K - 1.

        Raises
        ------
        DataError
            If shapes differ or a label is out of range.
        """
        self.counts += confusion_counts(*check_pair(y_true, y_pred, self.n_classes), self.n_classes)

    def accuracy(self) -> float:
        """Return the fraction of correct windows; NaN before the first update."""
        return float(accuracy(self.counts))

    def macro_f1(self) -> float:
        """Return the mean F1 over all K classes (absent classes count as 0); 0 before the first update."""
        return float(f_score(self.counts).mean())

    def reset(self) -> None:
        """Forget all counts."""
        self.counts[:] = 0


def check_pair(y_true: npt.ArrayLike, y_pred: npt.ArrayLike, n_classes: int) -> tuple[Labels, Labels]:
    """Return both as int64 (n,); refuse other lengths, types and ranges."""
    true = check_labels(y_true, n_classes, "y_true")
    predicted = check_labels(y_pred, n_classes, "y_pred")
    if true.shape != predicted.shape:
        raise DataError(f"y_true and y_pred: need one length, have {true.size} and {predicted.size}")
    return true, predicted


def confusion_counts(y_true: Labels, y_pred: Labels, n_classes: int) -> Counts:
    """Return the (K, K) counts of checked labels."""
    return _count(y_true * n_classes + y_pred, n_classes * n_classes).reshape(n_classes, n_classes)


def participant_confusions(
    y_true: Labels, y_pred: Labels, participants: npt.ArrayLike, n_classes: int
) -> tuple[list[str], Counts]:
    """Count a confusion matrix for each participant.

    Parameters
    ----------
    y_true, y_pred : ndarray of int64, shape (n,)
        Checked class indices.
    participants : array_like, shape (n,)
        Whose window each is.
    n_classes : int
        Number of classes K.

    Returns
    -------
    names : list of str
        The G participants, sorted.
    counts : ndarray of int64, shape (G, K, K)

    Raises
    ------
    DataError
        If `participants` does not have one entry per window, or one is missing.
    """
    people = participant_array(participants).astype(str)
    if people.shape != y_true.shape:
        raise DataError(f"participants: needs shape {y_true.shape}, has {people.shape}")
    names, index = np.unique(people, return_inverse=True)
    cells = (index * n_classes + y_true) * n_classes + y_pred
    shape = (names.size, n_classes, n_classes)
    return names.tolist(), _count(cells, int(np.prod(shape))).reshape(shape)


def accuracy(confusion: npt.NDArray[Any]) -> FloatArray:
    """Return the fraction of correct windows, shape (...); NaN where there is no window."""
    return _ratio(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)), np.nan)


def precision(confusion: npt.NDArray[Any]) -> FloatArray:
    """Return the precision of every class, shape (..., K); 0 for a class that is never predicted."""
    return _ratio(_hits(confusion), confusion.sum(axis=-2), 0.0)


def recall(confusion: npt.NDArray[Any]) -> FloatArray:
    """Return the recall of every class, shape (..., K); 0 for a class that never occurs."""
    return _ratio(_hits(confusion), confusion.sum(axis=-1), 0.0)


def f_score(confusion: npt.NDArray[Any], beta: float = 1.0) -> FloatArray:
    """Return the F score of every class, shape (..., K); 0 for a class neither true nor predicted."""
    weighted = beta**2 * confusion.sum(axis=-1) + confusion.sum(axis=-2)
    return _ratio((1 + beta**2) * _hits(confusion), weighted, 0.0)


def kappa(confusion: npt.NDArray[Any]) -> FloatArray:
    """Return Cohen's kappa, shape (...); NaN where chance agreement is complete (one class only)."""
    hits, total, products = _margins(confusion)
    chance = products[0]
    return _ratio(hits * total - chance, total * total - chance, np.nan)


def matthews(confusion: npt.NDArray[Any]) -> FloatArray:
    """Return Matthews' correlation, shape (...); NaN where either side has a single class."""
    hits, total, (chance, true, predicted) = _margins(confusion)
    spread = (total * total - true) * (total * total - predicted)
    return _ratio(hits * total - chance, np.sqrt(spread), np.nan)


def mean_over(values: FloatArray, counted: Mask) -> FloatArray:
    """Return the mean of values (..., K) over the classes that are `counted`; NaN over none."""
    return weighted_mean(values, np.broadcast_to(counted, values.shape))


def weighted_mean(values: FloatArray, weights: npt.NDArray[Any]) -> FloatArray:
    """Return the mean of values (..., K) with weights of the same shape; NaN where they sum to 0."""
    return _ratio((values * weights).sum(axis=-1), weights.sum(axis=-1), np.nan)


def row_normalised(confusion: npt.NDArray[Any]) -> FloatArray:
    """Return each row divided by its sum; rows without a window are NaN."""
    return _ratio(confusion, confusion.sum(axis=-1, keepdims=True), np.nan)


def _count(cells: npt.NDArray[np.int64], n_cells: int) -> Counts:
    return np.bincount(cells, minlength=n_cells).astype(np.int64)


def _hits(confusion: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def _margins(confusion: npt.NDArray[Any]) -> tuple[FloatArray, FloatArray, tuple[FloatArray, ...]]:
    """Return hits, total, and the sums over classes of true x predicted, true squared, predicted squared."""
    counts = confusion.astype(np.float64)
    true, predicted = counts.sum(axis=-1), counts.sum(axis=-2)
    pairs = ((true, predicted), (true, true), (predicted, predicted))
    products = tuple((left * right).sum(axis=-1) for left, right in pairs)
    return np.trace(counts, axis1=-2, axis2=-1), counts.sum(axis=(-2, -1)), products


def _ratio(numerator: Any, denominator: Any, undefined: float) -> FloatArray:
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    result = np.full(numerator.shape, undefined)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result
