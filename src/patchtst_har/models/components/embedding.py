"""From physical quantities to tokens: scaling by training-set statistics, then a projection."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from torch import Tensor, nn

from patchtst_har.architecture.walk import FEATURE_LIMIT, QUANTILE_LIMIT, QUANTILE_STEPS
from patchtst_har.datasets.window_store import SlicedWindows
from patchtst_har.models.components.activation import ACTIVATIONS
from patchtst_har.models.dropout import Dropout
from patchtst_har.network_config import ModelConfig, StemLayer


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
    common : bool
        One deviation for all: the axes of a sensor that may be worn in any rotation keep their proportions.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, n_features: int, limit: float | None = None, *, common: bool = False) -> None:
        super().__init__()
        self.limit, self.common = limit, common
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("std", torch.ones(n_features))

    @torch.no_grad()
    def fit(self, x: Tensor | SlicedWindows) -> None:
        """Take the statistics from `x` (n, ..., n_features); a constant feature keeps a deviation of 1.

        Two float64 passes over chunks of rows: a float64 copy of a large training set never exists whole.
        """
        shape = tuple(x.shape)
        if len(shape) < 2 or shape[-1] != self.mean.numel() or 0 in shape:
            raise ValueError(f"needs (n > 0, ..., {self.mean.numel()}) values to fit, got {shape}")
        n_rows = math.prod(shape[:-1])
        mean = sum((rows.sum(dim=0) for rows in _rows(x)), torch.zeros(())) / n_rows
        squares = sum((((rows - mean) ** 2).sum(dim=0) for rows in _rows(x)), torch.zeros(()))
        variance = squares / n_rows
        std = (variance.mean().expand_as(variance) if self.common else variance).sqrt()
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 1e-6, std, torch.ones_like(std)))

    def forward(self, x: Tensor) -> Tensor:
        """Scale `x` (..., n_features)."""
        scaled = (x - self.mean) / self.std
        return scaled if self.limit is None else scaled.clamp(-self.limit, self.limit)


def _rows(x: Tensor | SlicedWindows, chunk: int = 1024) -> Iterator[Tensor]:
    """Yield float64 rows (m, n_features) of `x` (n, ..., n_features), `chunk` of its first axis at a time."""
    for first in range(0, len(x), chunk):
        part = torch.as_tensor(x[first : first + chunk])
        yield part.reshape(-1, x.shape[-1]).double()


class Stem(nn.Sequential):
    """Strided convolutions with batch norm, inside each patch or over the window.

    Parameters
    ----------
    channels : int
        Input channels.
    layers : sequence of StemLayer
        Convolutions. Without padding, what a patch becomes depends on the patch alone.
    activation : {"gelu", "relu"}
        After each batch norm.
    """

    def __init__(self, channels: int, layers: Sequence[StemLayer], activation: str) -> None:
        blocks = []
        for layer in layers:
            convolution = nn.Conv1d(
                channels, layer.channels, layer.kernel, layer.stride, layer.padding, bias=False
            )
            norm = nn.BatchNorm1d(layer.channels)
            blocks.append(nn.Sequential(convolution, norm, ACTIVATIONS[activation]()))
            channels = layer.channels
        super().__init__(*blocks)


class PatchEmbedding(nn.Module):
    """Project each patch, its three axes together, to a token; through the stem if there is one.

    With a stem over the window, each of its outputs is a token, and there is no projection.

    Parameters
    ----------
    config : ModelConfig
        Architecture.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        over_window = config.stem_over == "window"
        self.scale = Standardizer(config.channels, common=over_window)
        self.stem = Stem(config.channels, config.stem, config.activation) if config.stem else None
        self.project = None if over_window else nn.Linear(config.patch_width, config.d_model)

    def forward(self, patches: Tensor) -> Tensor:
        """Map patches (B, C, P, L) in g to tokens (B, n_patch_tokens, d_model)."""
        return self.tokens(self.scaled(patches))

    def scaled(self, patches: Tensor) -> Tensor:
        """Return scaled patches (B, P, C, L)."""
        scaled: Tensor = self.scale(patches.permute(0, 2, 3, 1)).transpose(2, 3)
        return scaled

    def tokens(self, scaled: Tensor) -> Tensor:
        """Map what `scaled` returns to tokens."""
        if self.stem is not None:
            # One "batch" of all patches, so that batch norm sees all of them.
            scaled = self.stem(scaled.flatten(0, 1)).unflatten(0, scaled.shape[:2])
        tokens: Tensor = (
            scaled[:, 0].transpose(1, 2) if self.project is None else self.project(scaled.flatten(2))
        )
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


