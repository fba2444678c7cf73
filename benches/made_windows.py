"""Made-up windows of three kinds, the same in every run: walking, at rest, noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WINDOW_SAMPLES = 1000
SAMPLE_RATE_HZ = 100.0


def _walking(rng: np.random.Generator, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    step_hz = rng.uniform(1.5, 2.3)
    phase = 2 * np.pi * step_hz * time_s + rng.uniform(0, 2 * np.pi)
    arm = np.sin(phase / 2)[:, np.newaxis] * [0.25, 0.15, 0.05]
    heel = np.exp(4 * (np.cos(phase) - 1))[:, np.newaxis] * [0.5, 0.1, 0.3]
    return np.array([-0.8, 0.3, 0.5]) + arm + heel + rng.normal(0, 0.05, (len(time_s), 3))


def _still(rng: np.random.Generator, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rest as a device with steps of 1/64 g records it: few values, long plateaus."""
    signal = np.array([0.1, 0.2, 0.97]) + rng.normal(0, 0.006, (len(time_s), 3))
    return np.round(signal * 64) / 64


def _noise(rng: np.random.Generator, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([0.3, 0.5, 0.8]) + rng.normal(0, 0.3, (len(time_s), 3))


KINDS = {"walking": _walking, "still": _still, "noise": _noise}


def windows_of(kind: str, n_windows: int = 64) -> NDArray[np.float32]:
    """Return windows (n_windows, 1000, 3) of one kind."""
    rng = np.random.default_rng(0)
    time_s = np.arange(WINDOW_SAMPLES) / SAMPLE_RATE_HZ
    return np.stack([KINDS[kind](rng, time_s) for _ in range(n_windows)]).astype(np.float32)


def mixed_windows(n_windows: int = 96) -> NDArray[np.float32]:
    """Return windows (n_windows, 1000, 3) of all kinds in turn; `n_windows` is a multiple of three."""
    per_kind = [windows_of(kind, n_windows // len(KINDS)) for kind in KINDS]
    return np.ascontiguousarray(np.stack(per_kind, axis=1).reshape(n_windows, WINDOW_SAMPLES, 3))
