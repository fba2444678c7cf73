"""What a model is given: windows and features, cut into patches a batch at a time. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from patchtst_har.architecture import check_cut
from patchtst_har.config import ModelConfig

BATCH_SIZE = 256
"""Windows that are cut and classified at a time."""


def cut_patches(windows: NDArray[np.float32], patch_len: int, patch_stride: int) -> NDArray[np.float32]:
    """Cut windows (n, T, C) into patches (n, C, P, patch_len), C-ordered.

    Parameters
    ----------
    windows : ndarray of float32, shape (n, T, C)
        Windows.
    patch_len, patch_stride : int
        Samples per patch, samples between the starts of patches.

    Raises
    ------
    ValueError
        If `windows` is not three-dimensional or the patches do not cover T samples exactly.
    """
    check_cut(windows.shape, patch_len, patch_stride)
    if patch_stride == patch_len:
        # The general way takes ten times as long for one window.
        n, n_samples, channels = windows.shape
        patches = windows.reshape(n, n_samples // patch_len, patch_len, channels).transpose(0, 3, 1, 2)
    else:
        patches = sliding_window_view(windows, patch_len, axis=1)[:, ::patch_stride].transpose(0, 2, 1, 3)
    return np.ascontiguousarray(patches)


@dataclass(frozen=True)
class WindowInputs:
    """A model's inputs for n windows.

    Attributes
    ----------
    windows : ndarray of float32, shape (n, T, 3)
        Acceleration in g.
    times, stats, topo : ndarray of float32, shape (n, ...)
        Feature vectors; those that the model does not use may be anything.
    """

    windows: NDArray[np.float32]
    times: NDArray[np.float32]
    stats: NDArray[np.float32]
    topo: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.windows)

    def select(self, rows: slice, config: ModelConfig) -> tuple[NDArray[np.float32], ...]:
        """Return patches, times, stats and topo of some rows: the arguments of the model."""
        patches = cut_patches(self.windows[rows], config.patch_len, config.patch_hop)
        return patches, self.times[rows], self.stats[rows], self.topo[rows]