class QuantileNormal(nn.Module):
    """Map each feature to the normal quantile of its rank in the training set, clipped to ± `QUANTILE_LIMIT`.

    What `sklearn.preprocessing.QuantileTransformer` does with a normal output, but linear between
    `QUANTILE_STEPS` + 1 quantiles that are equidistant after the map: so it is a sum of clipped lines, which
    needs neither search nor branch. Where quantiles are equal (a feature of few values), the line is so steep
    that the value gets the quantile of its middle rank.

    Parameters
    ----------
    n_features : int
        Length of the vector.
    """

    lower: Tensor
    inverse_width: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        step = 2 * QUANTILE_LIMIT / QUANTILE_STEPS
        starts = torch.arange(QUANTILE_STEPS) * step - QUANTILE_LIMIT
        self.register_buffer("lower", starts[:, None].repeat(1, n_features))
        self.register_buffer("inverse_width", torch.full((QUANTILE_STEPS, n_features), 1 / step))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Take the quantiles from `x` (n > 0, n_features)."""
        if x.ndim != 2 or x.shape[1] != self.lower.shape[1] or not len(x):
            raise ValueError(f"needs (n > 0, {self.lower.shape[1]}) values to fit, got {tuple(x.shape)}")
        # A column at a time: a float64 copy of a large training set never exists whole.
        columns = [_quantile_steps(column.double().numpy()) for column in x.cpu().unbind(1)]
        lower, width = (torch.from_numpy(np.stack(parts, axis=1)) for parts in zip(*columns, strict=True))
        self.lower.copy_(lower)
        self.inverse_width.copy_(1 / width)

    def forward(self, x: Tensor) -> Tensor:
        """Scale `x` (B, n_features)."""
        passed = ((x.unsqueeze(1) - self.lower) * self.inverse_width).clamp(0, 1).sum(dim=1)
        return passed * (2 * QUANTILE_LIMIT / QUANTILE_STEPS) - QUANTILE_LIMIT


def _quantile_steps(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where each step of a feature's map begins, and its width; see `QuantileNormal`."""
    grid = np.linspace(-QUANTILE_LIMIT, QUANTILE_LIMIT, QUANTILE_STEPS + 1)
    quantiles = np.quantile(values, ndtr(grid))
    lower, width = quantiles[:-1].copy(), np.diff(quantiles)
    # What float32 resolves at the value.
    least = np.maximum(1e-6 * np.abs(lower), 1e-30)
    steep = width < least
    for value in np.unique(lower[steep]):
        (run,) = np.nonzero(steep & (lower == value))
        start, end = grid[run[0]], grid[run[-1] + 1]
        rank = ((values < value).mean() + (values <= value).mean()) / 2
        share = (np.clip(ndtri(rank), start, end) - start) / (end - start)
        lower[run] -= share * least[run]
    return lower, np.maximum(width, least)


class FeatureBranch(nn.Module):
    """Map the feature vectors, side by side, to a vector that the head reads together with the pooled tokens.

    Parameters
    ----------
    config : ModelConfig
        Architecture, with ``features_as="branch"``.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.stat_scale, self.topo_scale = (
            QuantileNormal(n) if n else None for n in (config.n_stat_features, config.n_topo_features)
        )
        branch, n_inputs = config.branch, config.n_stat_features + config.n_topo_features
        self.noise, self.drop = branch.noise, branch.drop
        self.input_dropout, self.hidden_dropout = (
            Dropout(branch.input_dropout),
            Dropout(branch.hidden_dropout),
        )
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Linear(n, branch.width, bias=False),
                BranchNorm(branch.width),
                ACTIVATIONS[config.activation](),
            )
            for n in (n_inputs, branch.width)
        )

    def fit(self, stats: Tensor, topo: Tensor) -> None:
        """Take the scaling from the training set, stats and topo as in `forward`."""
        for scale, values in ((self.stat_scale, stats), (self.topo_scale, topo)):
            if scale is not None:
                scale.fit(values)

    def forward(self, stats: Tensor, topo: Tensor) -> Tensor:
        """Map stats (B, n_stat_features) and topo (B, n_topo_features) to (B, branch.width)."""
        scales = ((self.stat_scale, stats), (self.topo_scale, topo))
        x = torch.cat([scale(values) for scale, values in scales if scale is not None], dim=1)
        if self.training:
            x = x + self.noise * torch.randn_like(x)
            x = x * (torch.rand(x.shape[0], 1, device=x.device) >= self.drop)
        x = self.layers[0](self.input_dropout(x))
        branch: Tensor = self.layers[1](self.hidden_dropout(x))
        return branch


class BranchNorm(nn.BatchNorm1d):
    """Batch norm that takes its running statistics for a batch of one window, which has no variance."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Normalise (B, width)."""
        if self.training and len(input) == 1:
            statistics = (self.running_mean, self.running_var)
            return nn.functional.batch_norm(input, *statistics, self.weight, self.bias, eps=self.eps)
        return super().forward(input)


class TimeEmbedding(nn.Module):
    """Map the time vector (hour and weekday on circles, weekend) to the width of the pooled tokens.

    It is added once to the pooled tokens, not to every token: a model that meets the hour everywhere learns
    the hour and not the movement. It starts at zero, so that it must earn its influence.

    Parameters
    ----------
    n_features, width : int
        Length of the time vector, width of the pooled tokens.
    """

    def __init__(self, n_features: int, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(n_features, width)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, times: Tensor) -> Tensor:
        """Map times (B, n_features) to (B, width)."""
        embedded: Tensor = self.project(times)
        return embedded
