"""Mobility and complexity of the acceleration's magnitude."""

from __future__ import annotations

from typing import Any

import numpy as np

from patchtst_har.features.plugins.registry import register_feature

_CONSTANT_STD = 1e-8


@register_feature("hjorth", outputs=["hjorth_mobility", "hjorth_complexity"])
def hjorth(window: Any, sr: float) -> tuple[float, float]:
    """Return Hjorth's mobility (1/s) and complexity (no unit) of the magnitude.

    B. Hjorth, EEG analysis based on time domain properties, Electroencephalography and Clinical
    Neurophysiology 29, 1970, 306-310. Mobility is the standard deviation of the slope over that of the
    signal; complexity is the mobility of the slope over the mobility of the signal, 1 for a sine. Derivatives
    are first differences times `sr`; standard deviations are population ones. Where one is below 1e-8 g
    (between samples, for the slope), what would be divided by it is 0.
    """
    x = window.astype(np.float64)
    magnitude = np.sqrt(x[:, 0] ** 2 + x[:, 1] ** 2 + x[:, 2] ** 2)
    if len(magnitude) < 3:
        return 0.0, 0.0
    slope = magnitude[1:] - magnitude[:-1]
    curvature = slope[1:] - slope[:-1]
    signal_std, slope_std, curvature_std = np.std(magnitude), np.std(slope), np.std(curvature)
    if signal_std < _CONSTANT_STD:
        return 0.0, 0.0
    mobility = slope_std / signal_std
    if slope_std < _CONSTANT_STD:
        return sr * mobility, 0.0
    return sr * mobility, (curvature_std / slope_std) / mobility
