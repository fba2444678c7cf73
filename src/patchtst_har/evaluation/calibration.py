"""Calibration: whether windows of confidence p are right in a fraction p of the cases, and how to make it so.

Confidence is the largest probability, and correct means that the class of the largest probability is the true
one (also where the label was decided otherwise, as by Viterbi).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax

from patchtst_har.errors import DataError
from patchtst_har.evaluation.confusion import FloatArray, Labels
from patchtst_har.records.run import Bin

Probabilities = npt.NDArray[np.float64]

N_BINS = 15
# A probability of zero for the true class has infinite loss, which JSON cannot hold.
_SMALLEST = 1e-15

TEMPERATURES = (0.5, 10.0)
"""A fitted temperature lies between these: few windows that are all right would ask for one of zero."""


def ece(y_true: Labels, probabilities: Probabilities) -> float:
    """Return the expected calibration error (Guo et al., ICML 2017)."""
    _, confidence_sums, correct_sums = _bin_sums(y_true, probabilities)
    return float(np.abs(confidence_sums - correct_sums).sum() / y_true.size)


def brier(y_true: Labels, probabilities: Probabilities) -> float:
    """Return the mean squared distance to the one-hot truth, 0 to 2."""
    return float(((probabilities**2).sum(axis=1) - 2 * _own(y_true, probabilities) + 1).mean())


def nll(y_true: Labels, probabilities: Probabilities) -> float:
    """Return the mean negative log likelihood in nats; probabilities below 1e-15 are taken as 1e-15."""
    return float(-np.log(np.maximum(_own(y_true, probabilities), _SMALLEST)).mean())


def fit_temperature(logits: npt.NDArray[np.floating[Any]], y_true: Labels) -> float:
    """Return the temperature T with which softmax(logits / T) fits the labels best (Guo et al., ICML 2017).

    The most probable class of a window does not depend on T: above 1 it lowers the model's confidence, below
    1 it raises it.

    Parameters
    ----------
    logits : ndarray of float, shape (n, K)
        Of windows that the model was not trained on, n at least 1; logarithms of probabilities do as well, if
        they are finite.
    y_true : ndarray of int64, shape (n,)
        True classes.

    Returns
    -------
    float
        In `TEMPERATURES`; of the least mean negative log likelihood there, which has one minimum.

    Raises
    ------
    DataError
        If the shapes do not fit each other, there is no window, or a logit is not finite.
    """
    scores = np.asarray(logits, np.float64)
    if scores.ndim != 2 or scores.shape[:1] != np.shape(y_true) or not len(scores):
        raise DataError(
            f"logits: need shape (n, K) and a label for each row, have {scores.shape} and {np.shape(y_true)}"
        )
    if not np.isfinite(scores).all():
        raise DataError("logits: have values that are not finite")
    # Half a second that reading scores need not wait for.
    from scipy.optimize import minimize_scalar

    rows = np.arange(len(scores))

    def loss(log_temperature: float) -> float:
        return -float(log_softmax(scores / np.exp(log_temperature), axis=1)[rows, y_true].mean())

    bounds = tuple(np.log(TEMPERATURES))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6}).x))


def reliability_bins(y_true: Labels, probabilities: Probabilities) -> tuple[Bin, ...]:
    """Return the equally wide bins of a reliability diagram.

    Parameters
    ----------
    y_true : ndarray of int64, shape (n,)
        True classes.
    probabilities : ndarray of float64, shape (n, K)
        Rows sum to 1.
    """
    columns = zip(*_bin_sums(y_true, probabilities), strict=True)
    return tuple(
        Bin(
            lower=i / N_BINS,
            upper=(i + 1) / N_BINS,
            n=int(n),
            confidence=float(confidence / n) if n else None,
            accuracy=float(correct / n) if n else None,
        )
        for i, (n, confidence, correct) in enumerate(columns)
    )


def _own(y_true: Labels, probabilities: Probabilities) -> FloatArray:
    """Return the probability of the true class of each window."""
    return probabilities[np.arange(y_true.size), y_true]


def _bin_sums(y_true: Labels, probabilities: Probabilities) -> tuple[npt.NDArray[Any], ...]:
    """Return the number of windows in each bin, and their sums of confidence and of correct labels."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == y_true
    which = np.clip(np.ceil(confidence * N_BINS).astype(np.int64) - 1, 0, N_BINS - 1)
    counts = np.bincount(which, minlength=N_BINS)
    confidence_sums = np.bincount(which, weights=confidence, minlength=N_BINS)
    return counts, confidence_sums, np.bincount(which, weights=correct, minlength=N_BINS)
