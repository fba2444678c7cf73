"""Checks of labels and probability vectors; each error names the array and the first wrong row."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from patchtst_har.errors import DataError

FloatArray = npt.NDArray[np.float64]

# Softmax in half precision sums to 1 within about 1e-3.
_SUM_TOLERANCE = 2e-3
_STORED_SUM_TOLERANCE = 1e-6


def check_labels(labels: npt.ArrayLike, n_classes: int, name: str = "labels") -> npt.NDArray[np.int64]:
    """Return `labels` as int64 (n,); refuse an empty array, other types, and values outside 0 to K - 1."""
    values = np.asarray(labels)
    if values.ndim != 1 or values.size == 0:
        raise DataError(f"{name}: needs shape (n,) with n >= 1, has {values.shape}")
    if values.dtype.kind not in "iu":
        raise DataError(f"{name}: needs integer class indices, has {values.dtype}")
    wrong = np.flatnonzero((values < 0) | (values >= n_classes))
    if wrong.size:
        raise DataError(f"{name}: row {wrong[0]} is {values[wrong[0]]}, classes are 0 to {n_classes - 1}")
    return values.astype(np.int64)


def check_probabilities(probabilities: npt.ArrayLike, n_classes: int) -> FloatArray:
    """Return `probabilities` as C-ordered float64 (n, K); refuse rows that are not a distribution."""
    values = np.asarray(probabilities)
    if values.ndim != 2 or values.shape[1] != n_classes:
        raise DataError(f"probabilities: needs shape (n, {n_classes}), has {values.shape}")
    if values.dtype.kind != "f":
        raise DataError(f"probabilities: needs floating point numbers, has {values.dtype}")
    rows = np.ascontiguousarray(values, dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if wrong.size:
        raise DataError(f"probabilities: row {wrong[0]} is not finite ({_short(rows[wrong[0]])})")
    off = np.abs(rows.sum(axis=1) - 1) > _SUM_TOLERANCE
    wrong = np.flatnonzero(off | (rows < 0).any(axis=1))
    if wrong.size:
        row, sum_text = rows[wrong[0]], f"its sum is {rows[wrong[0]].sum():.6g}"
        raise DataError(f"probabilities: row {wrong[0]} is not a distribution, {sum_text} ({_short(row)})")
    return rows


def check_distributions(name: str, value: npt.ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Return `value` as float64 of `shape` whose last axis sums to 1; errors name the field."""
    try:
        rows = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: needs numbers of shape {shape}") from error
    if rows.shape != shape:
        raise DataError(f"{name}: needs shape {shape}, has {rows.shape}")
    if not np.isfinite(rows).all() or (rows < 0).any():
        raise DataError(f"{name}: has a value that is negative or not finite")
    sums = np.atleast_1d(rows.sum(axis=-1))
    wrong = np.flatnonzero(np.abs(sums - 1) > _STORED_SUM_TOLERANCE)
    if wrong.size:
        raise DataError(f"{name}: row {wrong[0]} sums to {sums[wrong[0]]:.9g}, not 1")
    return rows


def checked_positive(name: str, value: Any) -> float:
    """Return a number as a float; refuse what is not finite and positive."""
    # The largest float, not infinity: a whole number in a file may be too large for a float.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= sys.float_info.max:
        raise DataError(f"{name}: needs a finite positive number, is {value!r}")
    return float(value)


def _short(row: FloatArray) -> str:
    return ", ".join(f"{value:.4g}" for value in row[:6]) + (", ..." if row.size > 6 else "")
