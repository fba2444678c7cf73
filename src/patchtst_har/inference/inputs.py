"""Windows to the inputs of a model: features, hour of day, patches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from patchtst_har.architecture import cut_patches
from patchtst_har.config import ExperimentConfig
from patchtst_har.data.times import time_features
from patchtst_har.datasets.inputs import ModelInputs
from patchtst_har.errors import DataError
from patchtst_har.features import compute_extended_statistics_batch, compute_topology

__all__ = ["BATCH_SIZE", "check_windows", "cut_patches", "model_inputs"]

BATCH_SIZE = 256
"""Windows that are cut and classified at a time."""


def check_windows(windows: NDArray[np.float32], window_size: int) -> None:
    """Refuse `windows` that are not finite float32 of shape (n, `window_size`, 3).

    Raises
    ------
    DataError
        With the reason.
    """
    expected = (window_size, 3)
    if not isinstance(windows, np.ndarray) or windows.dtype != np.float32:
        found = windows.dtype if isinstance(windows, np.ndarray) else type(windows).__name__
        raise DataError(f"windows: needs a float32 array, is {found}")
    if windows.ndim != 3 or windows.shape[1:] != expected:
        raise DataError(f"windows: needs shape (n, {expected[0]}, 3), has {windows.shape}")
    bad = np.flatnonzero(~np.isfinite(windows).all(axis=(1, 2)))
    if bad.size:
        raise DataError(f"windows: window {bad[0]} has values that are not finite")


def model_inputs(
    config: ExperimentConfig, windows: NDArray[np.float32], start_ns: NDArray[np.int64] | None
) -> ModelInputs:
    """Compute what a model takes of windows.

    Parameters
    ----------
    config : ExperimentConfig
        Of the model.
    windows : ndarray of float32, shape (n, window_size, 3)
        In g, finite.
    start_ns : ndarray of int64, shape (n,), or None
        First moment of each window; None where the model does not use the time of day.

    Returns
    -------
    ModelInputs
        In the order of the windows.
    """
    n = len(windows)
    stats = topo = np.empty((n, 0), np.float32)
    threads = config.features.n_threads
    sample_rate_hz = config.data.sample_rate_hz
    if config.model.n_stat_features:
        added = config.features
        stats = compute_extended_statistics_batch(
            windows, sample_rate_hz, added.plugins, movement=added.movement, n_threads=threads
        )
    if config.model.n_topo_features:
        topology = config.features.topology
        topo = compute_topology(windows, sample_rate_hz, topology, n_threads=threads).features
    return ModelInputs(windows, _times(config, n, start_ns), stats, topo)


def _times(config: ExperimentConfig, n: int, start_ns: NDArray[np.int64] | None) -> NDArray[np.float32]:
    if start_ns is not None and np.shape(start_ns) != (n,):
        raise DataError(f"start_ns: needs shape ({n},), one for each window, has {np.shape(start_ns)}")
    if not config.model.n_time_features:
        return np.empty((n, 0), np.float32)
    if start_ns is None:
        raise DataError("start_ns: this model uses the time of day, so it needs the start of every window")
    return time_features(start_ns, config.data.timezone)
