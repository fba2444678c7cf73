"""Batches of model inputs out of a feature set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from patchtst_har.config import ModelConfig
from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.models.patchtst import cut_patches

Inputs = tuple[Tensor, Tensor, Tensor, Tensor]
"""patches (B, C, P, L), times (B, 5), stats (B, S), topo (B, 24): the arguments of the model."""


@dataclass(frozen=True)
class WindowTensors:
    """The model's inputs and targets for a set of windows; shares memory with the arrays it came from.

    Attributes
    ----------
    windows : Tensor, shape (n, T, 3)
        Acceleration in g; patches are cut a batch at a time.
    times, stats, topo : Tensor, shape (n, ...)
        Feature vectors.
    labels : Tensor, shape (n,), int64
        Class indices.
    patch_len, patch_stride : int
        Samples a patch, samples between the starts of patches.
    """

    windows: Tensor
    times: Tensor
    stats: Tensor
    topo: Tensor
    labels: Tensor
    patch_len: int
    patch_stride: int

    @classmethod
    def of(cls, features: FeatureSet, config: ModelConfig) -> WindowTensors:
        """Wrap the arrays of a feature set."""
        return cls(
            torch.from_numpy(features.windows),
            torch.from_numpy(features.times),
            torch.from_numpy(features.stats),
            torch.from_numpy(features.topo),
            torch.from_numpy(features.labels),
            config.patch_len,
            config.patch_hop,
        )

    @classmethod
    def unlabelled(cls, config: ModelConfig, *arrays: NDArray[np.float32]) -> WindowTensors:
        """Wrap windows, times, stats and topo whose labels are not known (all 0 here)."""
        # torch has no read-only tensors: a read-only array (a memory map) is copied.
        windows, times, stats, topo = (
            torch.from_numpy(array if array.flags.writeable else array.copy()) for array in arrays
        )
        labels = torch.zeros(len(windows), dtype=torch.int64)
        return cls(windows, times, stats, topo, labels, config.patch_len, config.patch_hop)

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: Tensor | slice) -> tuple[Inputs, Tensor]:
        """Return the inputs and labels of some rows."""
        patches = cut_patches(self.windows[rows], self.patch_len, self.patch_stride)
        return (patches, self.times[rows], self.stats[rows], self.topo[rows]), self.labels[rows]

    def batches(self, size: int, generator: torch.Generator | None = None) -> Iterator[tuple[Inputs, Tensor]]:
        """Yield every row once, in order or, with a `generator`, shuffled; the last batch may be smaller."""
        order = None if generator is None else torch.randperm(len(self), generator=generator)
        for start in range(0, len(self), size):
            rows = slice(start, start + size)
            yield self.select(rows if order is None else order[rows])
