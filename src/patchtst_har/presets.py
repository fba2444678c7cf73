"""Whole experiments by name: which features, which architecture, how it is trained.

`seed` is the reference configuration, `ExperimentConfig()`. `base` was chosen by an ablation on 20 people of
one data set (docs/method.md, "How the preset base was chosen") and then measured on three
(studies/README.md): convolutions over the whole window and one rotary encoder layer, parallel to a branch for
the statistical and movement features. `small` is the same at a quarter of the operations, for small
processors.
"""

from __future__ import annotations

from typing import Any, Literal

Preset = Literal["seed", "small", "base"]

_TRAINING: dict[str, Any] = {
    "hop_s": 2.5,
    "epochs": 16,
    "epoch_fraction": 0.5,
    "min_epoch_windows": 1024,
    "batch_size": 64,
    "lr": 4e-3,
    "betas": (0.9, 0.98),
    "weight_decay": 0.05,
    "decay": "matrices",
    "schedule": "one_cycle",
    "warmup_fraction": 0.2,
    "keep": "last",
    "label_smoothing": 0.1,
    "class_weights": "root",
    "auxiliary_weight": 0.5,
    "heads": "all",
    "augmentation": {
        "time_warp": 0.02,
        "shift_s": 1.25,
        "rotation_deg": 12.0,
        "scale": 0.03,
        "axis_scale": 0.015,
        "offset_g": 0.03,
        "jitter_g": 0.02,
    },
}


def _model(channels: tuple[int, int, int], d_ff: int, width: int) -> dict[str, Any]:
    kernels = ((16, 8), (9, 2), (9, 2))
    return {
        "stem_over": "window",
        "stem": [
            {"channels": n, "kernel": kernel, "stride": stride, "padding": kernel // 2}
            for n, (kernel, stride) in zip(channels, kernels, strict=True)
        ],
        "d_model": channels[-1],
        "n_heads": 4,
        "n_layers": 1,
        "d_ff": d_ff,
        "pooling": "mean_max",
        "dropout": 0.2,
        "embedding_dropout": 0.0,
        "features_as": "branch",
        "branch": {"width": width},
        "auxiliary_heads": True,
        "n_time_features": 0,
    }


_FEATURES = {"groups": ["statistical", "movement"]}

PRESETS: dict[Preset, dict[str, dict[str, Any]]] = {
    "seed": {},
    "small": {"features": _FEATURES, "model": _model((12, 24, 32), 64, 48), "training": _TRAINING},
    "base": {"features": _FEATURES, "model": _model((24, 48, 64), 128, 96), "training": _TRAINING},
}
"""Sections of `ExperimentConfig` by the name of the preset."""
