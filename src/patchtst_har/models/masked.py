"""Self-supervised pre-training: predict hidden samples of a window from the others (Nie et al. 2023)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from patchtst_har.architecture import cut_patches
from patchtst_har.config import ModelConfig
from patchtst_har.models.patchtst import PatchTSTClassifier

PRETRAINED = ("patch_embedding", "class_token", "layers", "head.norm")
"""Parts of a `PatchTSTClassifier` that masked pre-training trains; all others stay as they were made."""


class MaskedPatches(nn.Module):
    """Predict hidden samples of windows: scaling, zeros for what is hidden, encoder, linear decoder.

    Samples are hidden before the stem: with a stem over the window, neighbouring tokens see the same samples,
    so hidden tokens would be known from their neighbours. Each token is decoded to the samples around its
    centre, as many as there are from one token to the next. Feature vectors are not used: they would tell
    what is hidden.

    Parameters
    ----------
    model : PatchTSTClassifier
        Its parts `PRETRAINED` are trained.
    """

    def __init__(self, model: PatchTSTClassifier) -> None:
        super().__init__()
        self.model = model
        self.first, self.step = token_samples(model.config)
        self.decoder = nn.Linear(model.config.d_model, model.config.channels * self.step)

    def forward(self, patches: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Predict hidden samples.

        Parameters
        ----------
        patches : Tensor, shape (B, C, P, L)
            Acceleration in g, as `PatchTSTClassifier` takes it.
        hidden : Tensor of bool, shape (B, T)
            Samples that the model does not get to see.

        Returns
        -------
        prediction, target : Tensor, shape (B, N, C, step)
            Scaled samples around each of the N patch tokens.
        weight : Tensor, shape (B, N, 1, step)
            1 for hidden samples, else 0.
        """
        model, config = self.model, self.model.config
        scaled = model.patch_embedding.scaled(patches)
        cut = cut_patches(hidden.unsqueeze(2), config.patch_len, config.patch_hop).transpose(1, 2)
        tokens = model.patch_embedding.tokens(scaled.masked_fill(cut, 0.0))
        if model.class_token is not None:
            tokens = torch.cat([model.class_token.expand(len(tokens), 1, -1), tokens], dim=1)
        encoded = model.head.norm(model.encoded(tokens)[:, -config.n_patch_tokens :])
        prediction = self.decoder(encoded).unflatten(2, (config.channels, self.step))
        return prediction, self._around_tokens(scaled), self._around_tokens(cut.to(scaled.dtype))

    def _around_tokens(self, values: Tensor) -> Tensor:
        """Return the samples of (B, P, C, L) around each token, (B, N, C, step); beyond the window: zeros."""
        if self.model.config.stem_over == "patch":
            return values.narrow(3, self.first, self.step)
        window, n_samples = values[:, 0], values.shape[3]
        end = self.first + self.model.config.n_patch_tokens * self.step
        window = pad(window, (max(0, -self.first), max(0, end - n_samples)))
        window = window.narrow(2, max(0, self.first), end - self.first)
        around: Tensor = window.unflatten(2, (-1, self.step)).transpose(1, 2)
        return around


def token_samples(config: ModelConfig) -> tuple[int, int]:
    """Return the first sample of those around the first token, and their number for each token.

    Those of the next token follow them: in the window for a stem over it, otherwise inside each patch.
    """
    if config.stem_over == "patch":
        return (config.patch_len - config.patch_hop) // 2, config.patch_hop
    centre, step = 0.0, 1
    for layer in reversed(config.stem):
        centre = centre * layer.stride + (layer.kernel - 1) / 2 - layer.padding
        step *= layer.stride
    return round(centre - (step - 1) / 2), step


def masked_loss(prediction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the mean squared error of what `MaskedPatches` returns, over hidden samples alone."""
    squares = (prediction - target) ** 2 * weight
    return squares.sum() / (weight.sum() * prediction.shape[2]).clamp(min=1)


def hide_stretches(
    n_windows: int, config: ModelConfig, fraction: float, generator: torch.Generator | None = None
) -> Tensor:
    """Draw which samples are hidden, (n, T) of bool: stretches that together are `fraction` of a window.

    A stretch is a patch; with a stem over the window, it is as long as two steps from token to token. Where
    tokens share samples, stretches begin anywhere.
    """
    size = config.window_size
    _, step = token_samples(config)
    whole = config.stem_over == "patch" and config.patch_hop == config.patch_len
    length = min(config.patch_len if config.stem_over == "patch" else 2 * step, size)
    n_stretches = -(-size // length) + (not whole)
    order = torch.rand(n_windows, n_stretches, generator=generator).argsort(dim=1).argsort(dim=1)
    # Rounded at random, so that few long stretches are that fraction on average too.
    n_hidden = (fraction * n_stretches + torch.rand(n_windows, 1, generator=generator)).long().clamp(min=1)
    hidden = (order < n_hidden).repeat_interleave(length, dim=1)
    if whole:
        return hidden
    start = torch.randint(length, (n_windows, 1), generator=generator)
    return hidden.gather(1, start + torch.arange(size))
