"""Percentiles that are only reported where the sample can carry them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

# So many that at least one sample lies above the true percentile q with a probability 1 - q**n > 99.8 %.
MIN_SAMPLES = {"p50": 1, "p90": 64, "p95": 130, "p99": 662, "p99_9": 6636}
_QUANTILE = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99_9": 0.999}
_N_CURVE = 101
_TAIL = (0.995, 0.999, 0.9995, 0.9999)
BOUND_CONFIDENCE = 0.99
"""Of the bounds of a percentile: each end errs with at most half of the rest."""


def summarise(samples_ns: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Return percentiles, maximum and mean in microseconds.

    Parameters
    ----------
    samples_ns : ndarray of int64, shape (n,)
        Durations in nanoseconds, n >= 1.

    Returns
    -------
    dict
        ``n, mean_us, p50_us, p90_us, p95_us, p99_us, p99_9_us, max_us``; None where the sample is smaller
        than `MIN_SAMPLES` asks.
    """
    n = int(samples_ns.size)
    row: dict[str, Any] = {"n": n, "mean_us": float(samples_ns.mean() / 1e3)}
    for name, quantile in _QUANTILE.items():
        enough = n >= MIN_SAMPLES[name]
        row[f"{name}_us"] = float(np.quantile(samples_ns, quantile) / 1e3) if enough else None
    row["max_us"] = float(samples_ns.max() / 1e3)
    return row


def describe(samples_ns: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Return what `summarise` does, with bounds of every percentile that is given.

    Parameters
    ----------
    samples_ns : ndarray of int64, shape (n,)
        Durations in nanoseconds, n >= 1.

    Returns
    -------
    dict
        ``bounds`` added: for each of ``p50, p90, p95, p99, p99_9`` two samples in microseconds between which
        the true percentile lies with a confidence of 99 %, whatever the distribution, if samples are
        independent (`quantile_ranks`); None where the sample is too small.
    """
    ordered = np.sort(samples_ns) / 1e3
    bounds: dict[str, list[float] | None] = {}
    for name, quantile in _QUANTILE.items():
        enough = len(ordered) >= MIN_SAMPLES[name]
        ranks = quantile_ranks(len(ordered), quantile) if enough else None
        bounds[name] = None if ranks is None else [float(ordered[rank - 1]) for rank in ranks]
    return {**summarise(samples_ns), "bounds": bounds}


def quantile_ranks(n: int, quantile: float, confidence: float = BOUND_CONFIDENCE) -> tuple[int, int] | None:
    """Return ranks (from 1) of the order statistics that bound a quantile.

    How many of n samples lie below the true quantile is binomial, so the sample of rank r lies above it with
    the probability that fewer than r do. The ranks are the narrowest for which each end is on the wrong side
    with a probability of at most half of ``1 - confidence``.

    Parameters
    ----------
    n : int
        Independent samples, at least 1.
    quantile : float
        Between 0 and 1.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    (int, int) or None
        Low and high; None if n is too small to bound both sides.
    """
    from scipy.special import bdtr

    at_most = bdtr(np.arange(n + 1), n, quantile)
    error = (1 - confidence) / 2
    low = int(np.searchsorted(at_most, error, side="right"))
    high = int(np.searchsorted(at_most, 1 - error, side="left")) + 1
    return None if low < 1 or high > n else (low, high)


def miss_rate_upper(n_misses: int, n: int, confidence: float = 0.95) -> float:
    """Return the upper bound of a rate of which `n_misses` in `n` independent trials were seen.

    One-sided, exact (Clopper and Pearson, Biometrika 26, 1934); without a miss it is about 3 / n at 95 %, the
    rule of three.
    """
    from scipy.special import betaincinv

    if not 0 <= n_misses <= n or n < 1:
        raise ValueError(f"needs n of at least 1 and n_misses from 0 to n, are {n} and {n_misses}")
    return 1.0 if n_misses == n else float(betaincinv(n_misses + 1, n - n_misses, confidence))


def quantile_curve(samples_ns: npt.NDArray[np.int64]) -> dict[str, list[float]]:
    """Return the cumulative distribution, in microseconds.

    At 101 equally spaced fractions, and at 0.995, 0.999, 0.9995 and 0.9999 as far as at least one sample lies
    above.
    """
    tail = [fraction for fraction in _TAIL if round(len(samples_ns) * (1 - fraction), 6) >= 1]
    fractions = np.concatenate([np.linspace(0, 1, _N_CURVE)[:-1], tail, [1.0]])
    curve: dict[str, Any] = {
        "fraction": [round(float(f), 4) for f in fractions],
        "us": [float(v) for v in np.quantile(samples_ns, fractions) / 1e3],
    }
    return curve
