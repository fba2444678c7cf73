"""The statistical features with those of plug-ins behind them, as a model gets them, and all as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from patchtst_har.features.checks import Float32Array
from patchtst_har.features.names import STATISTICAL_FEATURE_NAMES, TOPOLOGICAL_FEATURE_NAMES
from patchtst_har.features.plugins import (
    compute_plugin_features,
    compute_plugin_features_batch,
    feature_outputs,
)
from patchtst_har.features.statistics import compute_statistical_features, compute_statistical_features_batch
from patchtst_har.features.topology import compute_topological_features_batch

if TYPE_CHECKING:
    import pandas as pd

    from patchtst_har.features.settings import TopologyConfig


def extended_statistics_names(plugins: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the columns of `compute_extended_statistics_batch`: built-in, then of the plug-ins."""
    return STATISTICAL_FEATURE_NAMES + feature_outputs(plugins)


def compute_extended_statistics(
    window: Float32Array, sr: float = 100.0, plugins: Sequence[str] = ()
) -> Float32Array:
    """Return the statistical features of one window, then those of plug-ins.

    Parameters
    ----------
    window : ndarray of float32, shape (n_samples, 3), C order
        Acceleration in g.
    sr : float, default 100.0
        Sampling rate in Hz.
    plugins : sequence of str
        Names of registered features.

    Returns
    -------
    ndarray of float32, shape (n_statistical + n_outputs,)
        In the order of `extended_statistics_names`; always finite.

    Raises
    ------
    DataError, TypeError
        As `compute_statistical_features`.
    FeatureError
        As `compute_plugin_features_batch`.
    """
    statistical = compute_statistical_features(window, sr)
    if not plugins:
        return statistical
    return np.concatenate([statistical, compute_plugin_features(window, plugins, sr)])


def compute_extended_statistics_batch(
    windows: Float32Array, sr: float = 100.0, plugins: Sequence[str] = (), *, n_threads: int = 1
) -> Float32Array:
    """Return the statistical features of many windows, then those of plug-ins.

    Parameters
    ----------
    windows : ndarray of float32, shape (n_windows, n_samples, 3), C order
        Acceleration in g; n_windows may be 0.
    sr : float, default 100.0
        Sampling rate in Hz.
    plugins : sequence of str
        Names of registered features.
    n_threads : int, default 1
        Threads over which the windows are split; the result does not depend on it.

    Returns
    -------
    ndarray of float32, shape (n_windows, n_statistical + n_outputs)
        Row i equals ``compute_extended_statistics(windows[i], sr, plugins)`` bit for bit.

    Raises
    ------
    DataError, TypeError
        As `compute_statistical_features_batch`.
    FeatureError
        As `compute_plugin_features_batch`.
    """
    statistical = compute_statistical_features_batch(windows, sr, n_threads=n_threads)
    if not plugins:
        return statistical
    added = compute_plugin_features_batch(windows, plugins, sr, n_threads=n_threads)
    return np.concatenate([statistical, added], axis=1)


def feature_frame(
    windows: Float32Array,
    sr: float = 100.0,
    config: TopologyConfig | None = None,
    *,
    plugins: Sequence[str] = (),
    n_threads: int = 1,
) -> pd.DataFrame:
    """Return all 80 features of many windows, and those of plug-ins, as a table.

    Parameters
    ----------
    windows : ndarray of float32, shape (n_windows, n_samples, 3), C order
        Acceleration in g.
    sr : float, default 100.0
        Sampling rate in Hz.
    config : TopologyConfig, optional
        Settings of the topological features; None takes the defaults.
    plugins : sequence of str
        Names of registered features.
    n_threads : int, default 1
        Threads of the batch functions.

    Returns
    -------
    pandas.DataFrame, shape (n_windows, 80 + n_outputs)
        float32; the columns are `STATISTICAL_FEATURE_NAMES`, `TOPOLOGICAL_FEATURE_NAMES` and the outputs of
        the plug-ins.

    Raises
    ------
    DataError, TypeError
        As `compute_statistical_features_batch`.
    FeatureError
        As `compute_plugin_features_batch`.
    """
    import pandas as pd

    statistical = compute_statistical_features_batch(windows, sr, n_threads=n_threads)
    topological = compute_topological_features_batch(windows, sr, config, n_threads=n_threads)
    added = compute_plugin_features_batch(windows, plugins, sr, n_threads=n_threads)
    columns = [*STATISTICAL_FEATURE_NAMES, *TOPOLOGICAL_FEATURE_NAMES, *feature_outputs(plugins)]
    return pd.DataFrame(np.hstack([statistical, topological, added]), columns=columns)
