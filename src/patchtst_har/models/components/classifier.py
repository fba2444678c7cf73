"""From encoded tokens to class logits."""

from __future__ import annotations

from torch import Tensor, nn

from patchtst_har.models.dropout import Dropout


class ClassifierHead(nn.Module):
    """Normalise the tokens, average them, project to logits.

    Parameters
    ----------
    d_model, num_classes : int
        Width of a token, number of classes.
    dropout : float
        Dropout probability of the pooled vector.
    """

    def __init__(self, d_model: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.dropout = Dropout(dropout)
        self.project = nn.Linear(d_model, num_classes)

    def forward(self, tokens: Tensor, offset: Tensor | None = None) -> Tensor:
        """Map tokens (B, N, d_model), and a vector (B, d_model) added to their mean, to logits (B, K)."""
        pooled = self.norm(tokens).mean(dim=1)
        if offset is not None:
            pooled = pooled + offset
        logits: Tensor = self.project(self.dropout(pooled))
        return logits
