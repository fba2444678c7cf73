"""What a model is given: windows and features, cut into patches a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from patchtst_har.architecture import cut_patches
from patchtst_har.config import ModelConfig
from patchtst_har.datasets.window_store import WindowArray


@dataclass(frozen=True, eq=False)
class ModelInputs:
    """A model's inputs for n windows; row i is the same window everywhere."""

    windows: WindowArray
    """(n, T, 3) acceleration in g, in memory or read as they are needed."""
    times: NDArray[np.float32]
    """(n, 5), see `patchtst_har.data.times`. Of this and the next two, those that a model does not use may be
    anything."""
    stats: NDArray[np.float32]
    """(n, statistical features), and then the values of the plug-ins, if any are selected."""
    topo: NDArray[np.float32]
    """(n, 24)."""

    def __len__(self) -> int:
        return len(self.windows)

    def select(self, rows: slice | NDArray[np.int64], config: ModelConfig) -> tuple[NDArray[np.float32], ...]:
        """Return patches, times, stats and topo of some rows: the arguments of the model."""
        patches = cut_patches(self.windows[rows], config.patch_len, config.patch_hop)
        return patches, self.times[rows], self.stats[rows], self.topo[rows]
