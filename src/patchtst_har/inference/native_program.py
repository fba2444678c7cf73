"""From descriptions of layers and weights to the steps of the compiled engine. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import singledispatchmethod
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from patchtst_har._core import Engine
from patchtst_har.architecture import INPUT_NAMES, input_shapes, layers, rotation_tables, walk_layers
from patchtst_har.architecture.layers import Layer, Rows
from patchtst_har.config import ModelConfig
from patchtst_har.errors import PrecisionError
from patchtst_har.support.single_precision import to_float32

Float64Array = NDArray[np.float64]
Weights = Mapping[str, Float64Array]
Precision = Literal["float32", "bfloat16"]
"""Of the factors of all linear layers and convolutions; sums and everything else are float32."""

NORM_EPSILON = 1e-5
"""torch's default of layer norm and batch norm."""
ROWS_PER_BLOCK = 96
"""Tokens that go through the steps together: the weights are read once for all of them."""


class Place(NamedTuple):
    """Rows in a buffer: row (outer, inner) begins at offset + outer * outer_stride + inner * inner_stride."""

    buffer: int
    offset: int
    outer_stride: int
    inner_stride: int = 0


def build_engine(
    config: ModelConfig, num_classes: int, weights: Weights, precision: Precision = "float32"
) -> Engine:
    """Compile the whole forward pass; the engine's outputs are the logits, its embedding is the head's input.

    Parameters
    ----------
    config : ModelConfig
        Architecture.
    num_classes : int
        Number of logits.
    weights : mapping of str to ndarray of float64
        The tensors that `expected_tensors` lists, by their names.
    precision : {"float32", "bfloat16"}
        What the factors of its products are rounded to.

    Raises
    ------
    PrecisionError
        If there is no such precision, or this processor or the instruction set in use lacks it.
    """
    walk = list(walk_layers(config, num_classes))
    shapes = tuple(input_shapes(config).values())
    try:
        engine = Engine(shapes, max(1, ROWS_PER_BLOCK // config.n_tokens), precision)
    except ValueError as error:
        raise PrecisionError(str(error)) from error
    builder = _Builder(engine, walk, weights)
    for layer in walk:
        builder.add(layer)
    head = walk[-1]
    assert isinstance(head, layers.Linear)  # noqa: S101 - the walk ends with it
    engine.set_outputs(builder.place(head.target), head.target.width)
    engine.set_embedding(builder.place(head.source), head.source.width)
    return engine


def _padded(width: int) -> int:
    """Return the length of a row of `width` floats in the engine's own buffers."""
    return -(-width // 16) * 16


def _single(values: Float64Array) -> NDArray[np.float32]:
    # What becomes infinite is found in the probabilities.
    return np.ascontiguousarray(to_float32(values))


class _Builder:
    """Adds the steps of one layer after the other; makes the buffers that they name."""

    def __init__(self, engine: Engine, walk: Iterable[Layer], weights: Weights) -> None:
        self.engine, self.weights = engine, weights
        self.buffers = {name: i for i, name in enumerate(INPUT_NAMES)}
        self.row_lengths: dict[str, int] = {}
        n_rows: dict[str, int] = {}
        for layer in walk:
            for rows in layer.rows():
                written = _padded(_written_width(layer, rows))
                length = rows.width if rows.buffer in INPUT_NAMES else _padded(rows.column + written)
                self.row_lengths[rows.buffer] = max(self.row_lengths.get(rows.buffer, 0), length)
                n_rows[rows.buffer] = max(n_rows.get(rows.buffer, 0), rows.first + rows.n_rows)
        for name in n_rows:
            if name not in self.buffers:
                self.buffers[name] = engine.add_buffer(n_rows[name] * self.row_lengths[name])

    def place(self, rows: Rows, n_inner: int = 1) -> Place:
        """Return where rows (outer, inner) lie, `n_inner` of them side by side."""
        length = self.row_lengths[rows.buffer]
        return Place(self.buffers[rows.buffer], rows.first * length + rows.column, n_inner * length, length)

    @singledispatchmethod
    def add(self, layer: Layer) -> None:
        """Add the steps of a layer."""
        raise TypeError(f"the engine has no step for {type(layer).__name__}")

    @add.register
    def _(self, layer: layers.Constant) -> None:
        self.engine.add_constant(_single(self.weights[layer.name]), self.place(layer.target))

    @add.register
    def _(self, layer: layers.Standardise) -> None:
        mean, std = self._pair(layer.name, "mean", "std")
        source, target = self.place(layer.source), self.place(layer.target)
        self.engine.add_standardise(_single(mean), _single(1 / std), layer.limit, source, target)

    @add.register
    def _(self, layer: layers.StandardiseAxes) -> None:
        for axis, (mean, std) in enumerate(zip(*self._pair(layer.name, "mean", "std"), strict=True)):
            source, target = (self.place(rows.part(axis, 1)) for rows in (layer.source, layer.target))
            means, factors = (_single(np.full(layer.source.width, value)) for value in (mean, 1 / std))
            self.engine.add_standardise(means, factors, np.inf, source, target)

    @add.register
    def _(self, layer: layers.QuantileNormalLayer) -> None:
        lower, inverse = map(_single, self._pair(layer.name, "lower", "inverse_width"))
        source, target = self.place(layer.source), self.place(layer.target)
        self.engine.add_quantiles(lower, inverse, layer.limit, source, target)

    @add.register
    def _(self, layer: layers.AuxiliaryHead) -> None:
        pass

    @add.register
    def _(self, layer: layers.NormedLinear) -> None:
        factor, bias = self._batch_norm(f"{layer.name}.1")
        weight = self.weights[f"{layer.name}.0.weight"] * factor[:, None]
        self._add_linear(layer, weight, bias)

    @add.register
    def _(self, layer: layers.Linear) -> None:
        self._add_linear(layer, *self._pair(layer.name))

    def _add_linear(self, layer: layers.Linear, weight: Float64Array, bias: Float64Array) -> None:
        n_parts, n_inputs = layer.rows_each, layer.n_inputs
        source, target = self.place(layer.source), self.place(layer.target, n_parts)
        rows, segments = (layer.source.n_computed, 1), (1, n_inputs, n_inputs)
        for part, offsets in zip(np.split(weight, n_parts), np.split(bias, n_parts), strict=True):
            self.engine.add_linear(
                _single(part), _single(offsets), source, target, rows, segments, layer.activation, layer.adds
            )
            target = target._replace(offset=target.offset + target.inner_stride)

    @add.register
    def _(self, layer: layers.Convolution) -> None:
        kernel, bias = self._kernel(layer)
        n_patches, length = layer.n_patches, self.row_lengths[layer.source.buffer]
        n_outputs = layer.target.n_rows // n_patches
        if layer.from_axes:
            source = self.place(layer.source)._replace(inner_stride=layer.stride)
            segments = (layer.channels, layer.kernel, n_patches * length)
        else:
            # Channels lie side by side.
            kernel = kernel.transpose(0, 2, 1)
            source = self.place(layer.source, layer.source.n_rows // n_patches)
            source = source._replace(inner_stride=layer.stride * length)
            segments = (layer.kernel, layer.channels, length)
        flat, target = _single(kernel).reshape(len(kernel), -1), self.place(layer.target, n_outputs)
        rows = (n_patches, n_outputs)
        self.engine.add_linear(
            flat, _single(bias), source, target, rows, segments, layer.activation, layer.adds
        )

    @add.register
    def _(self, layer: layers.LayerNorm) -> None:
        gain, bias = map(_single, self._pair(layer.name))
        source, target = self.place(layer.source), self.place(layer.target)
        self.engine.add_normalise(gain, bias, NORM_EPSILON, layer.source.n_computed, source, target)

    @add.register
    def _(self, layer: layers.Attention) -> None:
        weight, bias = self._pair(layer.name)
        # The scores' factor is part of the queries' weights.
        factor = np.ones(len(bias))
        factor[: layer.target.width] = layer.head_dim**-0.5
        weight, bias = weight * factor[:, None], bias * factor
        source, qkv, target = (self.place(rows) for rows in (layer.source, layer.qkv, layer.target))
        n_tokens, width = layer.source.n_rows, layer.source.width
        self.engine.add_linear(
            _single(weight), _single(bias), source, qkv, (n_tokens, 1), (1, width, width), "none", False
        )
        cos, sin = rotation_tables(layer.head_dim, n_tokens, layer.rope_base)
        self.engine.add_attention(cos, sin, layer.n_heads, qkv, target)

    @add.register
    def _(self, layer: layers.Pooling) -> None:
        width = layer.source.width
        attends = layer.kind == "attention"
        query = self.weights[f"{layer.name}.query"] / width**0.5 if attends else np.ones(width)
        source, target = self.place(layer.source), self.place(layer.target)
        self.engine.add_pool(_single(query), layer.kind, layer.source.n_rows, source, target)

    def _kernel(self, layer: layers.Convolution) -> tuple[Float64Array, Float64Array]:
        """Return kernel (out, in, length) and bias, with batch norm and the scaling of the input in them."""
        if layer.batch_norm:
            factor, bias = self._batch_norm(f"{layer.name}.1")
            kernel = self.weights[f"{layer.name}.0.weight"] * factor[:, None, None]
        else:
            kernel, bias = self._pair(layer.name)
            kernel = kernel.reshape(len(kernel), layer.channels, layer.kernel)
        if layer.scale:
            mean, std = self._pair(layer.scale, "mean", "std")
            kernel = kernel / std[:, None]
            bias = bias - np.einsum("ocl,c->o", kernel, mean)
        return kernel, bias

    def _batch_norm(self, name: str) -> tuple[Float64Array, Float64Array]:
        """Return factor and offset of a batch norm in evaluation mode."""
        gain, bias = self._pair(name)
        mean, variance = self._pair(name, "running_mean", "running_var")
        factor = gain / np.sqrt(variance + NORM_EPSILON)
        return factor, bias - mean * factor

    def _pair(self, name: str, *keys: str) -> tuple[Float64Array, Float64Array]:
        first, second = keys or ("weight", "bias")
        return self.weights[f"{name}.{first}"], self.weights[f"{name}.{second}"]


def _written_width(layer: Layer, rows: Rows) -> int:
    """Return how far a layer may write into a row: attention writes each head in whole vectors."""
    if isinstance(layer, layers.Attention) and rows in (layer.qkv, layer.target):
        return rows.width - layer.head_dim + _padded(layer.head_dim)
    return rows.width
