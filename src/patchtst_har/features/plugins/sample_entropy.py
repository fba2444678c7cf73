"""Sample entropy of the acceleration's magnitude."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from patchtst_har.features.plugins.registry import register_feature

_TOLERANCE = 0.2
_MOST_SAMPLES = 512
_CONSTANT_STD = 1e-8


@register_feature("sample_entropy", outputs=["sample_entropy"])
def sample_entropy(window: Any, sr: float) -> float:
    """Return the sample entropy of the magnitude, m = 2, r = 0.2 standard deviations, in nats.

    J. S. Richman and J. R. Moorman, Physiological time-series analysis using approximate entropy and sample
    entropy, American Journal of Physiology - Heart and Circulatory Physiology 278, 2000, H2039-H2049:
    -ln(A / B), where B counts the pairs of the n - m templates of length m whose largest difference is at
    most r, and A those that still agree in one sample more.

    The cost is quadratic in the number of samples. A longer magnitude is therefore averaged over
    non-overlapping blocks, the shortest that leave at most 512 of them (1000 samples at 100 Hz: pairs,
    20 ms); a last incomplete block is left out. n and r are those of the averaged series. If no pair agrees,
    the value is the largest that n allows, ln(n - m - 1) + ln(n - m) - ln(2). It is 0 when the standard
    deviation is below 1e-8 g or n - m is below 2.
    """
    x = window.astype(np.float64)
    magnitude = np.sqrt(x[:, 0] ** 2 + x[:, 1] ** 2 + x[:, 2] ** 2)
    block = -(-len(magnitude) // _MOST_SAMPLES)
    n_samples = len(magnitude) // block
    series = magnitude[: n_samples * block].reshape(n_samples, block).sum(axis=1) / block
    n_templates = n_samples - 2
    spread = np.std(series)
    if n_templates < 2 or spread < _CONSTANT_STD:
        return 0.0
    tolerance = _TOLERANCE * spread
    agreeing = still_agreeing = 0
    for i in range(n_templates - 1):
        for j in range(i + 1, n_templates):
            if abs(series[i] - series[j]) > tolerance or abs(series[i + 1] - series[j + 1]) > tolerance:
                continue
            agreeing += 1
            if abs(series[i + 2] - series[j + 2]) <= tolerance:
                still_agreeing += 1
    if still_agreeing == 0:
        return math.log(n_templates - 1) + math.log(n_templates) - math.log(2)
    return math.log(agreeing / still_agreeing)
