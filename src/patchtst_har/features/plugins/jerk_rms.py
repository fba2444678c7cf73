"""Root mean square jerk."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from patchtst_har.features.plugins.registry import register_feature


@register_feature("jerk_rms", outputs=["jerk_rms"])
def jerk_rms(window: Any, sr: float) -> float:
    """Return the root mean square of the jerk, |da/dt|, in g/s; 0 for fewer than two samples.

    A measure of (lack of) smoothness: N. Hogan and D. Sternad, Sensitivity of smoothness measures to
    movement duration, amplitude, and arrests, Journal of Motor Behavior 41(6), 2009, 529-534. The derivative
    is the first difference times `sr`. An accelerometer also sees gravity turn, and so does its jerk.
    """
    n_samples = len(window)
    if n_samples < 2:
        return 0.0
    total = 0.0
    for i in range(1, n_samples):
        for axis in range(3):
            step = np.float64(window[i, axis]) - np.float64(window[i - 1, axis])
            total += step * step
    return sr * math.sqrt(total / (n_samples - 1))
