"""Wilcoxon's signed-rank test and its interval, for paired differences that may drift together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_LARGEST_CORRELATION = 0.9
# Below the smallest normal double, of many hundred differences, the exact tail is 0.
_SMALLEST_TAIL = 1e-300
_NORMAL = NormalDist()
# A smaller spread of differences is that of their rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Shift:
    """Where paired differences lie.

    Attributes
    ----------
    estimate : float
        Hodges-Lehmann estimate: the median of the means of all pairs of differences.
    low, high : float or None
        Bounds of it; None if so few differences cannot give that confidence.
    p : float
        Two-sided probability of ranks as far from zero if differences were symmetric around zero.
    """

    estimate: float
    low: float | None
    high: float | None
    p: float


def estimate_shift(differences: NDArray[np.float64], confidence: float) -> Shift:
    """Estimate the shift of differences in the order in which they were measured.

    Parameters
    ----------
    differences : ndarray, shape (n,)
        Finite, n >= 3.
    confidence : float
        Of the bounds.

    Returns
    -------
    Shift
        From the exact distribution of the signed-rank sum of independent differences. What neighbours share
        (their correlation, if positive) widens bounds and p: such differences tell less than their number.
    """
    means = _walsh_means(differences)
    estimate = float(np.median(means))
    inflation = _inflation(differences)
    cumulative = _rank_sum_distribution(len(differences))
    rank_sum = float((means > 0).sum() + 0.5 * (means == 0).sum())
    tail = float(cumulative[math.floor(min(rank_sum, len(means) - rank_sum))])
    p = 2 * _NORMAL.cdf(_NORMAL.inv_cdf(min(max(tail, _SMALLEST_TAIL), 0.5)) / inflation)
    outside = int(np.searchsorted(cumulative, (1 - confidence) / 2, side="right"))
    if outside == 0:
        return Shift(estimate, None, None, p)
    low, high = float(means[outside - 1]), float(means[len(means) - outside])
    return Shift(
        estimate, estimate - inflation * (estimate - low), estimate + inflation * (high - estimate), p
    )


def holm(p_values: list[float]) -> list[float]:
    """Return p values adjusted for their number (Holm 1979): each holds for the whole family."""
    order = np.argsort(p_values)
    n = len(p_values)
    adjusted, largest = [0.0] * n, 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (n - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def _walsh_means(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sorted means of all pairs, each difference with itself included: (n (n + 1) / 2,)."""
    rows, columns = np.triu_indices(len(differences))
    return np.sort((differences[rows] + differences[columns]) / 2)


def _rank_sum_distribution(n: int) -> NDArray[np.float64]:
    """Return P(sum of positive ranks <= k), k = 0 .. n (n + 1) / 2, for n symmetric differences."""
    probabilities = np.ones(1)
    for rank in range(1, n + 1):
        shifted = np.concatenate([np.zeros(rank), probabilities])
        probabilities = 0.5 * (np.concatenate([probabilities, np.zeros(rank)]) + shifted)
    return np.cumsum(probabilities)


def _inflation(differences: NDArray[np.float64]) -> float:
    """Return by how much the spread of a mean grows because neighbours are alike (first-order process)."""
    n = len(differences)
    centred = differences - differences.mean()
    variance = float(centred @ centred)
    if variance < n * _ROUNDING**2:
        return 1.0
    found = float(centred[1:] @ centred[:-1]) / variance
    # The estimate of so few is too low by about (1 + 3 r) / n (Kendall 1954).
    correlation = min(max(found + (1 + 3 * found) / n, 0.0), _LARGEST_CORRELATION)
    return math.sqrt((1 + correlation) / (1 - correlation))
