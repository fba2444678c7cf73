"""Exponential moving averages of a model's weights and buffers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Average the weights of a model over its steps, batch norm's statistics among them.

    Parameters
    ----------
    model : nn.Module
        Its tensors are read after every step; it may not be moved to another device afterwards.
    decay : float
        Largest weight of the average so far. After n steps it is at most (1 + n) / (10 + n).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._live = dict(model.state_dict())
        self._average = {name: tensor.clone() for name, tensor in self._live.items()}
        self._decay = decay

    @torch.no_grad()
    def update(self, n_steps: int) -> None:
        """Take in the weights after so many steps."""
        decay = min(self._decay, (1 + n_steps) / (10 + n_steps))
        for average, live in zip(self._average.values(), self._live.values(), strict=True):
            if live.is_floating_point():
                average.lerp_(live, 1 - decay)
            else:
                average.copy_(live)

    @torch.no_grad()
    @contextmanager
    def in_model(self) -> Iterator[None]:
        """Give the model its averaged weights while inside."""
        trained = {name: tensor.clone() for name, tensor in self._live.items()}
        self._fill(self._live, self._average)
        try:
            yield
        finally:
            self._fill(self._live, trained)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the averages, by the names of the model's tensors."""
        return self._average

    @torch.no_grad()
    def load_state_dict(self, averages: Mapping[str, Tensor]) -> None:
        """Take over the averages of a checkpoint."""
        self._fill(self._average, averages)

    @staticmethod
    def _fill(target: Mapping[str, Tensor], source: Mapping[str, Tensor]) -> None:
        for name, tensor in target.items():
            tensor.copy_(source[name])
