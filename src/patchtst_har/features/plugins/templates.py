"""Code that is compiled around a feature function; the annotated names are filled in for each feature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import literal_unroll

from patchtst_har.support.compiling import compiled

RAISED = 1
WRONG_COUNT = 2
NOT_FINITE = 3

feature: Callable[..., Any]
store: Callable[..., int]
guarded: Callable[..., int]
prange: Callable[[int], range]


def guard(window: Any, sr: float, row: Any) -> int:
    """Compute one window's values into `row`; return 0 or what went wrong (nothing is raised)."""
    try:
        result = feature(window, sr)  # noqa: F821
    # An exception must not leave a parallel loop.
    except Exception:
        return RAISED
    return store(result, row)  # noqa: F821


def fill(windows: Any, sr: float, rows: Any, status: Any) -> None:
    """Compute every window's values."""
    for i in prange(len(windows)):  # noqa: F821
        status[i] = guarded(windows[i], sr, rows[i])  # noqa: F821


@compiled
def all_finite(row: Any) -> int:
    """Return 0 or `NOT_FINITE`."""
    for value in row:
        if not np.isfinite(value):
            return NOT_FINITE
    return 0


@compiled
def store_number(result: Any, row: Any) -> int:
    """Store a number; return 0 or what is wrong with it."""
    row[0] = result
    status: int = all_finite(row)
    return status


@compiled
def store_tuple(result: Any, row: Any) -> int:
    """Store a tuple of numbers, of whatever types; return 0 or what is wrong with it."""
    i = 0
    for value in literal_unroll(result):
        row[i] = value
        i += 1  # noqa: SIM113  # unrolled, not iterated
    status: int = all_finite(row)
    return status


@compiled
def store_array(result: Any, row: Any) -> int:
    """Store a one-dimensional array; return 0 or what is wrong with it."""
    if len(result) != len(row):
        return WRONG_COUNT
    for i in range(len(row)):
        row[i] = result[i]
    status: int = all_finite(row)
    return status
