"""Slow, plain versions of the statistics of ten seconds, of the rule of non-wear, and of calibration."""

import math

import numpy as np

HOUR_S, QUARTER_S = 3600.0, 900.0


def epochs(time_s, samples, segments):
    """Return (number, n, mean, std, min, max) of each 10 s with samples of each segment (first, stop)."""
    found = []
    for first, stop in segments:
        groups = {}
        for row in range(first, stop):
            groups.setdefault(math.floor((time_s[row] - time_s[0]) / 10.0), []).append(samples[row])
        for number in sorted(groups):
            own = np.array(groups[number], np.float64)
            mean = own.sum(axis=0) / len(own)
            std = np.sqrt(((own - mean) ** 2).sum(axis=0) / len(own))
            found.append((number, len(own), mean, std, own.min(axis=0), own.max(axis=0)))
    return found


def is_still_hour(samples):
    """Whether two axes have a standard deviation below 13 mg, or two a range below 50 mg."""
    quiet = narrow = 0
    for axis in range(3):
        values = [float(value) for value in samples[:, axis]]
        mean = math.fsum(values) / len(values)
        quiet += math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values)) < 0.013
        narrow += max(values) - min(values) < 0.050
    return quiet >= 2 or narrow >= 2


def non_wear_of_samples(time_s, samples, rate_hz):
    """Return for each sample whether an hour that holds it is still; hours begin every 15 minutes."""
    marked = np.zeros(len(samples), bool)
    begin = 0.0
    while begin <= time_s[-1] - time_s[0]:
        since = time_s - time_s[0]
        inside = (since >= begin) & (since < begin + HOUR_S)
        if inside.sum() >= 0.75 * HOUR_S * rate_hz and is_still_hour(samples[inside]):
            marked |= inside
        begin += QUARTER_S
    return marked


def calibrate(means, rounds=3000):
    """Return scale and offset after lines to the closest points of the sphere, again and again."""
    scale, offset = [1.0] * 3, [0.0] * 3
    for _ in range(rounds):
        current = np.array([[m[k] * scale[k] + offset[k] for k in range(3)] for m in means])
        closest = np.array([row / math.sqrt(sum(row**2)) for row in current])
        apart = [math.dist(*pair) for pair in zip(current, closest, strict=True)]
        weights = np.array([100.0 if d < 0.01 else 1 / d for d in apart])
        for k in range(3):
            slope, intercept = np.polyfit(current[:, k], closest[:, k], 1, w=np.sqrt(weights))
            scale[k], offset[k] = scale[k] * slope, offset[k] * slope + intercept
    return np.array(scale), np.array(offset)
