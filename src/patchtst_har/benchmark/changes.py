"""Which times changed between two measurements: the one test of `benchmark --compare` and of the benchmarks.

A measurement is cut into blocks of consecutive decisions or rounds. The logarithms of the ratios of paired
blocks, times taken relative to a fixed computation, go through Wilcoxon's signed-rank test, which tolerates a
minority of disturbed blocks; p values are adjusted for their number (false discovery rate).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from patchtst_har.records.feasibility import Change, Outcome, Percentile

THRESHOLD = 0.05
"""Smallest relative change that counts, unless another is asked for."""
CONFIDENCE = 0.95
N_DEVIATIONS = 4.0
"""A change must exceed so many standard errors of what whole runs differ in: times have long tails."""
_SIGNIFICANT = 0.05
_LARGEST_CORRELATION = 0.9
# A smaller spread of differences is that of their rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Paired:
    """One percentile of one piece of work in two measurements.

    Attributes
    ----------
    name : str
        Of the workload or benchmark.
    percentile : {"p50", "p95"}
        What was taken of each block.
    logs : ndarray of float64, shape (n_blocks,)
        Logarithms of time now to time before of paired blocks, in the order in which they were measured.
    between : float
        Standard error of what the two measurements differ in as a whole, so that blocks do not show it.
    unusable : str
        Why no change can be found, such as "interrupted"; None if one can.
    """

    name: str
    percentile: Percentile
    logs: NDArray[np.float64]
    between: float = 0.0
    unusable: Outcome | None = None


def find_changes(pairs: Sequence[Paired], threshold: float = THRESHOLD) -> tuple[Change, ...]:
    """Judge what changed.

    Something is slower if the interval of the ratio lies above ``1 + threshold``, the adjusted p value is
    below 5 % and the ratio exceeds `N_DEVIATIONS` standard errors of what whole runs differ in; faster if the
    same holds below ``1 / (1 + threshold)``.

    Parameters
    ----------
    pairs : sequence of Paired
        Everything that is judged together: p values are adjusted for their number, each percentile for
        itself.
    threshold : float
        Smallest relative change that counts.

    Returns
    -------
    tuple of Change
        In the order of `pairs`.
    """
    from scipy import stats

    shifts = [_shift(pair) for pair in pairs]
    adjusted = np.ones(len(pairs))
    families: dict[str, list[int]] = {}
    for row, pair in enumerate(pairs):
        if pair.unusable is None:
            families.setdefault(pair.percentile, []).append(row)
    for rows in families.values():
        adjusted[rows] = stats.false_discovery_control([shifts[row].p for row in rows])
    return tuple(
        _change(pair, shift, float(p), len(families.get(pair.percentile, ())), threshold)
        for pair, shift, p in zip(pairs, shifts, adjusted, strict=True)
    )


@dataclass(frozen=True)
class _Shift:
    """Hodges-Lehmann estimate of a shift, its bounds (None: too few), two-sided p."""

    estimate: float
    low: float | None
    high: float | None
    p: float


def _shift(pair: Paired) -> _Shift:
    """Estimate the shift of paired blocks.

    A positive correlation of neighbouring blocks widens bounds and p: such blocks hold less information
    than their number.
    """
    from scipy import stats

    logs = pair.logs
    n = len(logs)
    rows, columns = np.triu_indices(n)
    means = np.sort((logs[rows] + logs[columns]) / 2)
    estimate = float(np.median(means))
    if not logs.any():
        return _Shift(0.0, 0.0, 0.0, 1.0)
    inflation = _inflation(logs)
    score = stats.norm.isf(stats.wilcoxon(logs).pvalue / 2) / inflation
    quantile = stats.norm.ppf((1 + CONFIDENCE) / 2)
    # Ranks of the sorted means that bound the shift: of the signed-rank sum, which is about normal.
    outside = math.floor(n * (n + 1) / 4 - quantile * math.sqrt(n * (n + 1) * (2 * n + 1) / 24))
    p = 2 * stats.norm.sf(score)
    if outside < 1:
        return _Shift(estimate, None, None, p)
    whole = quantile * pair.between
    below = math.hypot(inflation * (estimate - float(means[outside - 1])), whole)
    above = math.hypot(inflation * (float(means[-outside]) - estimate), whole)
    return _Shift(estimate, estimate - below, estimate + above, p)


def _inflation(logs: NDArray[np.float64]) -> float:
    """Return by how much the spread of a mean grows because neighbours are alike (first-order process)."""
    n = len(logs)
    centred = logs - logs.mean()
    variance = float(centred @ centred)
    if variance < n * _ROUNDING**2:
        return 1.0
    found = float(centred[1:] @ centred[:-1]) / variance
    # The estimate of so few is too low by about (1 + 3 r) / n (Kendall 1954).
    correlation = min(max(found + (1 + 3 * found) / n, 0.0), _LARGEST_CORRELATION)
    return math.sqrt((1 + correlation) / (1 - correlation))


def _change(pair: Paired, shift: _Shift, p_adjusted: float, n_judged: int, threshold: float) -> Change:
    n = len(pair.logs)
    outcome: Outcome = pair.unusable or "no clear change"
    low, high = (None, None) if pair.unusable else (shift.low, shift.high)
    if pair.unusable is None:
        # So few blocks could not show any change, however large.
        if low is None or high is None or 2.0 ** (1 - n) * n_judged >= _SIGNIFICANT:
            outcome = "too few blocks"
        elif p_adjusted < _SIGNIFICANT and abs(shift.estimate) > N_DEVIATIONS * pair.between:
            limit = math.log1p(threshold)
            outcome = "slower" if low > limit else "faster" if high < -limit else outcome
    return Change(
        name=pair.name,
        percentile=pair.percentile,
        n_blocks=n,
        ratio=math.exp(shift.estimate),
        low=None if low is None else math.exp(low),
        high=None if high is None else math.exp(high),
        p=shift.p,
        p_adjusted=p_adjusted,
        outcome=outcome,
    )
