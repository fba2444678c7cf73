"""Slow versions of the shipped plug-ins, written from the papers' definitions."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import numpy as np


def magnitude_of(window):
    return np.array([math.sqrt(x * x + y * y + z * z) for x, y, z in window.astype(np.float64)])


def jerk_rms(window, sr):
    steps = [(b - a) * sr for a, b in pairwise(window.astype(np.float64))]
    return [math.sqrt(sum(float(step @ step) for step in steps) / len(steps))]


def hjorth(window, sr):
    def variance(series):
        mean = sum(series) / len(series)
        return sum((value - mean) ** 2 for value in series) / len(series)

    def derivative(series):
        return [(after - before) * sr for before, after in pairwise(series)]

    signal = list(magnitude_of(window))
    first = derivative(signal)
    second = derivative(first)
    mobility = math.sqrt(variance(first) / variance(signal))
    return [mobility, math.sqrt(variance(second) / variance(first)) / mobility]


def sample_entropy(window, sr):
    magnitude = magnitude_of(window)
    block = 1
    while len(magnitude) // block > 512:
        block += 1
    series = [magnitude[i * block : (i + 1) * block].mean() for i in range(len(magnitude) // block)]
    tolerance = 0.2 * np.std(series)

    def agreeing(length):
        # As many templates of length m as of length m + 1: n - m.
        templates = [np.array(series[i : i + length]) for i in range(len(series) - 2)]
        return sum(np.abs(a - b).max() <= tolerance for a, b in combinations(templates, 2))

    return [-math.log(agreeing(3) / agreeing(2))]


REFERENCES = {"jerk_rms": jerk_rms, "hjorth": hjorth, "sample_entropy": sample_entropy}
