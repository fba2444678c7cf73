"""Computing plug-ins on windows: checks, repair, threads."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from threading import Lock

import numpy as np

from patchtst_har.features.checks import (
    Float32Array,
    check_out,
    check_rate,
    check_threads,
    check_window,
    check_windows,
)
from patchtst_har.features.plugins.registry import Plugin, selected

logger = logging.getLogger(__name__)

_LARGEST_VALUE = np.float32(1e19)


class _Threads:
    """Who may use numba's threads: one caller at a time, and no child of a fork made after they started."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.started = False
        self.lost = False

    def after_fork(self) -> None:
        self.lock = Lock()
        self.lost = self.lost or self.started


_threads = _Threads()
if hasattr(os, "register_at_fork"):  # Windows forks no process.
    os.register_at_fork(after_in_child=_threads.after_fork)


def compute_plugin_features(window: Float32Array, plugins: Iterable[str], sr: float = 100.0) -> Float32Array:
    """Return the values of plug-in features of one window.

    Parameters
    ----------
    window : ndarray of float32, shape (n_samples, 3), C order
        Acceleration in g.
    plugins : iterable of str
        Names of registered features.
    sr : float, default 100.0
        Sampling rate in Hz.

    Returns
    -------
    ndarray of float32, shape (n_outputs,)
        In the order of `feature_outputs`; always finite.

    Raises
    ------
    DataError, TypeError
        If window or sampling rate are not as above.
    FeatureError
        As `compute_plugin_features_batch`.
    """
    features: Float32Array = compute_plugin_features_batch(check_window(window)[np.newaxis], plugins, sr)[0]
    return features


def compute_plugin_features_batch(
    windows: Float32Array,
    plugins: Iterable[str],
    sr: float = 100.0,
    *,
    n_threads: int = 1,
    out: Float32Array | None = None,
) -> Float32Array:
    """Return the values of plug-in features of many windows.

    Parameters
    ----------
    windows : ndarray of float32, shape (n_windows, n_samples, 3), C order
        Acceleration in g; n_windows may be 0. Samples that are not finite or beyond 1e19 g are interpolated
        as in `compute_statistical_features` before a plug-in sees them.
    plugins : iterable of str
        Names of registered features.
    sr : float, default 100.0
        Sampling rate in Hz.
    n_threads : int, default 1
        Most threads, limited to those that numba may use (``numba.get_num_threads()``); the result does not
        depend on it. One thread starts none. In a child that was forked after numba's threads had started
        they do not exist any more: there the calling thread does all the work, and a warning is logged.
    out : ndarray of float32, shape (n_windows, n_outputs), C order, optional
        Written to and returned; must not share memory with `windows`.

    Returns
    -------
    ndarray of float32, shape (n_windows, n_outputs)
        Columns in the order of `feature_outputs`; always finite.

    Raises
    ------
    DataError
        If an array's shape, dtype or memory order, the sampling rate or `n_threads` are not as above.
    FeatureError
        If a plug-in is unknown, raises, or returns a wrong number of values or one that is not finite in
        float32; names the plug-in and the first such window.
    TypeError
        If an array is not a numpy array, or `n_threads` not an integer.
    """
    chosen = selected(plugins)
    windows = check_windows(windows)
    rate_hz, n_threads = check_rate(sr), check_threads(n_threads)
    features = check_out(out, len(windows), sum(len(plugin.outputs) for plugin in chosen), windows)
    if not (chosen and len(windows)):
        return features
    repaired = repair(windows)
    start = 0
    for plugin in chosen:
        columns = np.empty((len(windows), len(plugin.outputs)), np.float32)
        _fill(plugin, repaired, rate_hz, columns, min(n_threads, len(windows)))
        features[:, start : start + columns.shape[1]] = columns
        start += columns.shape[1]
    return features


def repair(windows: Float32Array) -> Float32Array:
    """Return windows whose values that are not valid samples are repaired; a copy only if there are any."""
    # Whole recordings pass through here: look for trouble without a temporary of their size.
    if windows.size == 0 or (windows.max() <= _LARGEST_VALUE and windows.min() >= -_LARGEST_VALUE):
        return windows
    bad = ~(np.abs(windows) <= _LARGEST_VALUE)
    repaired = windows.copy()
    positions = np.arange(windows.shape[1])
    for row, axis in zip(*np.nonzero(bad.any(axis=1)), strict=True):
        good = ~bad[row, :, axis]
        channel = windows[row, :, axis]
        # Without any valid sample, there is nothing to interpolate from.
        values = np.interp(positions, positions[good], channel[good]) if good.any() else 0.0
        repaired[row, :, axis] = values
    return repaired


def _fill(plugin: Plugin, windows: Float32Array, rate_hz: float, out: Float32Array, n_threads: int) -> None:
    if n_threads > 1 and _threads.lost:
        logger.warning(
            "feature %r: this process was forked after numba's threads had started; computing in one thread "
            "(use the start method spawn or forkserver)",
            plugin.name,
        )
        n_threads = 1
    if n_threads == 1:
        plugin.kernel.fill(windows, rate_hz, out, parallel=False)
        return
    import numba

    # numba's simplest threading layer ends the process if two threads enter it at once.
    with _threads.lock:
        _threads.started = True
        before = numba.get_num_threads()
        numba.set_num_threads(min(n_threads, before))
        try:
            plugin.kernel.fill(windows, rate_hz, out, parallel=True)
        finally:
            numba.set_num_threads(before)
