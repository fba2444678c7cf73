"""Slow, obvious float64 versions of the movement features. They share no helper with the package.

Where a maximum or a peak is chosen, every choice that rounding could make is returned.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

import reference

EDGES_HZ = (0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 5, 6.5, 9, 13, 20, 49)
CONSTANT = 1e-8
CHOSEN = {"cadence": ("cadence", "cadence_share"), "cycle": ("cycle_duration", "cycle_height", "cycle_depth")}
ANGLES = ("up_angle_xy", "up_angle_yz", "up_angle_zx")
VARIANCES = ("principal_log_var_1", "principal_log_var_2", "principal_log_var_3")


def tapered_power(values):
    """Return |FFT|^2 of the centred values under Hann's window, and the sum of its squares."""
    n = len(values)
    taper = np.array([math.sin(math.pi * (i + 0.5) / n) ** 2 for i in range(n)])
    return np.abs(np.fft.rfft((values - values.mean()) * taper)) ** 2, np.sum(taper**2)


def bands(values, sr):
    n = len(values)
    power, taper = tapered_power(values)
    logs = []
    for low, high in pairwise(EDGES_HZ):
        inside = [k for k in range(1, n // 2 + 1) if low * (1 - 1e-9) <= k * sr / n < high * (1 - 1e-9)]
        logs.append(math.log(sum(power[k] for k in inside) / (n * taper) + 1e-8))
    return logs


def spread(values):
    return [np.min(values), np.max(values), np.std(values), np.median(values)]


def parts(values):
    n = len(values)
    count = min(8, n)
    pieces = [values[i * n // count : (i + 1) * n // count] for i in range(count)]
    means = [piece.mean() for piece in pieces]
    return spread(means) + spread([math.log(piece.std() + 1e-4) for piece in pieces])


def channel(values, sr):
    jerk = np.diff(values) * sr if len(values) > 1 else np.zeros(1)
    features = bands(values, sr)
    features += [math.log(values.std() + 1e-4), math.log(jerk.std() + 1e-3)]
    features += [math.log(np.abs(jerk).mean() + 1e-3)]
    return features + parts(values) + [np.quantile(values, q) for q in (0.02, 0.1, 0.9, 0.98)]


def cadences(m, sr, slack):
    """Return (Hz, share) of every bin within `slack` of the largest one."""
    n = len(m)
    power, _ = tapered_power(m)
    power[0] = 0
    inside = [k for k in range(1, n // 2 + 1) if 0.4 * (1 - 1e-9) <= k * sr / n <= 5 * (1 + 1e-9)]
    if m.std() < CONSTANT or not inside:
        return [(0.0, 0.0)]
    largest = max(power[k] for k in inside)
    tied = [k for k in inside if power[k] >= largest * (1 - slack)]
    return [(k * sr / n, power[k] / power.sum()) for k in tied]


def cycles(m, sr, slack):
    """Return (duration, height, depth) of every peak that thresholds within slack could choose."""
    n = len(m)
    first, last = max(round(0.2 * sr), 1), min(round(min(2.5 * sr, n)), n - 1)
    if m.std() < CONSTANT:
        return [(0.0, 0.0, 0.0)]
    moved = m - m.mean()
    moved /= np.abs(moved).max()
    r = np.array([np.dot(moved[: n - lag], moved[lag:]) for lag in range(last + 1)]) / np.dot(moved, moved)
    found = set()
    for level in (1e-9, 1e-9 - slack, 1e-9 + slack):
        peaks = [i for i in range(first, last) if r[i] - r[i - 1] > level and r[i + 1] - r[i] <= level]
        if not peaks:
            found.add((0.0, 0.0, 0.0))
            continue
        highest = max(r[peak] for peak in peaks)
        for shift in (0, -slack, slack):
            enough = (0.7 * highest if highest > 0 else highest) + shift
            peak = next((p for p in peaks if r[p] >= enough), None)
            if peak is not None:
                found.add((peak / sr, r[peak], r[:peak].min()))
    return sorted(found)


def direction(values):
    values = values.astype(np.float32).astype(np.float64)
    scores = [0.0, 0.0]
    if values.std() >= CONSTANT:
        z = (values - values.mean()) / values.std()
        scores = [np.mean(z**3), np.mean(z**4) - 3]
    features = [values.std(), np.abs(values).mean(), values.min(), values.max()]
    return features + [np.quantile(values, q) for q in (0.05, 0.25, 0.5, 0.75, 0.95)] + scores


def gravity(acceleration):
    mean = acceleration.mean(axis=0)
    length = math.sqrt(sum(part**2 for part in mean))
    up = mean / length if length >= 1e-6 else np.zeros(3)
    angles = []
    for a, b in ((0, 1), (1, 2), (2, 0)):
        known = math.hypot(up[a], up[b]) >= 1e-6
        angles.append(math.atan2(up[b], up[a]) if known else 0.0)
    moved = acceleration - mean
    vertical = moved @ up
    horizontal = np.linalg.norm(moved - vertical[:, None] * up, axis=1)
    return [*up, *angles, *direction(vertical), *direction(horizontal)]


def movement_features(window, sr=100.0, slack=0.0):
    """Return the features as float64, in the package's order.

    With a slack, `cadence` and `cycle` are lists of all choices within it; the result is a dict by name.
    """
    acceleration = reference.repair(window).astype(np.float64)
    m = reference.magnitude(window).astype(np.float64)
    features = {}
    for name, values in zip(("x", "y", "z", "mag"), (*acceleration.T, m), strict=True):
        names = [f"{name}_band_{i}" for i in range(1, 19)]
        names += [f"{name}_{kind}" for kind in ("log_std", "log_jerk_std", "log_jerk_mean")]
        kinds = ("min", "max", "std", "q50")
        names += [f"{name}_part_{what}_{kind}" for what in ("mean", "log_std") for kind in kinds]
        names += [f"{name}_{q}" for q in ("q02", "q10", "q90", "q98")]
        features |= dict(zip(names, channel(values, sr), strict=True))
    for name, values in zip("xyz", acceleration.T, strict=True):
        features[f"corr_{name}_mag"] = reference.pearson(values, m)
    largest_first = np.linalg.eigvalsh(np.cov(acceleration.T, bias=True))[::-1]
    logs = [math.log(max(value, 0) + 1e-8) for value in largest_first]
    features |= dict(zip(VARIANCES, logs, strict=True))
    features["cadence"] = cadences(m, sr, max(slack, reference.TIE_TOLERANCE))
    features["cycle"] = cycles(m, sr, slack)
    names = ["up_x", "up_y", "up_z", *ANGLES]
    kinds = ("std", "mean_abs", "min", "max", "q05", "q25", "q50", "q75", "q95", "skew", "kurtosis")
    names += [f"{name}_{kind}" for name in ("vertical", "horizontal") for kind in kinds]
    return features | dict(zip(names, gravity(acceleration), strict=True))


def assert_movement_close(computed, window, names, sr=100.0, rtol=1e-4, atol=1e-5):
    """Compare a float32 feature vector with the reference, by name; of several choices, any one will do."""
    expected = movement_features(window, sr, slack=1e-9)
    assert computed.dtype == np.float32
    got = dict(zip(names, computed.tolist(), strict=True))
    problems = []

    def close(value, wanted):
        return abs(value - wanted) <= atol + rtol * abs(wanted)

    for kind, columns in CHOSEN.items():
        chosen = [got.pop(column) for column in columns]
        options = expected.pop(kind)
        if not any(all(map(close, chosen, option)) for option in options):
            problems.append(f"{kind}: {chosen}, expected one of {options}")
    # Variances of other axes are known to the rounding of the largest one.
    rounding = 1e-13 * math.exp(expected[VARIANCES[0]])
    for name, wanted in expected.items():
        value = got.pop(name)
        if name in ANGLES:
            value = wanted + math.remainder(value - wanted, 2 * math.pi)
        if name in VARIANCES and abs(math.exp(value) - math.exp(wanted)) <= rounding:
            continue
        if not close(value, wanted):
            problems.append(f"{name}: {value!r}, expected {wanted!r}")
    assert not problems, "; ".join(problems)
    assert not got, sorted(got)
