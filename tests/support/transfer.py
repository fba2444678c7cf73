"""A network of all parts, small enough to be trained in a test, on short simulated windows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from patchtst_har.config import ExperimentConfig
from prepared_data import make_prepared

WINDOW = 200
MODEL = {
    "stem_over": "window",
    "stem": [
        {"channels": 8, "kernel": 8, "stride": 4, "padding": 4},
        {"channels": 16, "kernel": 5, "stride": 2, "padding": 2},
    ],
    "window_size": WINDOW,
    "d_model": 16,
    "n_heads": 2,
    "n_layers": 1,
    "d_ff": 16,
    "pooling": "mean_max",
    "dropout": 0.2,
    "features_as": "branch",
    "branch": {"width": 12},
    "auxiliary_heads": True,
    "n_time_features": 0,
}


def prepare(folder: Path, *, n_participants: int = 4, seed: int = 0) -> Path:
    """Write a prepared data set of short windows, 18 a person."""
    make_prepared(
        folder,
        n_participants=n_participants,
        bouts_per_class=1,
        windows_per_bout=6,
        window_size=WINDOW,
        seed=seed,
    )
    return folder


def experiment(root: Path, name: str = "run", **sections: Any) -> ExperimentConfig:
    """Return an experiment on ``root / "prepared"`` of two epochs, in which nothing is chosen."""
    data = {"window_size": WINDOW, "hop_size": WINDOW, "proc_dir": root / "prepared"}
    given = {
        "data": {"train_n": 2, "val_n": 1},
        "features": {"groups": ["statistical"]},
        "model": MODEL,
        "training": {"epochs": 2, "batch_size": 16},
        **sections,
    }
    return ExperimentConfig.from_mapping(
        {
            "experiment_name": name,
            "output_dir": root / "runs",
            "smoothing": {"method": "none"},
            **given,
            "data": {**data, **given["data"]},
            "training": {"keep": "last", **given["training"]},
        }
    )


def interrupt_after(epoch: int, what: str) -> Callable[[int, int, str], None]:
    """Return a callback of progress that interrupts after an epoch."""

    def report(done: int, total: int, stage: str) -> None:
        if stage == what and done == epoch:
            raise KeyboardInterrupt

    return report
