"""Features of windows, computed once and kept on disk.

An entry's key is a hash of everything that the features depend on, so an entry is right or absent, never
stale, and nothing has to be invalidated.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from patchtst_har import __version__
from patchtst_har.config import FeatureConfig
from patchtst_har.datasets.window_store import SlicedWindows, blocks_of_windows
from patchtst_har.errors import DataError
from patchtst_har.features.plugins.registry import selected
from patchtst_har.support.files import ensure_folder
from patchtst_har.support.npz import read_npz, write_npz

logger = logging.getLogger(__name__)

FEATURE_VERSION = 1
"""Raise by one whenever the definition of a built-in feature changes within a release."""


NOT_COMPUTED = "none"
"""In place of the engine where no topological features are computed."""


@dataclass(frozen=True, eq=False)
class Features:
    """Features of some windows."""

    stats: NDArray[np.float32]
    """(n, n_stat_features) statistical features, then those of movement and of the plug-ins."""
    topo: NDArray[np.float32]
    """(n, 24) topological features; (n, 0) if they are not computed."""
    topo_engines: NDArray[np.str_]
    """(n,) what computed each row of `topo` (`patchtst_har.features.TopologyResult`), or `NOT_COMPUTED`."""

    @classmethod
    def join(cls, parts: Sequence[Features]) -> Features:
        """Return the features of windows that follow each other as one."""
        return (
            parts[0]
            if len(parts) == 1
            else cls(
                *(
                    np.concatenate([getattr(part, name) for part in parts])
                    for name in ("stats", "topo", "topo_engines")
                )
            )
        )


class FeatureCache:
    """Features by the content of their windows.

    Parameters
    ----------
    folder : path-like
        Created if need be. Several processes may share it: entries are written whole, and two that compute
        the same entry write the same bytes.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = ensure_folder(folder)

    def features(self, windows: SlicedWindows, sample_rate_hz: float, config: FeatureConfig) -> Features:
        """Return the features of `windows`, from disk if they are there.

        A damaged entry is logged, computed again and replaced. Features of which some fell back
        (`topology.on_error`) are not kept: what failed may succeed the next time.

        Parameters
        ----------
        windows : (n, T, 3) float32
            Acceleration in g, C order; of those on disk, some are in memory at a time.
        sample_rate_hz : float
            Their sampling rate.
        config : FeatureConfig
            Which groups, topology and plug-ins; `n_threads` has no influence on the result.

        Raises
        ------
        FeatureError
            If a plug-in fails on a window.
        MemoryError, MissingDependencyError
            If the topological features fail, with ``topology.on_error="raise"``.
        OSError
            If an entry cannot be written.
        """
        path = self.folder / f"{cache_key(windows, sample_rate_hz, config)}.npz"
        if path.exists():
            try:
                return _read_entry(path, len(windows), config)
            except DataError as error:
                logger.warning("feature cache: %s; computing it again", error)
        features = Features.join(
            [compute_features(block, sample_rate_hz, config) for block in blocks_of_windows(windows)]
        )
        if (features.topo_engines != _engine(config)).any():
            return features
        write_npz(path, {"stats": features.stats, "topo": features.topo})
        return features


def cache_key(windows: SlicedWindows, sample_rate_hz: float, config: FeatureConfig) -> str:
    """Return the SHA-256 of the windows and of everything else that their features depend on."""
    depends_on = {
        "shape": windows.shape,
        "sample_rate_hz": float(sample_rate_hz),
        "config": config.model_dump(mode="json", exclude={"n_threads", "cache_dir"}),
        "feature_version": FEATURE_VERSION,
        "package_version": __version__,
        "plugins": [(plugin.name, plugin.fingerprint) for plugin in selected(config.plugins)],
    }
    digest = hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode())
    for block in blocks_of_windows(windows):
        digest.update(np.ascontiguousarray(block, dtype="<f4").data)
    return digest.hexdigest()


def compute_features(windows: NDArray[np.float32], sample_rate_hz: float, config: FeatureConfig) -> Features:
    """Return the features of `windows`, always computed."""
    from patchtst_har import features

    stats = features.compute_extended_statistics_batch(
        windows,
        sample_rate_hz,
        config.plugins,
        movement=config.movement,
        n_threads=config.n_threads,
    )
    if not config.n_topo_features:
        return Features(stats, np.empty((len(windows), 0), np.float32), np.full(len(windows), NOT_COMPUTED))
    topology = features.compute_topology(windows, sample_rate_hz, config.topology, n_threads=config.n_threads)
    return Features(stats, topology.features, topology.engines)


def _engine(config: FeatureConfig) -> str:
    return config.topology.engine if config.n_topo_features else NOT_COMPUTED


def _read_entry(path: Path, n_windows: int, config: FeatureConfig) -> Features:
    arrays = read_npz(path, ("stats", "topo"))
    for name, width in (("stats", config.n_stat_features), ("topo", config.n_topo_features)):
        array = arrays[name]
        if array.shape != (n_windows, width) or array.dtype != np.float32 or not np.isfinite(array).all():
            needed = f"finite float32 of {(n_windows, width)}"
            raise DataError(f"{path}: {name} has shape {array.shape} of {array.dtype}, {needed} is needed")
    return Features(arrays["stats"], arrays["topo"], np.full(n_windows, _engine(config)))
