"""Learning-rate schedules: after every step, the rate and, with one cycle, the first beta."""

from __future__ import annotations

import math

from torch.optim import Optimizer

from patchtst_har.config import TrainingConfig
from patchtst_har.recipe import BETA_SWING

_START, _END = 1 / 25, 1e-4


def warmup_cosine_factor(step: int, n_steps: int, warmup_fraction: float) -> float:
    """Return the factor of the peak rate at `step` (0-based) of `n_steps`; positive on every step taken.

    It rises linearly and falls along a cosine to zero.
    """
    n_warmup = int(warmup_fraction * n_steps)
    if step < n_warmup:
        return (step + 1) / (n_warmup + 1)
    progress = (step - n_warmup) / max(1, n_steps - n_warmup)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


def one_cycle_height(step: int, n_steps: int, warmup_fraction: float) -> tuple[float, bool]:
    """Return how high `step` (0-based) of `n_steps` is, from 0 to 1 at the peak, and whether it rises.

    Both parts are cosines, as in torch's `OneCycleLR` (Smith & Topin 2018, arXiv:1708.07120).
    """
    peak, last = warmup_fraction * n_steps - 1, n_steps - 1
    if step < peak:
        return 0.5 - 0.5 * math.cos(math.pi * step / peak), True
    progress = (step - peak) / (last - peak) if last > peak else 0.0
    return 0.5 + 0.5 * math.cos(math.pi * min(1.0, progress)), False


class Schedule:
    """Set the rate of an optimiser, and the first beta of AdamW, for the step to come.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        AdamW; all its groups get the same rate.
    config : TrainingConfig
        `schedule`, `lr`, `betas`, `warmup_fraction`.
    n_steps : int
        Steps of the whole training.

    Attributes
    ----------
    n_done : int
        Steps taken.
    """

    def __init__(self, optimizer: Optimizer, config: TrainingConfig, n_steps: int) -> None:
        self.optimizer, self.config, self.n_steps = optimizer, config, n_steps
        self.go_to(0)

    def step(self) -> None:
        """Go on after an optimiser step."""
        self.go_to(self.n_done + 1)

    def go_to(self, n_done: int) -> None:
        """Set what holds after so many steps."""
        self.n_done = n_done
        rate, (first, second) = self.config.lr, self.config.betas
        if self.config.schedule == "cosine":
            rate *= warmup_cosine_factor(n_done, self.n_steps, self.config.warmup_fraction)
        else:
            height, rises = one_cycle_height(n_done, self.n_steps, self.config.warmup_fraction)
            floor = _START if rises else _START * _END
            rate *= floor + (1 - floor) * height
            first += BETA_SWING * (1 - 2 * height)
        for group in self.optimizer.param_groups:
            group["lr"], group["betas"] = rate, (first, second)
