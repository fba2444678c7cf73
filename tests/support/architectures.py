"""Architectures that differ from the reference configuration in some options, and inputs for them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from patchtst_har.config import ModelConfig

_STEM = [{"channels": 13, "kernel": 8, "stride": 4}, {"channels": 24, "kernel": 4, "stride": 2}]

_WINDOW_STEM = [
    {"channels": 24, "kernel": 16, "stride": 8, "padding": 8},
    {"channels": 13, "kernel": 9, "stride": 2, "padding": 4},
    {"channels": 56, "kernel": 9, "stride": 2, "padding": 4},
]

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "default": {},
    "post-norm": {"norm": "post"},
    "relu": {"activation": "relu"},
    "cls": {"pooling": "cls"},
    "attention pooling": {"pooling": "attention"},
    "cls post-norm": {"pooling": "cls", "norm": "post"},
    "attention pooling post-norm relu": {"pooling": "attention", "norm": "post", "activation": "relu"},
    "overlap": {"patch_len": 200, "patch_stride": 50},
    "one patch": {"window_size": 7, "patch_len": 7},
    "many short patches": {"window_size": 500, "patch_len": 4},
    "one convolution": {"stem": _STEM[:1]},
    "two convolutions": {"stem": _STEM},
    "two convolutions, overlap, relu": {"stem": _STEM, "patch_stride": 50, "activation": "relu"},
    "several feature tokens": {"n_stat_tokens": 3, "n_topo_tokens": 2},
    "window stem": {"stem": _WINDOW_STEM, "stem_over": "window"},
    "window stem, cls, relu": {
        "stem": [
            {"channels": 5, "kernel": 7, "stride": 3},
            {"channels": 56, "kernel": 4, "stride": 4, "padding": 1},
        ],
        "stem_over": "window",
        "window_size": 301,
        "pooling": "cls",
        "activation": "relu",
    },
    "mean and maximum": {"pooling": "mean_max"},
    "mean and maximum, narrow, post-norm": {
        "pooling": "mean_max",
        "d_model": 6,
        "n_heads": 3,
        "norm": "post",
    },
    "branch": {"features_as": "branch", "branch": {"width": 19}},
    "branch of one vector, cls": {
        "features_as": "branch",
        "n_stat_features": 0,
        "pooling": "cls",
        "activation": "relu",
        "auxiliary_heads": True,
    },
    "window stem, branch, mean and maximum": {
        "stem": _WINDOW_STEM,
        "stem_over": "window",
        "features_as": "branch",
        "pooling": "mean_max",
        "auxiliary_heads": True,
        "embedding_dropout": 0.0,
        "n_stat_features": 227,
        "n_layers": 1,
    },
    "everything": {
        "stem": _STEM,
        "patch_stride": 25,
        "norm": "post",
        "pooling": "cls",
        "n_stat_tokens": 2,
        "n_layers": 1,
        "n_stat_features": 59,
    },
    "no features": {"n_stat_features": 0, "n_topo_features": 0, "n_time_features": 0},
    "topological features only": {"n_stat_features": 0, "n_time_features": 0},
    "slow rotation, three time features": {"rope_base": 40.0, "n_time_features": 3},
    "narrow": {"d_model": 6, "n_heads": 3, "n_layers": 1, "d_ff": 5},
    "wide": {"d_model": 132, "n_heads": 6, "d_ff": 77},
    "wide heads": {"d_model": 164, "n_heads": 2, "d_ff": 33, "channels": 2},
    "deep": {"n_layers": 5, "d_model": 32, "d_ff": 31},
}


def random_inputs(config: ModelConfig, n: int, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Return patches, times, stats and topo of `n` windows."""
    generator = torch.Generator().manual_seed(seed)
    shapes = (
        (n, config.channels, config.n_patches, config.patch_len),
        (n, config.n_time_features),
        (n, config.n_stat_features),
        (n, config.n_topo_features),
    )
    return tuple(torch.randn(shape, generator=generator) for shape in shapes)


@torch.no_grad()
def randomise(model: nn.Module, seed: int = 0) -> nn.Module:
    """Move every bias, gain, mean and spread away from the 0 or 1 where it starts; return the model."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.ndim == 1 or not parameter.any():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    for name, buffer in model.named_buffers():
        if name.endswith("mean"):
            buffer.copy_(0.3 * torch.randn(buffer.shape, generator=generator))
        elif name.endswith(("std", "var")):
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
        elif name.endswith(("lower", "inverse_width")):
            buffer.copy_(buffer * (0.5 + torch.rand(buffer.shape, generator=generator)))
    return model
