"""The movement features of a batch of windows in numpy, all windows at once; of repaired windows only."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

EDGES_HZ = np.array([0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 5, 6.5, 9, 13, 20, 49])
CONSTANT = 1e-8


def _power(moved):
    """Return the power (n, bins, 4) of the frequencies above 0 of centred channels (n, T, 4)."""
    n_samples = moved.shape[1]
    taper = np.sin(np.pi * (np.arange(n_samples) + 0.5) / n_samples) ** 2
    spectrum = np.fft.rfft(moved * taper[:, None], axis=1)[:, 1:]
    return np.abs(spectrum) ** 2 / (n_samples * (taper**2).sum())


def _spread(values):
    """Return minimum, maximum, deviation and median over the parts (n, parts, 4) as (n, 4 channels, 4)."""
    kinds = [values.min(axis=1), values.max(axis=1), values.std(axis=1), np.median(values, axis=1)]
    return np.stack(kinds, axis=2)


def _parts(channels):
    n_samples = channels.shape[1]
    count = min(8, n_samples)
    bounds = [i * n_samples // count for i in range(count + 1)]
    pieces = [channels[:, start:stop] for start, stop in pairwise(bounds)]
    means = np.stack([piece.mean(axis=1) for piece in pieces], axis=1)
    logs = np.stack([np.log(piece.std(axis=1) + 1e-4) for piece in pieces], axis=1)
    return np.concatenate([_spread(means), _spread(logs)], axis=2)


def _of_channels(channels, power, sr):
    """Return the features of each channel, (n, 4, 33)."""
    frequencies = np.arange(1, power.shape[1] + 1) * sr / channels.shape[1]
    bounds = np.searchsorted(frequencies, EDGES_HZ * (1 - 1e-9))
    pairs = pairwise(bounds)
    bands = np.log(np.stack([power[:, low:high].sum(axis=1) for low, high in pairs], axis=2) + 1e-8)
    jerk = np.diff(channels, axis=1) * sr if channels.shape[1] > 1 else np.zeros_like(channels)
    logs = [channels.std(axis=1) + 1e-4, jerk.std(axis=1) + 1e-3, np.abs(jerk).mean(axis=1) + 1e-3]
    quantiles = np.moveaxis(np.quantile(channels, [0.02, 0.1, 0.9, 0.98], axis=1), 0, 2)
    return np.concatenate([bands, np.log(np.stack(logs, axis=2)), _parts(channels), quantiles], axis=2)


def _cadence(power, sr, n_samples):
    frequencies = np.arange(1, power.shape[1] + 1) * sr / n_samples
    inside = power[:, (frequencies >= 0.4 * (1 - 1e-9)) & (frequencies <= 5 * (1 + 1e-9))]
    if inside.shape[1] == 0:
        return np.zeros((len(power), 2))
    first = np.searchsorted(frequencies, 0.4 * (1 - 1e-9))
    found = (inside >= inside.max(axis=1, keepdims=True) * (1 - 1e-9)).argmax(axis=1)
    total = np.maximum(power.sum(axis=1), np.finfo(float).tiny)
    return np.stack([frequencies[first + found], inside[np.arange(len(power)), found] / total], axis=1)


def _cycle(moved, sr):
    """Return lag, height and depth of the first high peak of the autocorrelation of (n, T)."""
    n_samples = moved.shape[1]
    first, last = max(round(0.2 * sr), 1), min(round(2.5 * sr), n_samples - 1)
    spectrum = np.fft.rfft(moved, 2 * n_samples, axis=1)
    r = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, : last + 1]
    r = r / np.maximum(r[:, :1], np.finfo(float).tiny)
    rises = np.diff(r, axis=1) > 1e-9
    result = np.zeros((len(moved), 3))
    for row, (values, up) in enumerate(zip(r, rises, strict=True)):
        peaks = np.flatnonzero(up[first - 1 : last - 1] & ~up[first:last]) + first
        if len(peaks):
            highest = values[peaks].max()
            peak = peaks[values[peaks] >= (0.7 * highest if highest > 0 else highest)][0]
            result[row] = peak / sr, values[peak], values[:peak].min()
    return result


def _direction(values):
    values = values.astype(np.float32).astype(np.float64)
    std = values.std(axis=1)
    scores = (values - values.mean(axis=1, keepdims=True)) / np.where(std < CONSTANT, np.inf, std)[:, None]
    kurtosis = np.where(std < CONSTANT, 0, (scores**4).mean(axis=1) - 3)
    kinds = [std, np.abs(values).mean(axis=1), values.min(axis=1), values.max(axis=1)]
    kinds += [*np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95], axis=1), (scores**3).mean(axis=1), kurtosis]
    return np.stack(kinds, axis=1)


def _gravity(axes):
    mean = axes.mean(axis=1)
    length = np.linalg.norm(mean, axis=1, keepdims=True)
    up = np.where(length < 1e-6, 0, mean / np.maximum(length, 1e-6))
    turned = np.roll(up, -1, axis=1)
    angles = np.where(np.hypot(up, turned) < 1e-6, 0, np.arctan2(turned, up))
    moved = axes - mean[:, None]
    vertical = np.einsum("nta,na->nt", moved, up)
    horizontal = np.linalg.norm(moved - vertical[:, :, None] * up[:, None], axis=2)
    return np.concatenate([up, angles, _direction(vertical), _direction(horizontal)], axis=1)


def movement_features_batch(windows, sr=100.0):
    """Return (n, 171) float64 of windows (n, T, 3) float32."""
    x, y, z = np.moveaxis(windows, 2, 0)
    magnitude = np.sqrt((x * x + y * y) + z * z)
    channels = np.stack([x, y, z, magnitude], axis=2).astype(np.float64)
    moved = channels - channels.mean(axis=1, keepdims=True)
    power = _power(moved)
    covariance = np.einsum("nta,ntb->nab", moved, moved) / windows.shape[1]
    std = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    still = std < CONSTANT
    safe = np.where(still, np.inf, std)
    correlation = covariance[:, :3, 3] / (safe[:, :3] * safe[:, 3:])
    variances = np.maximum(np.linalg.eigvalsh(covariance[:, :3, :3])[:, ::-1], 0)
    cadence = _cadence(power[:, :, 3], sr, windows.shape[1])
    rhythm = np.concatenate([cadence, _cycle(moved[:, :, 3], sr)], axis=1)
    parts = [
        _of_channels(channels, power, sr).reshape(len(windows), -1),
        correlation,
        np.log(variances + 1e-8),
        np.where(still[:, 3:], 0, rhythm),
        _gravity(channels[:, :, :3]),
    ]
    return np.concatenate(parts, axis=1)


def movement_features(window, sr=100.0):
    """Return (171,) of one window."""
    return movement_features_batch(window[np.newaxis], sr)[0]
