"""The 56 statistical features as one would write them for speed in numpy and scipy."""

from __future__ import annotations

import math

import numpy as np
from scipy import signal


def _pearson(a, b, std_a, std_b):
    if std_a < 1e-8 or std_b < 1e-8:
        return 0.0
    return (a @ b) / len(a) / (std_a * std_b)


def _circular(sines, cosines):
    sine, cosine = sines.mean(axis=0), cosines.mean(axis=0)
    resultant = np.minimum(np.hypot(sine, cosine), 1)
    angle = np.where(resultant < 1e-12, 0, np.arctan2(sine, cosine))
    return angle, np.sqrt(-2 * np.log(np.maximum(resultant, 1e-12)))


def _orientation(vectors):
    """Return means and deviations of roll, pitch and yaw of (n, 2, 3) vectors: shape (3, 2) each."""
    squares = vectors * vectors
    x, y, z = np.moveaxis(vectors, 2, 0)
    yz2, xy2 = squares[:, :, 1] + squares[:, :, 2], squares[:, :, 0] + squares[:, :, 1]
    lengths = np.sqrt(np.stack([yz2, squares[:, :, 0] + yz2, xy2], axis=1))
    inverse = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths >= 1e-6)
    sines = np.stack([y, -x, x], axis=1) * inverse
    cosines = np.stack([z, lengths[:, 0], y], axis=1) * inverse
    return _circular(sines, cosines)


def _spectrum(centred, std, sr):
    if std < 1e-8 or len(centred) < 2:
        return [0.0] * 5
    spectrum = np.fft.rfft(centred)[1:]
    power = spectrum.real**2 + spectrum.imag**2
    power /= power.sum()
    first = int(np.argmax(power >= power.max() * (1 - 1e-9)))
    positive = power[power > 0]
    entropy = -(positive @ np.log(positive)) / math.log(len(power)) if len(power) > 1 else 0.0
    found = [(first + 1) * sr / len(centred), power[first], 0.0, 0.0]
    others = power.copy()
    others[max(first - 1, 0) : first + 2] = -1
    if others.max() >= 0:
        second = int(np.argmax(others >= others.max() * (1 - 1e-9)))
        found[2:] = [(second + 1) * sr / len(centred), power[second]]
    return [*found, entropy]


def _peaks(m):
    positions, _ = signal.find_peaks(m)
    if len(positions) == 0:
        return [0.0, 0.0]
    return [len(positions), np.median(signal.peak_prominences(m, positions)[0])]


def _autocorrelation(m, sr):
    lag = min(round(sr), len(m) - 1)
    if len(m) - lag < 2:
        return 0.0
    early, late = m[: len(m) - lag], m[lag:]
    early, late = early - early.mean(), late - late.mean()
    n_pairs = len(early)
    return _pearson(early, late, math.sqrt(early @ early / n_pairs), math.sqrt(late @ late / n_pairs))


def statistical_features(window, sr=100.0):
    """Return the 56 features of a (T, 3) float32 window without invalid samples."""
    single = np.empty((len(window), 4), np.float32)
    single[:, :3] = window
    squares = window * window
    single[:, 3] = np.sqrt((squares[:, 0] + squares[:, 1]) + squares[:, 2])
    values = single.astype(np.float64)
    n_samples = len(values)
    mean = values.mean(axis=0)
    centred = np.ascontiguousarray((values - mean).T)
    covariance = centred @ centred.T / n_samples
    std = np.sqrt(np.diag(covariance))
    low, high = values.min(axis=0), values.max(axis=0)
    quartiles = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
    table = np.vstack([mean, std, high - low, low, high, quartiles]).T
    m = values[:, 3]
    scaled = centred[3] / std[3] if std[3] >= 1e-8 else None
    square = None if scaled is None else scaled * scaled
    pairs = [(0, 1), (0, 2), (1, 2)]
    alpha = math.exp(-2 * math.pi * 0.5 / sr)
    axes = values[:, :3]
    gravity, _ = signal.lfilter([1 - alpha], [1, -alpha], axes, axis=0, zi=alpha * axes[:1])
    angles, deviations = _orientation(np.stack([gravity, axes - gravity], axis=1))
    return np.array(
        [
            *table[:3].ravel(),
            *table[3, :3],
            *(0.0 if min(std[a], std[b]) < 1e-8 else covariance[a, b] / (std[a] * std[b]) for a, b in pairs),
            *table[3, 3:],
            np.median(np.abs(m - quartiles[1, 3])),
            0.0 if square is None else square @ scaled / n_samples,
            0.0 if square is None else square @ square / n_samples - 3,
            _autocorrelation(m, sr),
            *_spectrum(centred[3], std[3], sr),
            *_peaks(single[:, 3]),
            *angles[:, 0],
            *np.column_stack([angles[:, 1], deviations[:, 1]]).ravel(),
            np.maximum(m - 1, 0).mean(),
        ]
    )
