"""Slow, obvious float64 versions of what the package computes fast. They share no helper with it."""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy import signal, spatial

LARGEST_VALUE = 1e19
TIE_TOLERANCE = 1e-9
NO_RESULTANT = 1e-12


def repair(window):
    """Interpolate samples that are not valid, channel by channel."""
    window = np.asarray(window, np.float32)
    repaired = np.zeros_like(window)
    positions = np.arange(len(window))
    for axis in range(3):
        channel = window[:, axis]
        good = np.isfinite(channel) & (np.abs(np.nan_to_num(channel)) <= np.float32(LARGEST_VALUE))
        if good.any():
            filled = np.interp(positions, positions[good], channel[good].astype(np.float64))
            repaired[:, axis] = filled.astype(np.float32)
    return repaired


def magnitude(window):
    """Return m in float32, rounded at each step."""
    x, y, z = repair(window).T
    with np.errstate(under="ignore"):
        m = np.sqrt((x * x + y * y) + z * z)
    assert m.dtype == np.float32
    return m


def pearson(a, b):
    if len(a) < 1 or a.std() < 1e-8 or b.std() < 1e-8:
        return 0.0
    return float(np.mean((a - a.mean()) * (b - b.mean())) / (a.std() * b.std()))


def autocorrelation(m, sr):
    lag = min(round(sr), len(m) - 1)
    if len(m) - lag < 2:
        return 0.0
    return pearson(m[: len(m) - lag], m[lag:])


def spectrum(m, sr):
    """Return freq_1, power_1, freq_2, power_2, spectral_entropy."""
    if m.std() < 1e-8 or len(m) < 2:
        return [0.0] * 5
    power = np.abs(np.fft.rfft(m - m.mean()))[1:] ** 2
    power = power / power.sum()
    frequencies = np.fft.rfftfreq(len(m), 1 / sr)[1:]

    def lowest_of_largest(allowed):
        largest = max(power[k] for k in allowed)
        return next(k for k in allowed if power[k] >= largest * (1 - TIE_TOLERANCE))

    bins = range(len(power))
    first = lowest_of_largest(bins)
    found = [frequencies[first], power[first], 0.0, 0.0]
    others = [k for k in bins if abs(k - first) > 1]
    if others:
        second = lowest_of_largest(others)
        found[2:] = [frequencies[second], power[second]]
    entropy = 0.0
    if len(power) > 1:
        entropy = -sum(p * math.log(p) for p in power if p > 0) / math.log(len(power))
    return [*found, entropy]


def peaks(m):
    positions, _ = signal.find_peaks(m)
    if len(positions) == 0:
        return [0.0, 0.0]
    prominences, _, _ = signal.peak_prominences(m, positions)
    return [float(len(positions)), float(np.median(prominences))]


def circular(sines, cosines):
    sine, cosine = np.mean(sines), np.mean(cosines)
    resultant = min(math.hypot(sine, cosine), 1.0)
    angle = math.atan2(sine, cosine) if resultant >= NO_RESULTANT else 0.0
    return angle, math.sqrt(-2 * math.log(max(resultant, NO_RESULTANT)))


def orientation(vectors):
    """Return (mean, circular std) of roll, pitch and yaw."""
    roll, pitch, yaw = ([], []), ([], []), ([], [])
    for x, y, z in vectors:
        h, r, k = math.sqrt(y * y + z * z), math.sqrt(x * x + y * y + z * z), math.sqrt(x * x + y * y)
        for (sines, cosines), sine, cosine, length in (
            (roll, y, z, h),
            (pitch, -x, h, r),
            (yaw, x, y, k),
        ):
            sines.append(sine / length if length >= 1e-6 else 0.0)
            cosines.append(cosine / length if length >= 1e-6 else 0.0)
    return [circular(*pairs) for pairs in (roll, pitch, yaw)]


