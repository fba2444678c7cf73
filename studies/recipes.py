"""The configuration of a study's training: a preset, who trains and tests, and what is overridden."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from patchtst_har.config import ExperimentConfig
from studies.sets import data_config

RECIPES = ("base", "small", "seed")
"""Presets of `ExperimentConfig`."""


def study_config(
    recipe: str,
    prepared: Path,
    *,
    train: Sequence[str],
    run_dir: Path,
    test: Sequence[str] = (),
    seed: int = 0,
    overrides: Sequence[str] = (),
    init: Path | None = None,
) -> ExperimentConfig:
    """Return a configuration with a fixed schedule, in which nobody validates and nothing is chosen.

    Parameters
    ----------
    recipe : str
        One of `RECIPES`.
    prepared : pathlib.Path
        Folder of the prepared set.
    train, test : sequence of str
        Participants.
    run_dir : pathlib.Path
        Folder of the run.
    seed : int
        Of the training.
    overrides : sequence of str
        ``section.field=value``.
    init : pathlib.Path, optional
        Model folder with whose weights training begins.

    Raises
    ------
    ConfigError
        If an override names an unknown field, or contradicts another setting.
    """
    data = {
        **data_config(prepared).model_dump(mode="json", exclude_unset=True),
        "split": "lists",
        "train_participants": list(train),
        "test_participants": list(test),
    }
    values: dict[str, Any] = {
        "preset": recipe,
        "experiment_name": run_dir.name,
        "output_dir": str(run_dir.parent),
        "seed": seed,
        "data": data,
        # The recordings have no clock.
        "model": {"n_time_features": 0},
        "training": {"keep": "last"} | ({} if init is None else {"init": str(init)}),
        "smoothing": {"method": "none"},
    }
    return ExperimentConfig.from_mapping(values, overrides, source=f"recipe {recipe}")
