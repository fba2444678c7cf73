"""From a configuration and weights to the steps of the compiled engine. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from patchtst_har._core import Engine
from patchtst_har.config import ModelConfig
from patchtst_har.errors import PrecisionError

Weights = Mapping[str, NDArray[np.float64]]
Activation = Literal["none", "relu", "gelu"]
Precision = Literal["float32", "bfloat16"]
"""Of the factors of all linear layers and convolutions; sums and everything else are float32."""

PATCHES, TIMES, STATS, TOPO = range(4)
FEATURE_LIMIT = 10.0
"""Scaled features are clipped to ± this (`FeatureEmbedding`)."""
NORM_EPSILON = 1e-5
"""torch's default of layer norm and batch norm."""
ROWS_PER_BLOCK = 96
"""Tokens that go through the steps together: the weights are read once for all of them."""


class Place(NamedTuple):
    """Rows in a buffer: row (outer, inner) begins at offset + outer * outer_stride + inner * inner_stride."""

    buffer: int
    offset: int = 0
    outer_stride: int = 0
    inner_stride: int = 0


def padded(width: int) -> int:
    """Return the length of a row of `width` floats in the engine's own buffers."""
    return -(-width // 16) * 16


def build_engine(
    config: ModelConfig, num_classes: int, weights: Weights, precision: Precision = "float32"
) -> Engine:
    """Compile the whole forward pass; the engine's outputs are the logits.

    Parameters
    ----------
    config : ModelConfig
        Architecture.
    num_classes : int
        Number of logits.
    weights : mapping of str to ndarray of float64
        All tensors of the model by their names in `PatchTSTClassifier.state_dict`, with the right shapes.
    precision : {"float32", "bfloat16"}
        What the factors of its products are rounded to.

    Raises
    ------
    PrecisionError
        If there is no such precision, or this processor or the instruction set in use lacks it.
    """
    return _Builder(config, weights, precision).build(num_classes)


def input_shapes(config: ModelConfig) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of patches, times, stats and topo for one window."""
    patches = (config.channels, config.n_patches, config.patch_len)
    return patches, (config.n_time_features,), (config.n_stat_features,), (config.n_topo_features,)


def rotation_tables(head_dim: int, n_tokens: int, base: float) -> tuple[NDArray[np.float32], ...]:
    """Return cosine and sine (n_tokens, head_dim / 2) of position * base ** (-2 i / head_dim)."""
    pairs = np.arange(0, head_dim, 2, dtype=np.float64)
    angles = np.outer(np.arange(n_tokens, dtype=np.float64), base ** (-pairs / head_dim))
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def _single(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, dtype=np.float32)


class _Builder:
    """Adds the steps in the order of `PatchTSTClassifier.forward`."""

    def __init__(self, config: ModelConfig, weights: Weights, precision: Precision) -> None:
        self.config, self.weights = config, weights
        self.width = padded(config.d_model)
        n_block_windows = max(1, ROWS_PER_BLOCK // config.n_tokens)
        try:
            self.engine = Engine(input_shapes(config), n_block_windows, precision)
        except ValueError as error:
            raise PrecisionError(str(error)) from error
        self.tokens = self._rows(config.n_tokens, config.d_model)
        self.normed = self._rows(config.n_tokens, config.d_model)
        self.hidden = self._rows(config.n_tokens, config.d_ff)
        last_head = config.d_model - config.head_dim + padded(config.head_dim)
        self.qkv = self._rows(config.n_tokens, 2 * config.d_model + last_head)
        self.mixed = self._rows(config.n_tokens, last_head)
        self.scale = _single(np.ones(config.d_model))

    def build(self, num_classes: int) -> Engine:
        self._embed()
        for i in range(self.config.n_layers):
            # Of the last layer, only the row that is read in the end.
            last = i == self.config.n_layers - 1 and self.config.pooling == "cls"
            self._encode(f"layers.{i}.", 1 if last else self.config.n_tokens)
        pooled = self._pool()
        if self.config.n_time_features:
            self._linear("time_embedding.project", Place(TIMES), pooled, adds=True)
        logits = self._rows(1, num_classes)
        self._linear("head.project", pooled, logits)
        self.engine.set_outputs(logits.buffer, num_classes)
        return self.engine

    def _rows(self, n_rows: int, width: int) -> Place:
        """Make a buffer of rows."""
        return Place(self.engine.add_buffer(n_rows * padded(width)), 0, padded(width))

    def _linear(
        self,
        name: str,
        source: Place,
        target: Place,
        *,
        n_rows: int = 1,
        activation: Activation = "none",
        adds: bool = False,
    ) -> None:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        self._product(weight, bias, source, target, n_rows=n_rows, activation=activation, adds=adds)

    def _product(
        self,
        weight: NDArray[np.float64],
        bias: NDArray[np.float64],
        source: Place,
        target: Place,
        *,
        n_rows: int = 1,
        n_inner: int = 1,
        segments: tuple[int, int, int] | None = None,
        activation: Activation = "none",
        adds: bool = False,
    ) -> None:
        """Add a product of rows; `segments` (number, length, stride) tells where a row's values lie."""
        segments = (1, weight.shape[1], 0) if segments is None else segments
        self.engine.add_linear(
            _single(weight), _single(bias), source, target, (n_rows, n_inner), segments, activation, adds
        )

    def _normalise(self, name: str, source: Place, target: Place, n_rows: int) -> None:
        gain, bias = _single(self.weights[f"{name}.weight"]), _single(self.weights[f"{name}.bias"])
        self.engine.add_normalise(gain, bias, NORM_EPSILON, n_rows, source, target)

    def _embed(self) -> None:
        config = self.config
        first = 0
        if config.pooling == "cls":
            self.engine.add_constant(_single(self.weights["class_token"]), self.tokens)
            first = 1
        self._embed_patches(self.tokens._replace(offset=first * self.width))
        first += config.n_patches
        n_stat, n_topo = config.feature_tokens
        self._embed_features("stat_embedding", STATS, config.n_stat_features, first, n_stat)
        self._embed_features("topo_embedding", TOPO, config.n_topo_features, first + n_stat, n_topo)

    def _embed_features(self, name: str, source: int, n_features: int, first: int, n_tokens: int) -> None:
        if not n_features:
            return
        scaled, hidden = self._rows(1, n_features), self._rows(1, self.config.d_model)
        mean, std = self.weights[f"{name}.scale.mean"], self.weights[f"{name}.scale.std"]
        self.engine.add_standardise(_single(mean), _single(1 / std), FEATURE_LIMIT, Place(source), scaled)
        self._linear(f"{name}.project.0", scaled, hidden, activation=self.config.activation)
        weights = np.split(self.weights[f"{name}.project.2.weight"], n_tokens)
        biases = np.split(self.weights[f"{name}.project.2.bias"], n_tokens)
        for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            self._product(weight, bias, hidden, self.tokens._replace(offset=(first + i) * self.width))

    def _embed_patches(self, target: Place) -> None:
        """Scaling (and batch norm) is part of the weights of the first product."""
        config, weights = self.config, self.weights
        mean, std = (weights[f"patch_embedding.scale.{name}"] for name in ("mean", "std"))
        n_patches, length = config.n_patches, config.patch_len
        weight, bias = (weights[f"patch_embedding.project.{name}"] for name in ("weight", "bias"))
        if not config.stem:
            kernel = weight.reshape(config.d_model, config.channels, length) / std[:, None]
            bias = bias - np.einsum("ocl,c->o", kernel, mean)
            flat = kernel.reshape(config.d_model, -1)
            self._product(
                flat,
                bias,
                Place(PATCHES, 0, length),
                target,
                n_rows=n_patches,
                segments=(config.channels, length, n_patches * length),
            )
            return
        outputs = self._stem(mean, std)
        n_outputs, channels = config.stem_lengths[-1], config.stem[-1].channels
        by_time = weight.reshape(config.d_model, channels, n_outputs).transpose(0, 2, 1)
        self._product(
            by_time.reshape(config.d_model, -1),
            bias,
            outputs,
            target,
            n_rows=n_patches,
            segments=(n_outputs, channels, outputs.inner_stride),
        )

    def _stem(self, mean: NDArray[np.float64], std: NDArray[np.float64]) -> Place:
        """Add the convolutions; return their outputs: rows (patch, time) of channels."""
        config = self.config
        n_patches = config.n_patches
        source = Place(PATCHES, 0, config.patch_len, 1)
        for i, layer in enumerate(config.stem):
            kernel, shift = self._folded_convolution(f"patch_embedding.stem.{i}")
            if i == 0:
                kernel = kernel / std[:, None]
                shift = shift - np.einsum("ocl,c->o", kernel, mean)
                segments = (config.channels, layer.kernel, n_patches * config.patch_len)
            else:
                # Channels lie side by side now.
                kernel = kernel.transpose(0, 2, 1)
                segments = (layer.kernel, kernel.shape[2], source.inner_stride)
            n_outputs = config.stem_lengths[i + 1]
            rows = self._rows(n_patches * n_outputs, layer.channels)
            row = rows.outer_stride
            rows = rows._replace(outer_stride=n_outputs * row, inner_stride=row)
            self._product(
                kernel.reshape(layer.channels, -1),
                shift,
                source._replace(inner_stride=layer.stride * source.inner_stride),
                rows,
                n_rows=n_patches,
                n_inner=n_outputs,
                segments=segments,
                activation=config.activation,
            )
            source = rows
        return source

    def _folded_convolution(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return kernel (out, in, length) and bias of a convolution with its batch norm."""
        norm = {key: self.weights[f"{name}.1.{key}"] for key in ("weight", "bias", "running_mean")}
        factor = norm["weight"] / np.sqrt(self.weights[f"{name}.1.running_var"] + NORM_EPSILON)
        kernel = self.weights[f"{name}.0.weight"] * factor[:, None, None]
        return kernel, norm["bias"] - norm["running_mean"] * factor

    def _encode(self, name: str, n_rows: int) -> None:
        """Add one encoder layer; behind the attention, only the first `n_rows` tokens."""
        pre, activation = self.config.norm == "pre", self.config.activation
        tokens = self.tokens
        branch = self.normed if pre else tokens
        if pre:
            self._normalise(f"{name}norm_attention", tokens, branch, self.config.n_tokens)
        self._attend(name, branch)
        self._linear(f"{name}out", self.mixed, tokens, n_rows=n_rows, adds=True)
        between = "norm_feed_forward" if pre else "norm_attention"
        self._normalise(f"{name}{between}", tokens, branch, n_rows)
        self._linear(f"{name}feed_forward.0", branch, self.hidden, n_rows=n_rows, activation=activation)
        self._linear(f"{name}feed_forward.3", self.hidden, tokens, n_rows=n_rows, adds=True)
        if not pre:
            self._normalise(f"{name}norm_feed_forward", tokens, tokens, n_rows)

    def _attend(self, name: str, source: Place) -> None:
        config = self.config
        # The scores' factor is part of the queries' weights.
        factor = np.ones(3 * config.d_model)
        factor[: config.d_model] = config.head_dim**-0.5
        weight = self.weights[f"{name}qkv.weight"] * factor[:, None]
        bias = self.weights[f"{name}qkv.bias"] * factor
        self._product(weight, bias, source, self.qkv, n_rows=config.n_tokens)
        cos, sin = rotation_tables(config.head_dim, config.n_tokens, config.rope_base)
        self.engine.add_attention(cos, sin, config.n_heads, self.qkv, self.mixed)

    def _pool(self) -> Place:
        """Return where the pooled row lies."""
        config, tokens = self.config, self.tokens
        n_rows = 1 if config.pooling == "cls" else config.n_tokens
        if config.norm == "pre":
            self._normalise("head.norm", tokens, self.normed, n_rows)
            tokens = self.normed
        if config.pooling == "cls":
            return tokens
        pooled = self._rows(1, config.d_model)
        weighted = config.pooling == "attention"
        query = self.weights["head.pool.query"] / config.d_model**0.5 if weighted else self.scale
        self.engine.add_pool(_single(np.asarray(query)), weighted, n_rows, tokens, pooled)
        return pooled
