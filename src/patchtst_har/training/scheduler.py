"""Learning-rate schedules: after every step, the rate and, with one cycle, the first beta."""

from __future__ import annotations

import math
from typing import Any

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
        `schedule`, `lr`, `betas`, `warmup_fraction`, `plateau_factor`, `plateau_patience`.
    n_steps : int
        Steps over which the schedule runs; with a plateau, those of an epoch.

    Attributes
    ----------
    n_done : int
        Steps taken.
    """

    def __init__(self, optimizer: Optimizer, config: TrainingConfig, n_steps: int) -> None:
        self.optimizer, self.config, self.n_steps = optimizer, config, n_steps
        self._n_lowered = self._n_waited = 0
        self._best: float | None = None
        self.go_to(0)

    def step(self) -> None:
        """Go on after an optimiser step."""
        self.go_to(self.n_done + 1)

    def end_epoch(self, height: float) -> None:
        """With a plateau, lower the rate if an epoch's result, of which more is better, is one too many.

        As `torch.optim.lr_scheduler.ReduceLROnPlateau` with a patience of one less and no threshold.
        """
        if self._best is None or height > self._best:
            self._best, self._n_waited = height, 0
        else:
            self._n_waited += 1
        if self._n_waited >= self.config.plateau_patience:
            self._n_lowered, self._n_waited = self._n_lowered + 1, 0
        self.go_to(self.n_done)

    def go_to(self, n_done: int) -> None:
        """Set what holds after so many steps."""
        self.n_done = n_done
        rate, (first, second) = self.config.lr, self.config.betas
        if self.config.schedule == "cosine":
            rate *= warmup_cosine_factor(n_done, self.n_steps, self.config.warmup_fraction)
        elif self.config.schedule == "plateau":
            n_warmup = int(self.config.warmup_fraction * self.n_steps)
            rate *= min(1.0, (n_done + 1) / (n_warmup + 1)) * self.config.plateau_factor**self._n_lowered
        else:
            height, rises = one_cycle_height(n_done, self.n_steps, self.config.warmup_fraction)
            floor = _START if rises else _START * _END
            rate *= floor + (1 - floor) * height
            first += BETA_SWING * (1 - 2 * height)
        for group in self.optimizer.param_groups:
            group["lr"], group["betas"] = rate, (first, second)

    def state_dict(self) -> dict[str, Any]:
        """Return where it stands, in JSON values."""
        return {
            "n_done": self.n_done,
            "n_lowered": self._n_lowered,
            "n_waited": self._n_waited,
            "best": self._best,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over where a checkpoint stood."""
        self._n_lowered, self._n_waited, self._best = state["n_lowered"], state["n_waited"], state["best"]
        self.go_to(state["n_done"])
