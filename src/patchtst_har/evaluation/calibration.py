"""Calibration: whether windows of confidence p are right in a fraction p of the cases.

Confidence is the largest probability, and correct means that the class of the largest probability is the true
one (also where the label was decided otherwise, as by Viterbi).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from patchtst_har.evaluation.confusion import FloatArray, Labels
from patchtst_har.records.run import Bin

Probabilities = npt.NDArray[np.float64]

N_BINS = 15
# A probability of zero for the true class has infinite loss, which JSON cannot hold.
_SMALLEST = 1e-15


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
