"""Statistical features, on demand movement, those of plug-ins: as a model gets them. All as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from patchtst_har.features.checks import Float32Array
from patchtst_har.features.movement import compute_movement_features, compute_movement_features_batch
from patchtst_har.features.names import (
    MOVEMENT_FEATURE_NAMES,
    STATISTICAL_FEATURE_NAMES,
    TOPOLOGICAL_FEATURE_NAMES,
)
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


@dataclass(frozen=True)
class FeatureGroups:
    """Which features are wanted, in this order: statistical, movement, topological, those of plug-ins."""

    statistical: bool = True
    movement: bool = False
    topological: bool = False
    plugins: Sequence[str] = ()
    topology: TopologyConfig | None = None

    def names(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        return (
            *(STATISTICAL_FEATURE_NAMES if self.statistical else ()),
            *(MOVEMENT_FEATURE_NAMES if self.movement else ()),
            *(TOPOLOGICAL_FEATURE_NAMES if self.topological else ()),
            *feature_outputs(self.plugins),
        )

    def compute(self, windows: Float32Array, sr: float, n_threads: int = 1) -> Float32Array:
        """Return the features of windows (n, T, 3), (n, n_features); errors as of each group."""
        parts = []
        if self.statistical:
            parts.append(compute_statistical_features_batch(windows, sr, n_threads=n_threads))
        if self.movement:
            parts.append(compute_movement_features_batch(windows, sr, n_threads=n_threads))
        if self.topological:
            parts.append(compute_topological_features_batch(windows, sr, self.topology, n_threads=n_threads))
        if self.plugins:
            parts.append(compute_plugin_features_batch(windows, self.plugins, sr, n_threads=n_threads))
        return np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]


def extended_statistics_names(plugins: Sequence[str] = (), *, movement: bool = False) -> tuple[str, ...]:
    """Return the columns of `compute_extended_statistics_batch` with the same `plugins` and `movement`."""
    return FeatureGroups(movement=movement, plugins=plugins).names()


def compute_extended_statistics(
    window: Float32Array, sr: float = 100.0, plugins: Sequence[str] = (), *, movement: bool = False
) -> Float32Array:
    """Return the statistical features of one window, then those of movement and of plug-ins.

    Parameters
    ----------
    window : ndarray of float32, shape (n_samples, 3), C order
        Acceleration in g.
    sr : float, default 100.0
        Sampling rate in Hz.
    plugins : sequence of str
        Names of registered features.
    movement : bool, default False
        Whether the movement features are among them.

    Returns
    -------
    ndarray of float32, shape (n_features,)
        In the order of `extended_statistics_names`; always finite.

    Raises
    ------
    DataError, TypeError
        As `compute_statistical_features`.
    FeatureError
        As `compute_plugin_features_batch`.
    """
    parts = [compute_statistical_features(window, sr)]
    if movement:
        parts.append(compute_movement_features(window, sr))
    if plugins:
        parts.append(compute_plugin_features(window, plugins, sr))
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def compute_extended_statistics_batch(
    windows: Float32Array,
    sr: float = 100.0,
    plugins: Sequence[str] = (),
    *,
    movement: bool = False,
    n_threads: int = 1,
) -> Float32Array:
    """Return the statistical features of many windows, then those of movement and of plug-ins.

    Parameters
    ----------
    windows : ndarray of float32, shape (n_windows, n_samples, 3), C order
        Acceleration in g; n_windows may be 0.
    sr : float, default 100.0
        Sampling rate in Hz.
    plugins : sequence of str
        Names of registered features.
    movement : bool, default False
        Whether the movement features are among them.
    n_threads : int, default 1
        Threads over which the windows are split; the result does not depend on it.

    Returns
    -------
    ndarray of float32, shape (n_windows, n_features)
        Row i equals that of ``compute_extended_statistics(windows[i], ...)`` bit for bit.

    Raises
    ------
    DataError, TypeError
        As `compute_statistical_features_batch`.
    FeatureError
        As `compute_plugin_features_batch`.
    """
    return FeatureGroups(movement=movement, plugins=plugins).compute(windows, sr, n_threads)


def feature_frame(
    windows: Float32Array,
    sr: float = 100.0,
    config: TopologyConfig | None = None,
    *,
    plugins: Sequence[str] = (),
    n_threads: int = 1,
    movement: bool = False,
) -> pd.DataFrame:
    """Return the features of many windows as a table: statistical, movement, topological, of plug-ins.

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
    movement : bool, default False
        Add the movement features.

    Returns
    -------
    pandas.DataFrame, shape (n_windows, n_features)
        float32; the columns are `STATISTICAL_FEATURE_NAMES`, with `movement` `MOVEMENT_FEATURE_NAMES`,
        `TOPOLOGICAL_FEATURE_NAMES` and the outputs of the plug-ins.

    Raises
    ------
    DataError, TypeError
        As `compute_statistical_features_batch`.
    FeatureError
        As `compute_plugin_features_batch`.
    """
    import pandas as pd

    groups = FeatureGroups(movement=movement, topological=True, plugins=plugins, topology=config)
    return pd.DataFrame(groups.compute(windows, sr, n_threads), columns=list(groups.names()))
