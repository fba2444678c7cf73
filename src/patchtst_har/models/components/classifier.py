"""From encoded tokens to class logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from patchtst_har.config import ModelConfig
from patchtst_har.models.dropout import Dropout


class AttentionPooling(nn.Module):
    """Average tokens with weights that depend on them: a softmax over their products with a learned query.

    The query starts at zero, where all weights are equal.

    Parameters
    ----------
    d_model : int
        Width of a token.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(d_model))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (B, N, d_model) to (B, d_model)."""
        scores = tokens @ self.query.unsqueeze(1) / self.query.numel() ** 0.5
        pooled: Tensor = (scores.softmax(dim=1).transpose(1, 2) @ tokens).squeeze(1)
        return pooled


class ClassifierHead(nn.Module):
    """Normalise the tokens (unless the layers did), pool them, project to logits.

    Parameters
    ----------
    config : ModelConfig
        Architecture.
    num_classes : int
        Number of classes.
    """

    def __init__(self, config: ModelConfig, num_classes: int) -> None:
        super().__init__()
        self.pooling = config.pooling
        self.norm = nn.LayerNorm(config.d_model) if config.norm == "pre" else nn.Identity()
        self.pool = AttentionPooling(config.d_model) if config.pooling == "attention" else None
        self.dropout = Dropout(config.dropout)
        self.project = nn.Linear(config.d_model, num_classes)

    def forward(self, tokens: Tensor, offset: Tensor | None = None) -> Tensor:
        """Map tokens (B, N, d_model), and a vector (B, d_model) added to the pooled one, to logits (B, K)."""
        pooled = self._pooled(tokens)
        if offset is not None:
            pooled = pooled + offset
        logits: Tensor = self.project(self.dropout(pooled))
        return logits

    def _pooled(self, tokens: Tensor) -> Tensor:
        if self.pooling == "cls":
            first: Tensor = self.norm(tokens[:, 0])
            return first
        tokens = self.norm(tokens)
        return tokens.mean(dim=1) if self.pool is None else self.pool(tokens)
