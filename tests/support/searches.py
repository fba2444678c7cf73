"""A search over a small data set, whose trials train in a tenth of a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from patchtst_har.config import ExperimentConfig
from prepared_data import make_prepared

SPACE: dict[str, Any] = {
    "training.lr": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
    "model.d_model": {"type": "int", "low": 8, "high": 16, "step": 4},
    "training.betas": {"type": "categorical", "choices": [[0.9, 0.98], [0.9, 0.999]]},
}


def search_values(root: Path) -> dict[str, Any]:
    """Make the data set if needed; return a configuration as it stands in a file, without the space."""
    if not (root / "prepared").exists():
        make_prepared(
            root / "prepared", n_participants=5, bouts_per_class=1, windows_per_bout=3, window_size=200
        )
    windows = {"window_size": 200, "hop_size": 200, "train_n": 2, "val_n": 1}
    network = {"window_size": 200, "patch_len": 20, "d_model": 8, "n_heads": 2, "n_layers": 1, "d_ff": 8}
    return {
        "experiment_name": "small",
        "output_dir": str(root / "runs"),
        "data": {"proc_dir": str(root / "prepared"), **windows},
        "model": {**network, "n_time_features": 0},
        "training": {"epochs": 2, "n_threads": 1},
    }


def search_config(root: Path, **training: Any) -> ExperimentConfig:
    """Return the configuration that is varied."""
    values = search_values(root)
    values["training"] |= training
    return ExperimentConfig.from_mapping(values)
