"""Calibration: whether probabilities mean what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

N_BINS = 15
# A probability of zero for the true class has infinite loss, which JSON cannot hold.
_SMALLEST = 1e-15


def calibration(
    y_true: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float64], n_bins: int = N_BINS
) -> dict[str, Any]:
    """Return calibration error, Brier score, likelihood loss and the bins of a reliability diagram.

    Confidence is the largest probability, and correct means that the class of the largest probability is the
    true one (also where the label was decided otherwise, as by Viterbi).

    Parameters
    ----------
    y_true : ndarray of int64, shape (n,)
        True classes.
    probabilities : ndarray of float64, shape (n, K)
        Rows sum to 1.
    n_bins : int
        Number of equally wide confidence bins.

    Returns
    -------
    dict
        ``ece``: expected calibration error (Guo et al., ICML 2017); ``brier``: mean squared distance to the
        one-hot truth, 0 to 2; ``nll``: mean negative log likelihood in nats, probabilities below 1e-15 taken
        as 1e-15; ``bins``: lower, upper, n, mean confidence and accuracy (None in an empty bin).
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == y_true
    which = np.clip(np.ceil(confidence * n_bins).astype(np.int64) - 1, 0, n_bins - 1)
    counts = np.bincount(which, minlength=n_bins)
    confidence_sums = np.bincount(which, weights=confidence, minlength=n_bins)
    correct_sums = np.bincount(which, weights=correct, minlength=n_bins)
    own = probabilities[np.arange(y_true.size), y_true]
    squared = (probabilities**2).sum(axis=1) - 2 * own + 1
    return {
        "ece": float(np.abs(confidence_sums - correct_sums).sum() / y_true.size),
        "brier": float(squared.mean()),
        "nll": float(-np.log(np.maximum(own, _SMALLEST)).mean()),
        "n_bins": n_bins,
        "bins": [
            {
                "lower": i / n_bins,
                "upper": (i + 1) / n_bins,
                "n": int(counts[i]),
                "confidence": float(confidence_sums[i] / counts[i]) if counts[i] else None,
                "accuracy": float(correct_sums[i] / counts[i]) if counts[i] else None,
            }
            for i in range(n_bins)
        ],
    }
