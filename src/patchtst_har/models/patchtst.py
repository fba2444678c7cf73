"""The classifier: patch and feature tokens, rotary encoder layers, pooled logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from patchtst_har.architecture import input_shapes
from patchtst_har.config import ModelConfig
from patchtst_har.datasets.window_store import SlicedWindows
from patchtst_har.models.attention import precompute_freqs_cis
from patchtst_har.models.components.classifier import ClassifierHead
from patchtst_har.models.components.embedding import (
    FeatureBranch,
    FeatureEmbedding,
    PatchEmbedding,
    TimeEmbedding,
)
from patchtst_har.models.components.transformer import RoPETransformerEncoderLayer
from patchtst_har.models.dropout import Dropout


class PatchTSTClassifier(nn.Module):
    """PatchTST classifier of tri-axial windows with feature tokens and rotary attention.

    The window's patches become tokens (Nie et al. 2023, arXiv:2211.14730, but with the three axes joined in
    each patch, or with the outputs of convolutions over the window in place of patches); the statistical and
    the topological feature vectors are one token or more each, or go through a branch parallel to the
    encoder; the time vector is added to the pooled tokens. All inputs are in physical units; their scaling is
    learned from the training set and kept in buffers (`fit_scaling`).

    Parameters
    ----------
    config : ModelConfig
        Architecture.
    num_classes : int
        Number of classes, at least 2.

    Raises
    ------
    ValueError
        If `num_classes` is below 2.
    """

    rope_cos: Tensor
    rope_sin: Tensor

    def __init__(self, config: ModelConfig, num_classes: int) -> None:
        super().__init__()
        if num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, got {num_classes}")
        self.config = config
        self.num_classes = num_classes
        d_model = config.d_model
        self.patch_embedding = PatchEmbedding(config)
        self.stat_embedding, self.topo_embedding = (
            FeatureEmbedding(n_features, d_model, n_tokens, config.activation) if n_tokens else None
            for n_features, n_tokens in zip(
                (config.n_stat_features, config.n_topo_features), config.feature_tokens, strict=True
            )
        )
        self.branch = FeatureBranch(config) if config.features_as == "branch" else None
        self.time_embedding = (
            TimeEmbedding(config.n_time_features, config.pooled_width) if config.n_time_features else None
        )
        self.class_token = (
            nn.Parameter(nn.init.normal_(torch.empty(d_model), std=0.02)) if config.pooling == "cls" else None
        )
        self.dropout = Dropout(
            config.dropout if config.embedding_dropout is None else config.embedding_dropout
        )
        self.layers = nn.ModuleList(RoPETransformerEncoderLayer.of(config) for _ in range(config.n_layers))
        self.head = ClassifierHead(config, num_classes)
        # Not persistent: the tables follow from the configuration.
        cos, sin = precompute_freqs_cis(config.head_dim, config.n_tokens, config.rope_base)
        self.register_buffer("rope_cos", cos, persistent=False)
        self.register_buffer("rope_sin", sin, persistent=False)

    def fit_scaling(self, windows: Tensor | SlicedWindows, stats: Tensor, topo: Tensor) -> None:
        """Take the scaling from the training set: `windows` (n, T, C) in g, `stats`, `topo` as in `forward`.

        Windows on disk (`patchtst_har.datasets.window_store`) are read in parts.
        """
        self.patch_embedding.scale.fit(windows)
        if self.stat_embedding is not None:
            self.stat_embedding.scale.fit(stats)
        if self.topo_embedding is not None:
            self.topo_embedding.scale.fit(topo)
        if self.branch is not None:
            self.branch.fit(stats, topo)

    def forward(
        self, patches: Tensor, times: Tensor, stats: Tensor, topo: Tensor, return_attn: bool = False
    ) -> Tensor:
        """Classify windows.

        Parameters
        ----------
        patches : Tensor, shape (B, channels, n_patches, patch_len)
            Acceleration in g.
        times : Tensor, shape (B, n_time_features)
            Hour and weekday (`data.times.time_features`).
        stats : Tensor, shape (B, n_stat_features)
            Statistical features, unscaled.
        topo : Tensor, shape (B, n_topo_features)
            Topological features, unscaled.
        return_attn : bool
            Keep each layer's attention weights in its `last_attn`.

        Returns
        -------
        Tensor, shape (B, num_classes)
            Logits.

        Raises
        ------
        ValueError
            If a shape does not fit the configuration; the message names the input and both shapes.
        """
        logits: Tensor = self.head(self.embed(patches, times, stats, topo, return_attn))
        return logits

    def all_logits(self, patches: Tensor, times: Tensor, stats: Tensor, topo: Tensor) -> tuple[Tensor, ...]:
        """Return the logits, then those of the auxiliary heads, if any (parameters as `forward`)."""
        return self.head.all_logits(self.embed(patches, times, stats, topo))

    def embed(
        self, patches: Tensor, times: Tensor, stats: Tensor, topo: Tensor, return_attn: bool = False
    ) -> Tensor:
        """Return what the logits are a linear function of, (B, embedding_width) (parameters as `forward`)."""
        self._check_shapes((patches, times, stats, topo))
        tokens = self.encoded(self._tokens(patches, stats, topo), return_attn)
        embedding = self.head.pooled(tokens)
        if self.time_embedding is not None:
            embedding = embedding + self.time_embedding(times)
        if self.branch is not None:
            embedding = torch.cat([embedding, self.branch(stats, topo)], dim=1)
        return embedding

    def encoded(self, tokens: Tensor, return_attn: bool = False) -> Tensor:
        """Return `tokens` (B, N, d_model) after the layers; their positions are 0 to N - 1 < n_tokens.

        With `return_attn`, the layers keep their attention weights.
        """
        tokens = self.dropout(tokens)
        n_tokens = tokens.shape[1]
        tables = (self.rope_cos[:n_tokens], self.rope_sin[:n_tokens])
        for layer in self.layers:
            if self.config.gradient_checkpointing and self.training:
                tokens = checkpoint(layer, tokens, tables, return_attn, use_reentrant=False)
            else:
                tokens = layer(tokens, tables, return_attn)
        return tokens

    def _tokens(self, patches: Tensor, stats: Tensor, topo: Tensor) -> Tensor:
        """Return all tokens (B, n_tokens, d_model); positions are their order: class, patches, features."""
        # Not len(patches): that is a plain number, to which an exported graph would be bound.
        tokens = [] if self.class_token is None else [self.class_token.expand(patches.shape[0], 1, -1)]
        tokens.append(self.patch_embedding(patches))
        if self.stat_embedding is not None:
            tokens.append(self.stat_embedding(stats))
        if self.topo_embedding is not None:
            tokens.append(self.topo_embedding(topo))
        return torch.cat(tokens, dim=1)

    def _check_shapes(self, inputs: tuple[Tensor, ...]) -> None:
        batch = inputs[0].shape[0] if inputs[0].ndim else 0
        for (name, shape), tensor in zip(input_shapes(self.config).items(), inputs, strict=True):
            if all(shape) and tuple(tensor.shape) != (batch, *shape):
                raise ValueError(f"{name} must have shape {(batch, *shape)}, got {tuple(tensor.shape)}")
