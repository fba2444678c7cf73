"""The one place that says of which layers a model consists."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from patchtst_har.architecture import layers
from patchtst_har.architecture.layers import Layer, Rows, TensorSpec

if TYPE_CHECKING:
    from patchtst_har.config import ModelConfig

FEATURE_LIMIT = 10.0
"""Standardised features are clipped to ± this, so that one freak feature cannot swamp a token."""
QUANTILE_LIMIT, QUANTILE_STEPS = 2.5, 40
"""Features scaled to normal quantiles end at ± this; between, the map has so many linear steps."""


def walk_layers(config: ModelConfig, num_classes: int) -> Iterator[Layer]:
    """Yield a `PatchTSTClassifier`'s layers in the order of computation; the last target holds the logits.

    Parameters
    ----------
    config : ModelConfig
        Architecture.
    num_classes : int
        Number of logits.
    """
    yield from _embedding(config)
    for i in range(config.n_layers):
        yield from _encoder_layer(config, i)
    yield from _head(config, num_classes)


def expected_tensors(config: ModelConfig, num_classes: int) -> dict[str, TensorSpec]:
    """Return every tensor of a `PatchTSTClassifier` by its name (parameters as `walk_layers`)."""
    return {tensor.name: tensor for layer in walk_layers(config, num_classes) for tensor in layer.tensors()}


def checked_weights(
    tensors: Mapping[str, Any], config: ModelConfig, num_classes: int
) -> dict[str, NDArray[np.float64]]:
    """Return `tensors`, arrays by name, as float64 (other parameters as `walk_layers`).

    Raises
    ------
    ValueError
        If a tensor is missing, unknown, of another shape than the configuration asks for, not finite, or a
        spread that is not positive.
    """
    expected = expected_tensors(config, num_classes)
    missing, unknown = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or unknown:
        named = (("misses", missing), ("has unknown", unknown))
        listed = "; ".join(f"{what} {', '.join(names)}" for what, names in named if names)
        raise ValueError(f"the model {listed}")
    weights = {}
    for name, spec in expected.items():
        values = np.asarray(tensors[name], np.float64)
        if values.shape != spec.shape:
            raise ValueError(f"{name} must have shape {spec.shape}, has {values.shape}")
        if not np.isfinite(values).all():
            raise ValueError(f"{name} has values that are not finite")
        if spec.least == "positive" and not (values > 0).all():
            raise ValueError(f"{name} has values that are not positive")
        if spec.least == "zero" and (values < 0).any():
            raise ValueError(f"{name} has negative values")
        weights[name] = values
    return weights


def expected_complexity(config: ModelConfig, num_classes: int) -> dict[str, int]:
    """Return ``parameters`` and ``flops`` of a `PatchTSTClassifier` for one window, without making it.

    A multiply-add counts as two operations; only matrix products, convolutions and attention are counted, as
    in `benchmark.complexity.model_complexity` (parameters as `walk_layers`).
    """
    tensors = expected_tensors(config, num_classes).values()
    return {
        "parameters": sum(math.prod(tensor.shape) for tensor in tensors if tensor.trained),
        "flops": 2 * sum(layer.multiply_adds() for layer in walk_layers(config, num_classes)),
    }


def _token_rows(config: ModelConfig, buffer: str) -> Rows:
    return Rows(buffer, config.n_tokens, config.d_model)


def _embedding(config: ModelConfig) -> Iterator[Layer]:
    """Fill the tokens: class token, patches, statistical and topological features."""
    tokens, first = _token_rows(config, "tokens"), 0
    if config.pooling == "cls":
        yield layers.Constant("class_token", tokens.part(0, 1))
        first = 1
    embedding = _window_stem if config.stem_over == "window" else _patch_embedding
    yield from embedding(config, tokens.part(first, config.n_patch_tokens))
    first += config.n_patch_tokens
    for (name, vector), n_tokens in zip(_feature_vectors(config), config.feature_tokens, strict=True):
        if n_tokens:
            scaled = replace(vector, buffer=f"{name}_embedding.scaled")
            hidden = Rows(f"{name}_embedding.hidden", 1, config.d_model)
            yield layers.Standardise(f"{name}_embedding.scale", scaled, vector, FEATURE_LIMIT)
            yield layers.Linear(f"{name}_embedding.project.0", hidden, scaled, activation=config.activation)
            yield layers.Linear(f"{name}_embedding.project.2", tokens.part(first, n_tokens), hidden)
            first += n_tokens


def _feature_vectors(config: ModelConfig) -> tuple[tuple[str, Rows], tuple[str, Rows]]:
    return (
        ("stat", Rows("stats", 1, config.n_stat_features)),
        ("topo", Rows("topo", 1, config.n_topo_features)),
    )


def _patch_embedding(config: ModelConfig, tokens: Rows) -> Iterator[Layer]:
    """Put each patch through the stem, if there is one, and project it to a token."""
    n_patches, lengths, activation = config.n_patches, config.stem_lengths, config.activation
    source, scale = Rows("patches", config.channels * n_patches, config.patch_len), "patch_embedding.scale"
    for i, (layer, n_outputs) in enumerate(zip(config.stem, lengths[1:], strict=True)):
        name = f"patch_embedding.stem.{i}"
        target = Rows(name, n_patches * n_outputs, layer.channels)
        cut = (n_patches, layer.kernel, layer.stride)
        yield layers.Convolution(
            name, target, source, *cut, activation=activation, from_axes=not i, batch_norm=True, scale=scale
        )
        source, scale = target, ""
    name, n = "patch_embedding.project", lengths[-1]
    yield layers.Convolution(name, tokens, source, n_patches, n, n, from_axes=not config.stem, scale=scale)


def _window_stem(config: ModelConfig, tokens: Rows) -> Iterator[Layer]:
    """Put the window through the stem, whose outputs are the tokens.

    Sources are rows between as many rows (or, of the axes, columns) of zeros as the convolution pads with.
    """
    padding = config.stem[0].padding
    samples = Rows("patches", config.channels, config.window_size)
    source = Rows("patch_embedding.padded", config.channels, config.window_size + 2 * padding)
    yield layers.StandardiseAxes(
        "patch_embedding.scale", source.columns(padding, config.window_size), samples
    )
    for i, (layer, n_outputs) in enumerate(zip(config.stem, config.stem_lengths[1:], strict=True)):
        name, last = f"patch_embedding.stem.{i}", i + 1 == len(config.stem)
        padding = 0 if last else config.stem[i + 1].padding
        padded = tokens if last else Rows(name, n_outputs + 2 * padding, layer.channels)
        cut = (1, layer.kernel, layer.stride)
        yield layers.Convolution(
            name,
            padded.part(padding, n_outputs),
            source,
            *cut,
            activation=config.activation,
            from_axes=not i,
            batch_norm=True,
        )
        source = padded


def _encoder_layer(config: ModelConfig, i: int) -> Iterator[Layer]:
    name, pre, n_tokens = f"layers.{i}.", config.norm == "pre", config.n_tokens
    tokens, mixed = _token_rows(config, "tokens"), _token_rows(config, "mixed")
    branch = _token_rows(config, "normed") if pre else tokens
    qkv, hidden = Rows("qkv", n_tokens, 3 * config.d_model), Rows("hidden", n_tokens, config.d_ff)
    if pre:
        yield layers.LayerNorm(f"{name}norm_attention", branch, tokens)
    yield layers.Attention(f"{name}qkv", mixed, branch, qkv, config.n_heads, config.rope_base)
    if i == config.n_layers - 1 and config.pooling == "cls":
        # Only the class token is read after the last layer.
        tokens, branch, mixed, hidden = (replace(r, n_needed=1) for r in (tokens, branch, mixed, hidden))
    yield layers.Linear(f"{name}out", tokens, mixed, adds=True)
    yield layers.LayerNorm(f"{name}{'norm_feed_forward' if pre else 'norm_attention'}", branch, tokens)
    yield layers.Linear(f"{name}feed_forward.0", hidden, branch, activation=config.activation)
    yield layers.Linear(f"{name}feed_forward.3", tokens, hidden, adds=True)
    if not pre:
        yield layers.LayerNorm(f"{name}norm_feed_forward", tokens, tokens)


def _head(config: ModelConfig, num_classes: int) -> Iterator[Layer]:
    """Normalise, pool, add the time of day, append the output of the feature branch, project to logits."""
    logits, embedding = Rows("logits", 1, num_classes), Rows("embedding", 1, config.embedding_width)
    n_rows = 1 if config.pooling == "cls" else config.n_tokens
    pooled = _token_rows(config, "tokens").part(0, n_rows)
    if config.norm == "pre":
        tokens, pooled = pooled, replace(pooled, buffer="normed")
        yield layers.LayerNorm("head.norm", pooled, tokens)
    if config.pooling == "cls" and config.features_as == "tokens":
        embedding = pooled
    else:
        yield from _pooling(config, embedding, pooled)
    if config.n_time_features:
        times = Rows("times", 1, config.n_time_features)
        target = embedding.columns(0, config.pooled_width)
        yield layers.Linear("time_embedding.project", target, times, adds=True)
    if config.features_as == "branch":
        yield from _branch(config, embedding.columns(config.pooled_width, config.branch.width))
    if config.auxiliary_heads:
        yield layers.AuxiliaryHead("head.encoder", logits, config.pooled_width)
        yield layers.AuxiliaryHead("head.branch", logits, config.branch.width)
    yield layers.Linear("head.project", logits, embedding)


def _pooling(config: ModelConfig, embedding: Rows, tokens: Rows) -> Iterator[Layer]:
    width = config.d_model
    if config.pooling == "mean_max":
        yield layers.Pooling("head.mean", embedding.columns(0, width), tokens, "mean")
        yield layers.Pooling("head.maximum", embedding.columns(width, width), tokens, "maximum")
    else:
        # The class token is the mean of itself.
        kind: Literal["mean", "attention"] = "attention" if config.pooling == "attention" else "mean"
        yield layers.Pooling("head.pool", embedding.columns(0, width), tokens, kind)


def _branch(config: ModelConfig, target: Rows) -> Iterator[Layer]:
    """Scale the feature vectors side by side, then two layers."""
    vectors = [(name, vector) for name, vector in _feature_vectors(config) if vector.width]
    source, first = Rows("branch.scaled", 1, sum(vector.width for _, vector in vectors)), 0
    for name, vector in vectors:
        scaled = source.columns(first, vector.width)
        yield layers.QuantileNormalLayer(
            f"branch.{name}_scale", scaled, vector, QUANTILE_STEPS, QUANTILE_LIMIT
        )
        first += vector.width
    hidden = Rows("branch.hidden", 1, config.branch.width)
    yield layers.NormedLinear("branch.layers.0", hidden, source, activation=config.activation)
    yield layers.NormedLinear("branch.layers.1", target, hidden, activation=config.activation)
