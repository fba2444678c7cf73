"""From physical quantities to tokens: scaling by training-set statistics, then a projection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from patchtst_har.architecture.walk import FEATURE_LIMIT
from patchtst_har.config import ModelConfig, StemLayer
from patchtst_har.models.components.activation import ACTIVATIONS


class Standardizer(nn.Module):
    """Subtract a mean and divide by a standard deviation that are kept in the model.

    The statistics come from the training set (`fit`), never from the window at hand: a window's own mean and
    spread are posture and intensity, which is what the model must see.

    Parameters
    ----------
    n_features : int
        Length of the statistics.
    limit : float or None
        Scaled values are clipped to ±limit, so that one freak feature cannot swamp a token.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, n_features: int, limit: float | None = None) -> None:
        super().__init__()
        self.limit = limit
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("std", torch.ones(n_features))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Take the statistics from `x` (n, ..., n_features); a constant feature keeps a deviation of 1.

        Two float64 passes over chunks of rows: a float64 copy of a large training set never exists whole.
        """
        if x.ndim < 2 or x.shape[-1] != self.mean.numel() or x.numel() == 0:
            raise ValueError(f"needs (n > 0, ..., {self.mean.numel()}) values to fit, got {tuple(x.shape)}")
        n_rows = x.numel() // x.shape[-1]
        mean = sum((rows.sum(dim=0) for rows in _rows(x)), torch.zeros(())) / n_rows
        squares = sum((((rows - mean) ** 2).sum(dim=0) for rows in _rows(x)), torch.zeros(()))
        std = (squares / n_rows).sqrt()
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 1e-6, std, torch.ones_like(std)))

    def forward(self, x: Tensor) -> Tensor:
        """Scale `x` (..., n_features)."""
        scaled = (x - self.mean) / self.std
        return scaled if self.limit is None else scaled.clamp(-self.limit, self.limit)


def _rows(x: Tensor, chunk: int = 1024) -> Iterator[Tensor]:
    """Yield float64 rows (m, n_features) of `x` (n, ..., n_features), `chunk` of its first axis at a time."""
    for part in torch.split(x, chunk):
        yield part.reshape(-1, x.shape[-1]).double()


class Stem(nn.Sequential):
    """Strided convolutions with batch norm inside each patch.

    Parameters
    ----------
    channels : int
        Input channels.
    layers : sequence of StemLayer
        Convolutions without padding: what a patch becomes depends on the patch alone.
    activation : {"gelu", "relu"}
        After each batch norm.
    """

    def __init__(self, channels: int, layers: Sequence[StemLayer], activation: str) -> None:
        blocks = []
        for layer in layers:
            convolution = nn.Conv1d(channels, layer.channels, layer.kernel, layer.stride, bias=False)
            norm = nn.BatchNorm1d(layer.channels)
            blocks.append(nn.Sequential(convolution, norm, ACTIVATIONS[activation]()))
            channels = layer.channels
        super().__init__(*blocks)


class PatchEmbedding(nn.Module):
    """Project each patch, its three axes together, to a token; through the stem if there is one.

    Parameters
    ----------
    config : ModelConfig
        Architecture.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.scale = Standardizer(config.channels)
        self.stem = Stem(config.channels, config.stem, config.activation) if config.stem else None
        self.project = nn.Linear(config.patch_width, config.d_model)

    def forward(self, patches: Tensor) -> Tensor:
        """Map patches (B, C, P, L) in g to tokens (B, P, d_model)."""
        scaled = self.scale(patches.permute(0, 2, 3, 1)).transpose(2, 3)
        if self.stem is not None:
            # One "batch" of all patches, so that batch norm sees all of them.
            scaled = self.stem(scaled.flatten(0, 1)).unflatten(0, scaled.shape[:2])
        tokens: Tensor = self.project(scaled.flatten(2))
        return tokens


class FeatureEmbedding(nn.Module):
    """Scale a vector of features and map it to one or more tokens, by one hidden layer of the model's width.

    Parameters
    ----------
    n_features, d_model : int
        Length of the feature vector, width of a token.
    n_tokens : int
        Tokens that the hidden layer is projected to.
    activation : {"gelu", "relu"}
        Of the hidden layer.
    """

    def __init__(self, n_features: int, d_model: int, n_tokens: int = 1, activation: str = "gelu") -> None:
        super().__init__()
        self.n_tokens = n_tokens
        self.scale = Standardizer(n_features, limit=FEATURE_LIMIT)
        self.project = nn.Sequential(
            nn.Linear(n_features, d_model), ACTIVATIONS[activation](), nn.Linear(d_model, n_tokens * d_model)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map features (B, n_features) to tokens (B, n_tokens, d_model)."""
        tokens: Tensor = self.project(self.scale(features)).unflatten(-1, (self.n_tokens, -1))
        return tokens


class TimeEmbedding(nn.Module):
    """Map the time vector (hour and weekday on circles, weekend) to the model's width.

    It is added once to the pooled tokens, not to every token: a model that meets the hour everywhere learns
    the hour and not the movement. It starts at zero, so that it must earn its influence.

    Parameters
    ----------
    n_features, d_model : int
        Length of the time vector, width of a token.
    """

    def __init__(self, n_features: int, d_model: int) -> None:
        super().__init__()
        self.project = nn.Linear(n_features, d_model)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, times: Tensor) -> Tensor:
        """Map times (B, n_features) to (B, d_model)."""
        embedded: Tensor = self.project(times)
        return embedded
