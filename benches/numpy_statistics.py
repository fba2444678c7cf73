"""The 56 statistical features, written for speed in numpy and scipy.

Channels lie in rows, so that every reduction runs over memory in order: by columns, means and extremes alone
take ten times as long, and the whole twice as long. Quartiles come from one sort (`numpy.quantile` takes four
times as long), sums of products from `numpy.vecdot`, which needs no temporary.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import signal

CONSTANT_STD = 1e-8


def pearson(products, n_pairs, std_a, std_b):
    """Return a correlation of centred signals from the sum of their products."""
    if std_a < CONSTANT_STD or std_b < CONSTANT_STD:
        return 0.0
    return products / n_pairs / (std_a * std_b)


def _quartiles(rows):
    """Return the quartiles of each row, (n_rows, 3)."""
    ordered = np.sort(rows, axis=1)
    position = np.array([0.25, 0.5, 0.75]) * (rows.shape[1] - 1)
    below = position.astype(np.intp)
    low = ordered[:, below].astype(np.float64)
    high = ordered[:, np.minimum(below + 1, rows.shape[1] - 1)]
    return low + (high - low) * (position - below)


def _orientation(vectors):
    """Return means and deviations of roll, pitch and yaw of (n_kinds, 3, n) vectors: (n_kinds, 3) each."""
    x, y, z = vectors.transpose(1, 0, 2)
    lengths = np.empty_like(vectors)
    yz, whole, xy = lengths.transpose(1, 0, 2)
    np.multiply(x, x, out=whole)
    np.multiply(y, y, out=xy)
    np.multiply(z, z, out=yz)
    yz += xy
    xy += whole
    whole += yz
    np.sqrt(lengths, out=lengths)
    inverse = (lengths >= 1e-6) / np.maximum(lengths, 1e-6)
    per_yz, per_whole, per_xy = inverse.transpose(1, 0, 2)
    n_samples = vectors.shape[2]
    sine = [np.vecdot(y, per_yz), -np.vecdot(x, per_whole), np.vecdot(x, per_xy)]
    cosine = [np.vecdot(z, per_yz), np.vecdot(yz, per_whole), np.vecdot(y, per_xy)]
    return circular(np.array(sine).T / n_samples, np.array(cosine).T / n_samples)


def circular(sine, cosine):
    """Return means and deviations of directions from their mean sines and cosines."""
    resultant = np.minimum(np.hypot(sine, cosine), 1)
    angle = np.where(resultant < 1e-12, 0, np.arctan2(sine, cosine))
    return angle, np.sqrt(-2 * np.log(np.maximum(resultant, 1e-12)))


def spectrum(centred, std, sr):
    """Return frequency and share of the two strongest bins, and the entropy."""
    if std < CONSTANT_STD or len(centred) < 2:
        return [0.0] * 5
    values = np.fft.rfft(centred)[1:]
    power = values.real**2 + values.imag**2
    power /= power.sum()
    first = int(np.argmax(power >= power.max() * (1 - 1e-9)))
    positive = power[power > 0]
    entropy = -(positive @ np.log(positive)) / math.log(len(power)) if len(power) > 1 else 0.0
    found = [(first + 1) * sr / len(centred), power[first], 0.0, 0.0]
    power[max(first - 1, 0) : first + 2] = -1
    highest = power.max()
    if highest >= 0:
        second = int(np.argmax(power >= highest * (1 - 1e-9)))
        found[2:] = [(second + 1) * sr / len(centred), power[second]]
    return [*found, entropy]


def peaks(m):
    """Return the number of peaks and the median of their prominences."""
    positions, _ = signal.find_peaks(m)
    if len(positions) == 0:
        return [0.0, 0.0]
    return [len(positions), np.median(signal.peak_prominences(m, positions)[0])]


def autocorrelation(m, sr):
    """Return the correlation of m with itself a second later."""
    lag = min(round(sr), len(m) - 1)
    if len(m) - lag < 2:
        return 0.0
    early, late = m[: len(m) - lag], m[lag:]
    early, late = early - early.mean(), late - late.mean()
    n_pairs = len(early)
    return pearson(
        early @ late, n_pairs, math.sqrt(early @ early / n_pairs), math.sqrt(late @ late / n_pairs)
    )


def shape(centred, std):
    """Return skew and excess kurtosis."""
    if std < CONSTANT_STD:
        return [0.0, 0.0]
    square = centred * centred
    n_samples = len(centred)
    return [square @ centred / n_samples / std**3, square @ square / n_samples / std**4 - 3]


def statistical_features(window, sr=100.0):
    """Return the 56 features of a (T, 3) float32 window without invalid samples."""
    n_samples = len(window)
    single = np.empty((4, n_samples), np.float32)
    single[:3] = window.T
    x, y, z, m32 = single
    np.sqrt((x * x + y * y) + z * z, out=m32)
    rows = single.astype(np.float64)
    m = rows[3]
    mean = rows.mean(axis=1)
    centred = rows - mean[:, np.newaxis]
    products = centred @ centred.T
    std = np.sqrt(np.diag(products) / n_samples)
    low, high = single.min(axis=1).astype(np.float64), single.max(axis=1).astype(np.float64)
    quartiles = _quartiles(single)
    table = np.column_stack([mean, std, high - low, low, high, quartiles])
    alpha = math.exp(-2 * math.pi * 0.5 / sr)
    vectors = np.empty((2, 3, n_samples))
    vectors[0], _ = signal.lfilter([1 - alpha], [1, -alpha], rows[:3], axis=1, zi=alpha * rows[:3, :1])
    np.subtract(rows[:3], vectors[0], out=vectors[1])
    angles, deviations = _orientation(vectors)
    return np.array(
        [
            *table[:3].ravel(),
            *table[3, :3],
            *(pearson(products[a, b], n_samples, std[a], std[b]) for a, b in ((0, 1), (0, 2), (1, 2))),
            *table[3, 3:],
            np.median(np.abs(m - quartiles[3, 1])),
            *shape(centred[3], std[3]),
            autocorrelation(m, sr),
            *spectrum(centred[3], std[3], sr),
            *peaks(m32),
            *angles[0],
            *np.column_stack([angles[1], deviations[1]]).ravel(),
            np.maximum(m - 1, 0).mean(),
        ]
    )
