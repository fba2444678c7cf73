"""What an exported file says of itself."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import patchtst_har
from patchtst_har.config import ExperimentConfig
from patchtst_har.data.times import TIME_FEATURE_NAMES
from patchtst_har.features import TOPOLOGICAL_FEATURE_NAMES, extended_statistics_names
from patchtst_har.inference.export.program import used_inputs
from patchtst_har.model_folder import WEIGHTS_FILE


def describe(folder: Path, config: ExperimentConfig, classes: tuple[str, ...]) -> dict[str, Any]:
    """Return what a user of the file must know to feed it, and to know where it came from.

    Parameters
    ----------
    folder : pathlib.Path
        The model folder.
    config : ExperimentConfig
        What the model was trained with.
    classes : tuple of str
        Class names in the order of the logits.

    Returns
    -------
    dict
        Values that JSON can hold. ``model_sha256`` is that of ``model.safetensors``.
    """
    with (folder / WEIGHTS_FILE).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    data, inputs = config.data, _inputs(config)
    return {
        "made_by": f"patchtst-har {patchtst_har.__version__}",
        "experiment": config.experiment_name,
        "model_sha256": digest,
        "classes": list(classes),
        "sample_rate_hz": data.sample_rate_hz,
        "window_size": data.window_size,
        "hop_size": data.hop_size,
        "patch_len": config.model.patch_len,
        "patch_stride": config.model.patch_hop,
        "inputs": {
            name: {"shape": ["batch", *shape], **inputs[name]}
            for name, shape in used_inputs(config.model).items()
        },
    }


def _inputs(config: ExperimentConfig) -> dict[str, dict[str, Any]]:
    """Return how each input is made from windows (n, window_size, 3) in g, and the names of its columns."""
    features = config.features
    return {
        "patches": {
            "made_by": "patchtst_har.inference.inputs.cut_patches: samples in g, axes x, y, z; not scaled"
        },
        "times": {
            "made_by": "patchtst_har.data.times.time_features",
            "names": list(TIME_FEATURE_NAMES),
            "timezone": config.data.timezone,
        },
        "stats": {
            "made_by": "patchtst_har.features.compute_extended_statistics_batch; not scaled",
            "names": list(extended_statistics_names(features.plugins, movement=features.movement)),
            "plugins": list(features.plugins),
            "movement": features.movement,
        },
        "topo": {
            "made_by": "patchtst_har.features.compute_topological_features_batch; not scaled",
            "names": list(TOPOLOGICAL_FEATURE_NAMES),
            "config": features.topology.model_dump(mode="json"),
        },
    }
