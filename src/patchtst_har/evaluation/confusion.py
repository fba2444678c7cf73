"""Confusion matrices, and the scores that follow from them alone; all vectorised over leading axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def confusion_counts(
    y_true: npt.NDArray[np.int64], y_pred: npt.NDArray[np.int64], n_classes: int
) -> npt.NDArray[np.int64]:
    """Return the (K, K) counts of checked labels: row true class, column predicted class."""
    pairs = np.bincount(y_true * n_classes + y_pred, minlength=n_classes * n_classes)
    return pairs.reshape(n_classes, n_classes).astype(np.int64)


def accuracy(confusion: npt.NDArray[Any]) -> FloatArray:
    """Return the fraction of correct windows, shape (...); NaN where there is no window.

    Parameters
    ----------
    confusion : ndarray, shape (..., K, K)
        Counts; row: true class, column: predicted class.
    """
    return _ratio(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)), np.nan)


def class_f1(confusion: npt.NDArray[Any]) -> FloatArray:
    """Return the F1 of every class, shape (..., K); 0 for a class neither true nor predicted.

    Parameters
    ----------
    confusion : ndarray, shape (..., K, K)
        Counts; row: true class, column: predicted class.
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return _ratio(2 * hits, confusion.sum(axis=-1) + confusion.sum(axis=-2), 0.0)


def macro_f1(confusion: npt.NDArray[Any], present: npt.NDArray[np.bool_] | None = None) -> FloatArray:
    """Return the mean F1, shape (...), over all K classes or over those marked in `present`.

    Parameters
    ----------
    confusion : ndarray, shape (..., K, K)
        Counts; row: true class, column: predicted class.
    present : ndarray of bool, shape (..., K), optional
        The classes that count; default: all, an absent one as 0.
    """
    scores = class_f1(confusion)
    if present is None:
        mean: FloatArray = scores.mean(axis=-1)
        return mean
    return _ratio(np.where(present, scores, 0.0).sum(axis=-1), present.sum(axis=-1), np.nan)


def kappa(confusion: npt.NDArray[Any]) -> FloatArray:
    """Return Cohen's kappa, shape (...); NaN where chance agreement is complete (one class only).

    Parameters
    ----------
    confusion : ndarray, shape (..., K, K)
        Counts; row: true class, column: predicted class.
    """
    counts = confusion.astype(np.float64)
    total = counts.sum(axis=(-2, -1))
    chance = (counts.sum(axis=-1) * counts.sum(axis=-2)).sum(axis=-1)
    hits = np.trace(counts, axis1=-2, axis2=-1)
    return _ratio(hits * total - chance, total * total - chance, np.nan)


def row_normalised(confusion: npt.NDArray[Any]) -> FloatArray:
    """Return each row divided by its sum; rows without a window are NaN."""
    return _ratio(confusion, confusion.sum(axis=-1, keepdims=True), np.nan)


def _ratio(numerator: Any, denominator: Any, undefined: float) -> FloatArray:
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    result = np.full(numerator.shape, undefined)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result
