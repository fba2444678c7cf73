"""Batches of training windows: in a new order, and varied anew, in every epoch."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from patchtst_har.architecture import cut_patches
from patchtst_har.config import ModelConfig, TrainingConfig
from patchtst_har.datasets.stretches import Signal
from patchtst_har.datasets.training_set import TrainingSet
from patchtst_har.models.batches import Inputs, to_tensors
from patchtst_har.training.augmentation import Augmentation

_MOST_BYTES_ON_DEVICE = 4 * 2**30
# Seeds are below it, so no run shuffles with the numbers that another one varies windows with.
_OTHER_STREAM = 2**32
_BATCHES_AHEAD = 2
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class Batch:
    """Some training windows.

    Attributes
    ----------
    inputs : tuple of Tensor
        Arguments of the model, on its device.
    labels : Tensor, shape (B,), int64
        On the CPU.
    teachers : Tensor or None, shape (B, K)
        On the CPU.
    """

    inputs: Inputs
    labels: Tensor
    teachers: Tensor | None


class TrainingBatches:
    """The training windows, an epoch at a time.

    Parameters
    ----------
    data : TrainingSet
        n windows.
    model : ModelConfig
        How patches are cut.
    config : TrainingConfig
        `batch_size`, `epoch_fraction`, `min_epoch_windows`, `augmentation`.
    device : torch.device
        Where the model trains. A GPU also keeps the signal, unless it is larger than 4 GiB; otherwise the
        samples of a batch are read when it is made.
    seed : int
        Seed of order and variations.

    Attributes
    ----------
    generators : dict of str to torch.Generator
        All that is random, ``shuffle`` and ``augmentation``, for checkpoints; in order between epochs.
    waited_s : float
        Seconds that the last epoch's reader waited for batches.
    """

    def __init__(
        self, data: TrainingSet, model: ModelConfig, config: TrainingConfig, device: torch.device, seed: int
    ) -> None:
        self._data, self._model, self._config, self._device = data, model, config, device
        self.generators = {
            "shuffle": torch.Generator().manual_seed(seed),
            "augmentation": torch.Generator().manual_seed(seed + _OTHER_STREAM),
        }
        self._augmentation = Augmentation(
            config.augmentation, data.sample_rate_hz, self.generators["augmentation"]
        )
        self.waited_s = 0.0
        self._signal: Tensor | Signal = data.stretches.signal
        if device.type != "cpu" and self._signal.n_bytes <= _MOST_BYTES_ON_DEVICE:
            self._signal = on_device(self._signal, device)
        self._starts, self._room = (torch.from_numpy(part) for part in (data.cuts.starts, data.cuts.room))

    @property
    def n_windows(self) -> int:
        """Windows of an epoch."""
        drawn = math.ceil(self._config.epoch_fraction * len(self._data))
        return max(drawn, self._config.min_epoch_windows)

    def __len__(self) -> int:
        return math.ceil(self.n_windows / self._config.batch_size)

    def epoch(self) -> Iterator[Batch]:
        """Yield the batches of an epoch: windows in random order, none again before all have been drawn.

        A thread makes the next batches while one is used. It makes them one after another, so everything is
        drawn in the same order as without it.
        """
        self.waited_s = 0.0
        with ThreadPoolExecutor(1, thread_name_prefix="patchtst-har-batches") as thread:
            made, ahead = self._in_order(), deque[Future[Batch | None]]()
            try:
                while True:
                    while len(ahead) <= _BATCHES_AHEAD:
                        ahead.append(thread.submit(next, made, None))
                    began = time.perf_counter()
                    batch = ahead.popleft().result()
                    self.waited_s += time.perf_counter() - began
                    if batch is None:
                        return
                    yield batch
            finally:
                thread.shutdown(cancel_futures=True)

    def _in_order(self) -> Iterator[Batch]:
        n, shuffle = len(self._data), self.generators["shuffle"]
        rounds = [torch.randperm(n, generator=shuffle) for _ in range(math.ceil(self.n_windows / n))]
        order = torch.cat(rounds)[: self.n_windows]
        for rows in order.split(self._config.batch_size):
            yield self._batch(rows)

    def _batch(self, rows: Tensor) -> Batch:
        data, size, places = self._data, self._data.stretches.window_size, rows.numpy()
        cut = self._augmentation.cut(self._signal, self._starts[rows], self._room[rows], size)
        windows = self._augmentation.vary(cut.to(self._device))
        patches = cut_patches(windows, self._model.patch_len, self._model.patch_hop).contiguous()
        features = to_tensors(part[places] for part in (data.times, data.stats, data.topo))
        inputs = (patches, *(part.to(self._device, non_blocking=True) for part in features))
        teachers = None if data.teachers is None else torch.from_numpy(data.teachers[places])
        return Batch(inputs, torch.from_numpy(data.labels[places]), teachers)


def on_device(signal: Signal, device: torch.device) -> Tensor:
    """Return all samples of a signal (N, 3) as a tensor."""
    whole = torch.empty((len(signal), signal.windows.shape[2]), device=device)
    for rows in np.array_split(np.arange(len(signal.ends)), -(-len(signal.ends) // _ROWS_AT_ONCE)):
        begin, end = int(signal.ends[rows[0]] - signal.n_new[rows[0]]), int(signal.ends[rows[-1]])
        windows = torch.from_numpy(signal.windows[rows])
        new = [window[-n:] for window, n in zip(windows, signal.n_new[rows].tolist(), strict=True)]
        whole[begin:end] = torch.cat(new)
    return whole
