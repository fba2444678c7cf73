"""Batches of tensors out of arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from patchtst_har.config import ModelConfig
from patchtst_har.datasets.featureset import FeatureSet

Inputs = tuple[Tensor, ...]
"""patches (B, C, P, L), times (B, time features), stats (B, statistical, movement and plug-in features), topo
(B, topological features): the arguments of the model."""


def to_tensors(arrays: Iterable[NDArray[np.float32]]) -> Inputs:
    """Return tensors that share the arrays' memory; a read-only one is copied: torch has no such tensors."""
    return tuple(torch.from_numpy(array if array.flags.writeable else array.copy()) for array in arrays)


def labelled_batches(features: FeatureSet, config: ModelConfig, size: int) -> Iterator[tuple[Inputs, Tensor]]:
    """Yield inputs and labels (B,) int64 of every window, in order; the last batch may be smaller.

    Parameters
    ----------
    features : FeatureSet
        n windows.
    config : ModelConfig
        How patches are cut.
    size : int
        Windows per batch.
    """
    for start in range(0, len(features), size):
        rows = slice(start, start + size)
        yield to_tensors(features.select(rows, config)), torch.from_numpy(features.labels[rows])
