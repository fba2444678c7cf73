"""Anti-aliased decimation and delay embedding of a series."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchtst_har.errors import DataError

_HALF_TAPS_PER_FACTOR = 10


def takens_embedding(series: NDArray[Any], dimension: int = 3, delay: int = 1) -> NDArray[Any]:
    """Return the delay embedding of a series (Takens, Lecture Notes in Mathematics 898, 1981).

    Parameters
    ----------
    series : ndarray, shape (n,)
        Equally spaced samples.
    dimension : int, default 3
        Coordinates of a point.
    delay : int, default 1
        Samples between consecutive coordinates.

    Returns
    -------
    ndarray, shape (n_points, dimension), dtype of `series`
        Row i is ``series[i], series[i + delay], ..., series[i + (dimension - 1) * delay]``;
        n_points = max(n - (dimension - 1) * delay, 0).

    Raises
    ------
    DataError
        If `series` is not one-dimensional, or `dimension` or `delay` is below 1.
    TypeError
        If `series` is not a numpy array.
    """
    if not isinstance(series, np.ndarray):
        raise TypeError(f"series must be a numpy array, not {type(series).__name__}")
    if series.ndim != 1:
        raise DataError(f"series must have shape (n,), not {series.shape}")
    if dimension < 1 or delay < 1:
        raise DataError(f"dimension and delay must be at least 1, are {dimension} and {delay}")
    n_points = max(len(series) - (dimension - 1) * delay, 0)
    return np.stack([series[k * delay : k * delay + n_points] for k in range(dimension)], axis=1)


@lru_cache(maxsize=64)
def embedding_plan(
    n_samples: int, rate_hz: float, max_points: int, dimension: int, delay_s: float
) -> tuple[int, int]:
    """Return the smallest decimation factor that leaves at most `max_points` points, and its delay.

    The delay is in decimated samples, rounded half to even and at least 1.
    """
    factor = 1
    while True:
        delay = max(round(delay_s * rate_hz / factor), 1)
        if -(-n_samples // factor) - (dimension - 1) * delay <= max_points:
            return factor, delay
        factor += 1


def decimate(series: NDArray[np.float32], factor: int) -> NDArray[np.float64]:
    """Return every `factor`-th sample of the low-pass filtered series, in float64.

    The filter is linear-phase and applied centred, without delay: 20 * factor + 1 taps of a
    Hamming-windowed sinc that cuts at the new Nyquist frequency, with unit gain at 0 Hz. The series is
    continued by mirroring at its ends (their samples repeated), so that a constant stays constant there.
    """
    if factor == 1:
        return series.astype(np.float64)
    taps = _low_pass(factor)
    mirrored = np.pad(series.astype(np.float64), len(taps) // 2, mode="symmetric")
    stretches = np.lib.stride_tricks.sliding_window_view(mirrored, len(taps))[::factor]
    # Not a matrix product: the bits would then depend on the BLAS and its threads.
    decimated: NDArray[np.float64] = np.einsum("ij,j->i", stretches, taps)
    return decimated


@lru_cache(maxsize=16)
def _low_pass(factor: int) -> NDArray[np.float64]:
    half = _HALF_TAPS_PER_FACTOR * factor
    taps = np.sinc(np.arange(-half, half + 1) / factor) * np.hamming(2 * half + 1)
    taps /= taps.sum()
    taps.setflags(write=False)
    return taps
