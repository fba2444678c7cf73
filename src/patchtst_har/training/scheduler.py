"""Learning-rate schedule: linear warm-up, then a cosine to zero."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def warmup_cosine_factor(step: int, n_steps: int, warmup_fraction: float) -> float:
    """Return the factor of the peak rate at `step` (0-based) of `n_steps`; positive on every step taken."""
    n_warmup = int(warmup_fraction * n_steps)
    if step < n_warmup:
        return (step + 1) / (n_warmup + 1)
    progress = (step - n_warmup) / max(1, n_steps - n_warmup)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


def warmup_cosine(optimizer: Optimizer, n_steps: int, warmup_fraction: float) -> LambdaLR:
    """Schedule `optimizer`; call ``step()`` on the result after every optimiser step."""
    return LambdaLR(optimizer, lambda step: warmup_cosine_factor(step, n_steps, warmup_fraction))
