"""The training criterion."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def class_weights(labels: Tensor, num_classes: int) -> Tensor:
    """Return balanced class weights n / (K n_k), float32; a class without windows weighs 1.

    Parameters
    ----------
    labels : Tensor, shape (n,), int64
        Class indices of the training windows.
    num_classes : int
        K.
    """
    counts = torch.bincount(labels, minlength=num_classes)
    weights = len(labels) / (num_classes * counts.clamp(min=1))
    return torch.where(counts > 0, weights, torch.ones_like(weights))


def cross_entropy(labels: Tensor, num_classes: int, weighting: str, smoothing: float) -> nn.CrossEntropyLoss:
    """Build the cross entropy; `weighting` is ``balanced`` (by the training `labels`) or ``none``."""
    weight = class_weights(labels, num_classes) if weighting == "balanced" else None
    return nn.CrossEntropyLoss(weight=weight, label_smoothing=smoothing)
