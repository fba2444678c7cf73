"""Which of two epochs is the better one."""

from __future__ import annotations

from collections.abc import Mapping

from patchtst_har.recipe import Monitored

Metrics = dict[str, dict[str, float]]
"""What is logged of an epoch, by ``train`` or ``val``, then by name; ``val`` is empty if nobody validates."""


def flat(metrics: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the metrics of an epoch by ``"{phase}_{metric}"``."""
    return {f"{phase}_{name}": value for phase, part in metrics.items() for name, value in part.items()}


def height(metrics: Mapping[str, float], monitor: Monitored) -> float:
    """Return a number that is higher for a better epoch."""
    return -metrics[monitor] if monitor.endswith("_loss") else metrics[monitor]


def is_better(one: Mapping[str, float], other: Mapping[str, float], monitor: Monitored) -> bool:
    """Whether `one` epoch is better than the `other`, by flat metrics; an empty one is worse than any.

    A small validation set ties often; then the surer model is the better one.
    """
    if not other:
        return True
    ranks = ((height(metrics, monitor), -metrics.get("val_loss", 0.0)) for metrics in (one, other))
    return next(ranks) > next(ranks)
