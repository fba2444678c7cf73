"""Features as a table with named columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from patchtst_har.features.checks import Float32Array
from patchtst_har.features.movement import compute_movement_features_batch
from patchtst_har.features.names import (
    MOVEMENT_FEATURE_NAMES,
    STATISTICAL_FEATURE_NAMES,
    TOPOLOGICAL_FEATURE_NAMES,
)
from patchtst_har.features.plugins import compute_plugin_features_batch, feature_outputs
from patchtst_har.features.statistics import compute_statistical_features_batch
from patchtst_har.features.topology import compute_topological_features_batch

if TYPE_CHECKING:
    import pandas as pd

    from patchtst_har.features.settings import TopologyConfig


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

    columns = [*STATISTICAL_FEATURE_NAMES]
    parts = [compute_statistical_features_batch(windows, sr, n_threads=n_threads)]
    if movement:
        columns += MOVEMENT_FEATURE_NAMES
        parts.append(compute_movement_features_batch(windows, sr, n_threads=n_threads))
    columns += [*TOPOLOGICAL_FEATURE_NAMES, *feature_outputs(plugins)]
    parts.append(compute_topological_features_batch(windows, sr, config, n_threads=n_threads))
    parts.append(compute_plugin_features_batch(windows, plugins, sr, n_threads=n_threads))
    return pd.DataFrame(np.hstack(parts), columns=columns)
