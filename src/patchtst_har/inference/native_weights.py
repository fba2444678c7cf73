"""The tensors of a model, checked against its configuration. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchtst_har.config import ModelConfig

Shape = tuple[int, ...]

COUNTER = "num_batches_tracked"
"""Last part of the names of tensors that only training uses."""


def expected_shapes(config: ModelConfig, num_classes: int) -> dict[str, Shape]:
    """Return name and shape of every tensor of a `PatchTSTClassifier`."""
    width = config.d_model
    shapes = _embedding_shapes(config)
    for i in range(config.n_layers):
        name = f"layers.{i}."
        shapes |= _norm(f"{name}norm_attention", width) | _linear(f"{name}qkv", width, 3 * width)
        shapes |= _linear(f"{name}out", width, width) | _norm(f"{name}norm_feed_forward", width)
        shapes |= _linear(f"{name}feed_forward.0", width, config.d_ff)
        shapes |= _linear(f"{name}feed_forward.3", config.d_ff, width)
    if config.norm == "pre":
        shapes |= _norm("head.norm", width)
    if config.pooling == "attention":
        shapes["head.pool.query"] = (width,)
    return shapes | _linear("head.project", width, num_classes)


def checked_weights(
    tensors: Mapping[str, Any], config: ModelConfig, num_classes: int
) -> dict[str, NDArray[np.float64]]:
    """Return the tensors as float64.

    Raises
    ------
    ValueError
        If a tensor is missing, unknown, of another shape than the configuration asks for, not finite, or a
        spread that is not positive.
    """
    shapes = expected_shapes(config, num_classes)
    missing, unknown = sorted(shapes.keys() - tensors.keys()), sorted(tensors.keys() - shapes.keys())
    if missing or unknown:
        named = (("misses", missing), ("has unknown", unknown))
        listed = "; ".join(f"{what} {', '.join(names)}" for what, names in named if names)
        raise ValueError(f"the model {listed}")
    weights = {}
    for name, shape in shapes.items():
        values = np.asarray(tensors[name], np.float64)
        if values.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, has {values.shape}")
        if not np.isfinite(values).all():
            raise ValueError(f"{name} has values that are not finite")
        if name.endswith(".std") and not (values > 0).all():
            raise ValueError(f"{name} has values that are not positive")
        if name.endswith(".running_var") and (values < 0).any():
            raise ValueError(f"{name} has negative values")
        weights[name] = values
    return weights


def _embedding_shapes(config: ModelConfig) -> dict[str, Shape]:
    width, channels = config.d_model, config.channels
    shapes: dict[str, Shape] = {"class_token": (width,)} if config.pooling == "cls" else {}
    shapes |= _scale("patch_embedding.scale", channels)
    for i, layer in enumerate(config.stem):
        name = f"patch_embedding.stem.{i}"
        shapes[f"{name}.0.weight"] = (layer.channels, channels, layer.kernel)
        channels = layer.channels
        shapes |= _norm(f"{name}.1", channels) | {f"{name}.1.{COUNTER}": ()}
        shapes |= {f"{name}.1.running_{which}": (channels,) for which in ("mean", "var")}
    shapes |= _linear("patch_embedding.project", config.patch_width, width)
    vectors = {"stat_embedding": config.n_stat_features, "topo_embedding": config.n_topo_features}
    for (name, n_features), n_tokens in zip(vectors.items(), config.feature_tokens, strict=True):
        if n_features:
            shapes |= _scale(f"{name}.scale", n_features)
            shapes |= _linear(f"{name}.project.0", n_features, width)
            shapes |= _linear(f"{name}.project.2", width, n_tokens * width)
    if config.n_time_features:
        shapes |= _linear("time_embedding.project", config.n_time_features, width)
    return shapes


def _linear(name: str, n_inputs: int, n_outputs: int) -> dict[str, Shape]:
    return {f"{name}.weight": (n_outputs, n_inputs), f"{name}.bias": (n_outputs,)}


def _norm(name: str, width: int) -> dict[str, Shape]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _scale(name: str, width: int) -> dict[str, Shape]:
    return {f"{name}.mean": (width,), f"{name}.std": (width,)}
