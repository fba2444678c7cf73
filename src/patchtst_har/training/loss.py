"""The training criterion."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import nll_loss

from patchtst_har.config import TrainingConfig


def class_weights(
    labels: Tensor, num_classes: int, weighting: str = "balanced", beta: float = 0.999
) -> Tensor | None:
    """Return a weight per class, float32.

    Parameters
    ----------
    labels : Tensor, shape (n,), int64
        Class indices of the training windows.
    num_classes : int
        K.
    weighting : {"balanced", "root", "effective", "none"}
        ``balanced``: n / (K n_k); ``root``: proportional to 1 / sqrt(n_k); ``effective``: to
        (1 - beta) / (1 - beta^n_k) (Cui et al. 2019, arXiv:1901.05555), both with mean 1 over the classes
        that have windows; ``none``: no weights. A class without windows weighs 1.
    beta : float
        Of ``effective``, above 0 and below 1.
    """
    if weighting == "none":
        return None
    counts = torch.bincount(labels, minlength=num_classes)
    if weighting == "balanced":
        weights = len(labels) / (num_classes * counts.clamp(min=1))
    else:
        weights = counts.clamp(min=1).rsqrt()
        if weighting == "effective":
            # -expm1(n log b) is 1 - b^n, also where b^n is nearly 1.
            weights = (-torch.expm1(counts.clamp(min=1).double() * math.log(beta))).reciprocal().float()
        weights = weights / weights[counts > 0].mean()
    return torch.where(counts > 0, weights, torch.ones_like(weights))


class FocalLoss(nn.Module):
    """Cross entropy in which windows count the less, the surer they are recognised (Lin et al. 2017,
    arXiv:1708.02002): the mean of -w (1 - p)^gamma log p over the windows, weighted by w.

    Parameters
    ----------
    weight : Tensor, shape (K,), optional
        w of each class.
    gamma : float
        0 gives the cross entropy.
    """  # noqa: D205

    weight: Tensor | None

    def __init__(self, weight: Tensor | None, gamma: float) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.gamma = gamma

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss of logits (B, K) and labels (B,)."""
        log_p = logits.log_softmax(dim=1)
        # Of a probability of 1 it is 0, whose powers below 1 have no gradient.
        doubt = -torch.expm1(log_p).clamp(max=-torch.finfo(log_p.dtype).tiny)
        return nll_loss(doubt**self.gamma * log_p, labels, self.weight)


class Criterion(nn.Module):
    """The loss with the labels, and with teachers' probabilities, of all heads of a model.

    Parameters
    ----------
    config : TrainingConfig
        `loss`, `focal_gamma`, `class_weights`, `effective_beta`, `label_smoothing`, `auxiliary_weight`,
        `distillation`.
    labels : Tensor, shape (n,), int64
        Class indices of the training windows, for the class weights.
    num_classes : int
        K.
    """

    hard: nn.CrossEntropyLoss | FocalLoss

    def __init__(self, config: TrainingConfig, labels: Tensor, num_classes: int) -> None:
        super().__init__()
        weight = class_weights(labels, num_classes, config.class_weights, config.effective_beta)
        if config.loss == "focal":
            self.hard = FocalLoss(weight, config.focal_gamma)
        else:
            self.hard = nn.CrossEntropyLoss(weight=weight, label_smoothing=config.label_smoothing)
        self.auxiliary_weight, self.distillation = config.auxiliary_weight, config.distillation

    def forward(
        self,
        heads: tuple[Tensor, ...],
        labels: Tensor,
        teachers: Tensor | None = None,
        whole: Tensor | None = None,
    ) -> Tensor:
        """Return the mean loss of a batch, or what a part of it adds to that.

        Parameters
        ----------
        heads : tuple of Tensor, shape (B, K)
            Logits: of the joint head, then of the auxiliary ones.
        labels : Tensor, shape (B,), int64
            True classes.
        teachers : Tensor, shape (B, K), optional
            Class probabilities to learn in addition to the labels.
        whole : Tensor, shape (n,), int64, optional
            The labels of the batch of which these windows are a part.
        """
        joint, *auxiliary = heads
        loss = self._of_head(joint, labels, teachers)
        for logits in auxiliary:
            loss = loss + self.auxiliary_weight * self._of_head(logits, labels, teachers)
        return loss if whole is None else loss * (self._weight_of(labels) / self._weight_of(whole))

    def comparable(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the logits (B, K) among which the highest is the decision."""
        return logits

    def _weight_of(self, labels: Tensor) -> Tensor | int:
        return len(labels) if self.hard.weight is None else self.hard.weight[labels].sum()

    def _of_head(self, logits: Tensor, labels: Tensor, teachers: Tensor | None) -> Tensor:
        hard: Tensor = self.hard(logits, labels)
        if teachers is None:
            return hard
        # Classes weigh what they do in the other term; a sure teacher who is right gives the same loss.
        weight = logits.new_ones(logits.shape[1]) if self.hard.weight is None else self.hard.weight
        soft = -(weight * teachers * logits.log_softmax(dim=1)).sum() / weight[labels].sum()
        return (1 - self.distillation) * hard + self.distillation * soft


class SetsCriterion(nn.Module):
    """The loss of several data sets, each with classes of its own: a `Criterion` for the windows of each.

    The logits of all heads stand side by side; those of the other data sets have no part in a window's loss.

    Parameters
    ----------
    config, labels
        As of `Criterion`; labels count through the classes of all data sets.
    heads : sequence of range
        The classes of each data set.
    """

    def __init__(self, config: TrainingConfig, labels: Tensor, heads: Sequence[range]) -> None:
        super().__init__()
        self.heads = tuple(heads)
        self.parts = nn.ModuleList(
            Criterion(config, labels[_is_in(labels, head)] - head.start, len(head)) for head in heads
        )

    def forward(
        self,
        heads: tuple[Tensor, ...],
        labels: Tensor,
        teachers: Tensor | None = None,
        whole: Tensor | None = None,
    ) -> Tensor:
        """Return the mean loss of a batch or the part's; see `Criterion.forward` (no teachers here)."""
        loss, n = heads[0].new_zeros(()), len(labels) if whole is None else len(whole)
        for own, part in zip(self.heads, self.parts, strict=True):
            rows = _is_in(labels, own).nonzero().squeeze(1)
            of_whole = None if whole is None else whole[_is_in(whole, own)] - own.start
            if len(rows):
                logits = tuple(joint[rows, own.start : own.stop] for joint in heads)
                share = (len(rows) if of_whole is None else len(of_whole)) / n
                loss = loss + part(logits, labels[rows] - own.start, None, of_whole) * share
        return loss

    def comparable(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the logits (B, K), minus infinity for classes of other data sets."""
        kept = torch.zeros_like(logits, dtype=torch.bool)
        for own in self.heads:
            kept[:, own.start : own.stop] = _is_in(labels, own).to(logits.device)[:, None]
        return logits.masked_fill(~kept, -torch.inf)


def _is_in(labels: Tensor, classes: range) -> Tensor:
    return (labels >= classes.start) & (labels < classes.stop)
