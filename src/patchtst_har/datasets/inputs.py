"""What a model is given: windows and features, cut into patches a batch at a time. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from patchtst_har.config import ModelConfig

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", "NDArray[np.float32]", "Tensor")


def cut_patches(windows: Array, patch_len: int, patch_stride: int | None = None) -> Array:
    """Cut windows (n, T, C) into patches (n, C, P, patch_len), P = (T - patch_len) / patch_stride + 1.

    Parameters
    ----------
    windows : ndarray or Tensor, shape (n, T, C)
        Windows.
    patch_len : int
        Samples per patch.
    patch_stride : int, optional
        Samples between the starts of patches; `patch_len` (no overlap) if not given.

    Returns
    -------
    ndarray or Tensor, shape (n, C, P, patch_len)
        An array in C order, or a tensor on the device of `windows`.

    Raises
    ------
    ValueError
        If `windows` is not three-dimensional or the patches do not cover T samples exactly.
    """
    stride = patch_len if patch_stride is None else patch_stride
    n_samples = windows.shape[1] if windows.ndim == 3 else 0
    if n_samples < patch_len or (n_samples - patch_len) % stride:
        raise ValueError(
            f"windows must be (n, T, C) with T = {patch_len} + a multiple of {stride}, got "
            f"{tuple(windows.shape)}"
        )
    if stride == patch_len:
        # Indexing takes ten times as long for one window.
        patches = windows.reshape(len(windows), n_samples // patch_len, patch_len, windows.shape[2])
    else:
        starts = np.arange(0, n_samples - patch_len + 1, stride)
        patches = windows[:, starts[:, np.newaxis] + np.arange(patch_len)]
    patches = patches.swapaxes(2, 3).swapaxes(1, 2)
    return np.ascontiguousarray(patches) if isinstance(patches, np.ndarray) else patches


@dataclass(frozen=True, eq=False)
class ModelInputs:
    """A model's inputs for n windows; row i is the same window everywhere."""

    windows: NDArray[np.float32]
    """(n, T, 3) acceleration in g."""
    times: NDArray[np.float32]
    """(n, 5), see `patchtst_har.data.times`. Of this and the next two, those that a model does not use may be
    anything."""
    stats: NDArray[np.float32]
    """(n, 56), and then the values of the plug-ins, if any are selected."""
    topo: NDArray[np.float32]
    """(n, 24)."""

    def __len__(self) -> int:
        return len(self.windows)

    def select(self, rows: slice | NDArray[np.int64], config: ModelConfig) -> tuple[NDArray[np.float32], ...]:
        """Return patches, times, stats and topo of some rows: the arguments of the model."""
        patches = cut_patches(self.windows[rows], config.patch_len, config.patch_hop)
        return patches, self.times[rows], self.stats[rows], self.topo[rows]
