"""Percentiles that are only reported where the sample can carry them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

# So many that at least one sample lies above the true percentile q with a probability 1 - q**n > 99.8 %.
MIN_SAMPLES = {"p50": 1, "p90": 64, "p95": 130, "p99": 662, "p99_9": 6636}
_QUANTILE = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99_9": 0.999}
_N_CURVE = 101


def summarise(samples_ns: npt.NDArray[np.int64]) -> dict[str, float | int | None]:
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
    row: dict[str, float | int | None] = {"n": n, "mean_us": float(samples_ns.mean() / 1e3)}
    for name, quantile in _QUANTILE.items():
        enough = n >= MIN_SAMPLES[name]
        row[f"{name}_us"] = float(np.quantile(samples_ns, quantile) / 1e3) if enough else None
    row["max_us"] = float(samples_ns.max() / 1e3)
    return row


def quantile_curve(samples_ns: npt.NDArray[np.int64]) -> dict[str, list[float]]:
    """Return the cumulative distribution at 101 equally spaced fractions, in microseconds."""
    fractions = np.linspace(0, 1, _N_CURVE)
    curve: dict[str, Any] = {
        "fraction": [round(float(f), 4) for f in fractions],
        "us": [float(v) for v in np.quantile(samples_ns, fractions) / 1e3],
    }
    return curve
