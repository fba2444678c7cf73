"""A small experiment on the synthetic data, for tests that train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from patchtst_har.config import DataConfig, ExperimentConfig, TrainingConfig


def small_config(root: Path, **changes: Any) -> ExperimentConfig:
    """Return an experiment on `root/prepared` that trains in seconds."""
    values = {
        "experiment_name": "small",
        "output_dir": root / "runs",
        "data": DataConfig(proc_dir=root / "prepared", train_n=3, val_n=1),
        "training": TrainingConfig(epochs=6, lr=3e-3, n_threads=1),
        **changes,
    }
    return ExperimentConfig(**values)
