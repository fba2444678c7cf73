"""How intense the movement of a window is, whatever its class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCK = 16
"""Windows at a time, so that they stay in the cache between the steps."""


def enmo_mg(windows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return ENMO of windows, Euclidean norm minus one: the mean of max(magnitude - 1 g, 0) in mg.

    As van Hees et al. (2013, PLoS ONE 8:e61691) define it: each sample below 1 g counts as 0.

    Parameters
    ----------
    windows : ndarray of float32, shape (n, T, 3)
        In g.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    above = np.empty(windows.shape[:2], np.float32)
    room = np.empty((_BLOCK, *windows.shape[1:]), np.float32)
    for first in range(0, len(windows), _BLOCK):
        block, out = windows[first : first + _BLOCK], above[first : first + _BLOCK]
        squares = np.multiply(block, block, out=room[: len(block)])
        np.add(squares[..., 0], squares[..., 1], out=out)
        out += squares[..., 2]
        np.sqrt(out, out=out)
        out -= np.float32(1)
        np.maximum(out, np.float32(0), out=out)
    result: NDArray[np.float64] = 1000.0 * above.mean(axis=1).astype(np.float64)
    return result
