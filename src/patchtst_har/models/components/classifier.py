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

    The embedding, from which the logits are projected, is the pooled tokens and, after them, the output of
    the feature branch, if there is one.

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
        dropout = config.dropout if config.embedding_dropout is None else config.embedding_dropout
        self.dropout = Dropout(dropout)
        self.project = nn.Linear(config.embedding_width, num_classes)
        self.widths = (config.pooled_width, config.embedding_width - config.pooled_width)
        self.encoder, self.branch = (
            nn.Linear(width, num_classes) if config.auxiliary_heads else None for width in self.widths
        )

    def forward(self, embedding: Tensor) -> Tensor:
        """Map the embedding (B, embedding_width) to logits (B, K)."""
        logits: Tensor = self.project(self.dropout(embedding))
        return logits

    def all_logits(self, embedding: Tensor) -> tuple[Tensor, ...]:
        """Return the logits, then those of the auxiliary heads of encoder and branch, if there are any."""
        logits = (self(embedding),)
        if self.encoder is None or self.branch is None:
            return logits
        encoded, features = embedding.split(self.widths, dim=1)
        return (*logits, self.encoder(encoded), self.branch(features))

    @torch.no_grad()
    def average_heads(self) -> None:
        """Put the mean of all heads' logits, in evaluation mode, in the joint head's place.

        Its probabilities are then the geometric mean of theirs.

        Raises
        ------
        ValueError
            If there are no auxiliary heads.
        """
        if self.encoder is None or self.branch is None:
            raise ValueError("the model has no auxiliary heads")
        parts = torch.cat([self.encoder.weight, self.branch.weight], dim=1)
        self.project.weight.add_(parts).div_(3)
        self.project.bias.add_(self.encoder.bias + self.branch.bias).div_(3)

    def pooled(self, tokens: Tensor) -> Tensor:
        """Map tokens (B, N, d_model) to (B, pooled_width)."""
        if self.pooling == "cls":
            first: Tensor = self.norm(tokens[:, 0])
            return first
        tokens = self.norm(tokens)
        if self.pooling == "mean_max":
            return torch.cat([tokens.mean(dim=1), tokens.amax(dim=1)], dim=1)
        return tokens.mean(dim=1) if self.pool is None else self.pool(tokens)
