"""The 56 statistical features as one first writes them in numpy and scipy: vectorised, in the window's order.

Where the layout makes no difference, the functions are those of `numpy_statistics`.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import signal

from numpy_statistics import autocorrelation, circular, peaks, pearson, shape, spectrum


def _orientation(vectors):
    """Return means and deviations of roll, pitch and yaw of (n, 2, 3) vectors: shape (2, 3) each."""
    squares = vectors * vectors
    x, y, z = np.moveaxis(vectors, 2, 0)
    yz2, xy2 = squares[:, :, 1] + squares[:, :, 2], squares[:, :, 0] + squares[:, :, 1]
    lengths = np.sqrt(np.stack([yz2, squares[:, :, 0] + yz2, xy2], axis=2))
    inverse = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths >= 1e-6)
    sines = np.stack([y, -x, x], axis=2) * inverse
    cosines = np.stack([z, lengths[:, :, 0], y], axis=2) * inverse
    return circular(sines.mean(axis=0), cosines.mean(axis=0))


def statistical_features(window, sr=100.0):
    """Return the 56 features of a (T, 3) float32 window without invalid samples."""
    squares = window * window
    magnitude = np.sqrt((squares[:, 0] + squares[:, 1]) + squares[:, 2])
    values = np.column_stack([window, magnitude]).astype(np.float64)
    mean, std = values.mean(axis=0), values.std(axis=0)
    centred = values - mean
    low, high = values.min(axis=0), values.max(axis=0)
    quartiles = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
    table = np.vstack([mean, std, high - low, low, high, quartiles]).T
    products = centred.T @ centred
    m = values[:, 3]
    alpha = math.exp(-2 * math.pi * 0.5 / sr)
    axes = values[:, :3]
    gravity, _ = signal.lfilter([1 - alpha], [1, -alpha], axes, axis=0, zi=alpha * axes[:1])
    angles, deviations = _orientation(np.stack([gravity, axes - gravity], axis=1))
    return np.array(
        [
            *table[:3].ravel(),
            *table[3, :3],
            *(pearson(products[a, b], len(m), std[a], std[b]) for a, b in ((0, 1), (0, 2), (1, 2))),
            *table[3, 3:],
            np.median(np.abs(m - quartiles[1, 3])),
            *shape(centred[:, 3], std[3]),
            autocorrelation(m, sr),
            *spectrum(centred[:, 3], std[3], sr),
            *peaks(magnitude),
            *angles[0],
            *np.column_stack([angles[1], deviations[1]]).ravel(),
            np.maximum(m - 1, 0).mean(),
        ]
    )
