"""Names and shapes of a model's inputs, and how windows are cut into patches."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from patchtst_har.config import ModelConfig

Array = TypeVar("Array", "NDArray[np.float32]", "Tensor")

INPUT_NAMES = ("patches", "times", "stats", "topo")


def input_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of each input of the network in `config` for one window, (0,) where it is not used.

    In the order of `INPUT_NAMES`.
    """
    patches = (config.channels, config.n_patches, config.patch_len)
    vectors = ((n,) for n in (config.n_time_features, config.n_stat_features, config.n_topo_features))
    return dict(zip(INPUT_NAMES, (patches, *vectors), strict=True))


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
            f"windows must be (n, T, C) with T = {patch_len} + a multiple of {stride}, "
            f"got {tuple(windows.shape)}"
        )
    if stride == patch_len:
        # Indexing takes ten times as long for one window.
        patches = windows.reshape(len(windows), n_samples // patch_len, patch_len, windows.shape[2])
    else:
        starts = np.arange(0, n_samples - patch_len + 1, stride)
        patches = windows[:, starts[:, np.newaxis] + np.arange(patch_len)]
    patches = patches.swapaxes(2, 3).swapaxes(1, 2)
    return np.ascontiguousarray(patches) if isinstance(patches, np.ndarray) else patches