def statistical_features(window, sr=100.0):
    """Return the features as float64, in the package's order."""
    acceleration = repair(window).astype(np.float64)
    m = magnitude(window).astype(np.float64)
    features = []
    for channel in acceleration.T:
        low, high = channel.min(), channel.max()
        features += [channel.mean(), channel.std(), high - low, low, high]
        features += [np.quantile(channel, q) for q in (0.25, 0.5, 0.75)]
    features += [m.mean(), m.std(), m.max() - m.min()]
    x, y, z = acceleration.T
    features += [pearson(x, y), pearson(x, z), pearson(y, z)]
    features += [m.min(), m.max(), *(np.quantile(m, q) for q in (0.25, 0.5, 0.75))]
    features.append(np.median(np.abs(m - np.median(m))))
    if m.std() < 1e-8:
        features += [0.0, 0.0]
    else:
        scores = (m - m.mean()) / m.std()
        features += [np.mean(scores**3), np.mean(scores**4) - 3]
    features.append(autocorrelation(m, sr))
    features += spectrum(m, sr)
    features += peaks(m)
    alpha = math.exp(-2 * math.pi * 0.5 / sr)
    gravity = [acceleration[0]]
    for sample in acceleration[1:]:
        gravity.append(alpha * gravity[-1] + (1 - alpha) * sample)
    gravity = np.array(gravity)
    features += [mean for mean, _ in orientation(gravity)]
    for mean, deviation in orientation(acceleration - gravity):
        features += [mean, deviation]
    features.append(np.mean(np.maximum(m - 1, 0)))
    return np.array(features)


def decimated(series, factor):
    """Filter with scipy's windowed sinc, mirrored at the ends; keep every factor-th sample."""
    series = np.asarray(series, np.float64)
    if factor == 1:
        return series
    half = 10 * factor
    taps = signal.firwin(2 * half + 1, 1.0 / factor, window="hamming")
    extended = np.pad(series, half, mode="symmetric")
    return signal.fftconvolve(extended, taps, mode="valid")[::factor]


def embedding_plan(n_samples, sr, max_points=128, dimension=3, delay_s=0.1):
    for factor in range(1, n_samples + 1):
        delay = max(1, round(delay_s * sr / factor))
        if len(range(0, n_samples, factor)) - (dimension - 1) * delay <= max_points:
            return factor, delay
    raise AssertionError("one decimated sample is always few enough")


def rips_diagrams(points, max_edge=math.inf):
    """Return ripser's bars of a point cloud, finite and of positive length, sorted."""
    from ripser import ripser

    if len(points) == 0:
        return np.empty((0, 2)), np.empty((0, 2))
    # Given the points themselves, ripser computes distances by a formula that cancels.
    distances = spatial.distance.cdist(points, points)
    diagrams = ripser(distances, maxdim=1, thresh=max_edge, distance_matrix=True)["dgms"]
    kept = []
    for diagram in diagrams:
        bars = sorted((birth, death) for birth, death in diagram.tolist() if birth < death < math.inf)
        kept.append(np.array(bars).reshape(-1, 2))
    return kept[0], kept[1]


def reduced_bars(points):
    """Return the bars of H0 and H1 by reducing the boundary matrix of all simplices, column by column."""
    n = len(points)
    diameter = {frozenset([v]): 0.0 for v in range(n)}
    for size in (2, 3):
        for simplex in itertools.combinations(range(n), size):
            pairs = itertools.combinations(simplex, 2)
            diameter[frozenset(simplex)] = max(math.dist(points[a], points[b]) for a, b in pairs)
    order = sorted(diameter, key=lambda simplex: (diameter[simplex], len(simplex), sorted(simplex)))
    rank = {simplex: i for i, simplex in enumerate(order)}
    reduced = {}
    bars = ([], [])
    for simplex in order:
        column = {rank[simplex - {v}] for v in simplex} if len(simplex) > 1 else set()
        while column and max(column) in reduced:
            column ^= reduced[max(column)]
        if column:
            reduced[max(column)] = column
            birth = diameter[order[max(column)]]
            if birth < diameter[simplex]:
                bars[len(simplex) - 2].append((birth, diameter[simplex]))
    return tuple(np.array(sorted(kind)).reshape(-1, 2) for kind in bars)


