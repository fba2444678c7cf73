"""Topological features that never fail: simplified ones, then zeros, where the engine fails."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from patchtst_har import _core
from patchtst_har.features import topology
from patchtst_har.features.checks import Float32Array, check_rate, check_threads, check_windows
from patchtst_har.features.names import TOPOLOGICAL_FEATURE_NAMES

if TYPE_CHECKING:
    from patchtst_har.features.settings import TopologyConfig

logger = logging.getLogger(__name__)

SIMPLIFIED: Final = "simplified"
ZEROS: Final = "zeros"


@dataclass(frozen=True, eq=False)
class TopologyResult:
    """Topological features, and what computed them."""

    features: Float32Array
    """(n, 24)."""
    engines: NDArray[np.str_]
    """(n,) `native` or `ripser`; `simplified` or `zeros` where that one failed."""

    @property
    def counts(self) -> dict[str, int]:
        """How many rows each engine computed."""
        return engine_counts(self.engines)


def engine_counts(engines: NDArray[np.str_]) -> dict[str, int]:
    """Return how often each name occurs, by name."""
    return dict(sorted(Counter(engines.tolist()).items()))


def safe_compute_topo_features(
    windows: Float32Array, sr: float = 100.0, config: TopologyConfig | None = None, *, n_threads: int = 1
) -> TopologyResult:
    """Return topological features that never fail on valid windows.

    Windows whose features fail, for any reason (memory, a missing engine, a bug), get simplified ones
    (`compute_simplified_topological_features`); if those fail too, zeros. Each fallback is logged as a
    warning with the window's number and the reason.

    Parameters
    ----------
    windows : ndarray of float32, shape (n_windows, n_samples, 3) or (n_samples, 3), C order
        Acceleration in g; a single window is a batch of one.
    sr : float, default 100.0
        Sampling rate in Hz.
    config : TopologyConfig, optional
        As `compute_topological_features`; its `on_error` plays no part.
    n_threads : int, default 1
        Threads over which the windows are split.

    Returns
    -------
    TopologyResult
        The features, and for each row which engine it comes from.

    Raises
    ------
    DataError, TypeError
        If an argument is not as above: that is not a failure of an engine, and nothing replaces it.

    Notes
    -----
    A simplified row lies in the same 24 columns as a full one but measures something else
    (`SIMPLIFIED_TOPOLOGICAL_FEATURE_NAMES`), so a model that was trained on full ones loses accuracy on it.
    """
    if isinstance(windows, np.ndarray) and windows.ndim == 2:
        windows = windows[np.newaxis]
    windows, rate_hz = check_windows(windows), check_rate(sr)
    n_threads = check_threads(n_threads)
    settings = config or topology.default_config()
    engines = np.full(len(windows), settings.engine, "<U10")
    try:
        features = topology.compute_topological_features_batch(
            windows, rate_hz, settings, n_threads=n_threads
        )
    except Exception as error:
        logger.warning(
            "topological features: the %s engine failed (%r); window by window", settings.engine, error
        )
        features = np.empty((len(windows), len(TOPOLOGICAL_FEATURE_NAMES)), np.float32)
        for row in range(len(windows)):
            engines[row] = _fill_row(row, windows[row], rate_hz, settings, features[row])
    return TopologyResult(features, engines)


def compute_topology(
    windows: Float32Array, sr: float, config: TopologyConfig, *, n_threads: int = 1
) -> TopologyResult:
    """Return topological features as the configuration's `on_error` says: all by its engine, or safely.

    Parameters and errors are those of `compute_topological_features_batch` with ``on_error="raise"``, those
    of `safe_compute_topo_features` with ``on_error="fallback"``.
    """
    if config.on_error == "fallback":
        return safe_compute_topo_features(windows, sr, config, n_threads=n_threads)
    features = topology.compute_topological_features_batch(windows, sr, config, n_threads=n_threads)
    return TopologyResult(features, np.full(len(features), config.engine, "<U10"))


def compute_simplified_topological_features(windows: Float32Array) -> Float32Array:
    """Return simpler topological features in O(n log n): the persistence of the magnitude's level sets.

    Parameters
    ----------
    windows : ndarray of float32, shape (n_windows, n_samples, 3), C order
        Acceleration in g, repaired as in `compute_statistical_features`.

    Returns
    -------
    ndarray of float32, shape (n_windows, 24)
        In the order of `SIMPLIFIED_TOPOLOGICAL_FEATURE_NAMES`; always finite. The same summaries as in
        `compute_topological_features`, of other diagrams: in place of H0 the sublevel sets of the magnitude m
        (a valley is born at its bottom and dies where it joins a deeper one), in place of H1 those of
        max m - m (peaks; births and deaths are depths below the highest), in place of the enclosing radius
        the range of m. Valleys and peaks that never die, the deepest and the highest, are left out.

    Raises
    ------
    DataError, TypeError
        If `windows` is not as above.

    Notes
    -----
    Elder rule on a path graph with union-find (Edelsbrunner and Harer, Computational Topology, 2010).
    """
    windows = check_windows(windows)
    features = np.empty((len(windows), len(TOPOLOGICAL_FEATURE_NAMES)), np.float32)
    _core.simplified_topological_features(windows, features)
    return features


def _fill_row(
    row: int, window: Float32Array, rate_hz: float, config: TopologyConfig, out: Float32Array
) -> str:
    """Write the best features that can be had of one window to `out`; return what computed them."""
    try:
        out[:] = topology.compute_topological_features(window, rate_hz, config)
        return config.engine
    except Exception as error:
        logger.warning("topological features of window %d: %r; simplified ones instead", row, error)
    try:
        out[:] = compute_simplified_topological_features(window[np.newaxis])[0]
        return SIMPLIFIED
    except Exception as error:
        logger.warning("simplified topological features of window %d: %r; zeros instead", row, error)
    out[:] = 0
    return ZEROS
