"""How intense the movement of a window is, whatever its class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def enmo_mg(windows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return ENMO of windows, the Euclidean norm minus one g: the mean of max(\\|a\\| - 1, 0) in mg.

    As van Hees et al. (2013, PLoS ONE 8:e61691) define it: each sample below 1 g counts as 0.

    Parameters
    ----------
    windows : ndarray of float32, shape (n, T, 3)
        In g.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    above = np.einsum("ntk,ntk->nt", windows, windows)
    np.sqrt(above, out=above)
    np.maximum(above, np.float32(1), out=above)
    # A sum of float32 as float64: 1,000 values beyond 1 would lose the tenth of a mg.
    result: NDArray[np.float64] = 1000 * (above.mean(axis=1, dtype=np.float64) - 1)
    return result