def lifetime_entropy(lifetimes):
    total = sum(lifetimes)
    if len(lifetimes) < 2:
        return 0.0
    return -sum(x / total * math.log(x / total) for x in lifetimes) / math.log(len(lifetimes))


def topological_features(window, sr=100.0, max_points=128, dimension=3, delay_s=0.1):
    """Return the 24 features as float64, in the package's order."""
    m = magnitude(window)
    factor, delay = embedding_plan(len(m), sr, max_points, dimension, delay_s)
    series = decimated(m, factor)
    n_points = max(len(series) - (dimension - 1) * delay, 0)
    points = np.array([[series[i + k * delay] for k in range(dimension)] for i in range(n_points)])
    return diagram_features(points)


def diagram_features(points):
    """Summarise the persistence of a cloud of points."""
    radius = 0.0
    if len(points):
        radius = min(max(math.dist(p, q) for q in points) for p in points)
    return summary(*rips_diagrams(points), radius)


def level_set_bars(series):
    """Return the finite bars of the components of {series <= level}, from every level in turn."""
    bars, bottoms = [], []
    for level in sorted(set(series.tolist())):
        low = np.concatenate([[False], series <= level, [False]])
        starts = np.flatnonzero(low[1:] & ~low[:-1])
        stops = np.flatnonzero(low[:-1] & ~low[1:])
        merged = []
        for start, stop in zip(starts, stops, strict=True):
            inside = sorted((series[i], i) for i in bottoms if start <= i < stop)
            merged.append(inside[0][1] if inside else start + int(np.argmin(series[start:stop])))
            bars += [(birth, level) for birth, _ in inside[1:] if level > birth]
        bottoms = merged
    return np.array(sorted(bars), np.float64).reshape(-1, 2)


def simplified_topological_features(window):
    """Return the summaries of valleys and peaks of the magnitude, as float64."""
    m = magnitude(window)
    depth = m.max() - m
    assert depth.dtype == np.float32
    return summary(level_set_bars(m), level_set_bars(depth), float(m.max() - m.min()))


def summary(h0, h1, radius):
    """Return 24 numbers of two diagrams, sorted by birth and death, and a radius."""
    zero = sorted((h0[:, 1] - h0[:, 0]).tolist(), reverse=True)
    one = sorted((h1[:, 1] - h1[:, 0]).tolist(), reverse=True)
    features = (zero + [0.0] * 3)[:3]
    if zero:
        features += [sum(zero), np.mean(zero), np.std(zero), np.quantile(zero, 0.5), np.quantile(zero, 0.9)]
    else:
        features += [0.0] * 5
    features.append(lifetime_entropy(zero))
    features += (one + [0.0] * 3)[:3]
    if one:
        birth, death = max(h1.tolist(), key=lambda bar: bar[1] - bar[0])
        features += [sum(one), np.mean(one), np.std(one), lifetime_entropy(one)]
        features += [sum(life > 0.05 * radius for life in one), birth, death, h1[:, 0].max(), h1[:, 1].max()]
        features.append(math.sqrt(sum(life**2 for life in one)))
    else:
        features += [0.0] * 10
    features += [radius, one[0] / radius if one else 0.0]
    return np.array(features)


ANGLES = {
    *("gravity_roll", "gravity_pitch", "gravity_yaw"),
    *("dynamic_roll_mean", "dynamic_pitch_mean", "dynamic_yaw_mean"),
}


def assert_features_close(computed, expected, names, rtol=1e-4, atol=1e-5):
    """Compare feature vectors by name; angles modulo a whole turn."""
    assert computed.dtype == np.float32
    assert computed.shape == expected.shape == (len(names),)
    problems = []
    for name, got, wanted in zip(names, computed.tolist(), expected.tolist(), strict=True):
        difference = got - wanted
        if name in ANGLES:
            difference = math.remainder(difference, 2 * math.pi)
        if not abs(difference) <= atol + rtol * abs(wanted):
            problems.append(f"{name}: {got!r}, expected {wanted!r}")
    assert not problems, "; ".join(problems)
