"""One small trained run, shared by every test that only reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from experiments import small_config
from patchtst_har.config import ExperimentConfig
from synthetic import make_prepared


@dataclass(frozen=True)
class SmallRun:
    config: ExperimentConfig
    trainer: object
    model: object
    metrics: dict[str, float]

    @property
    def folder(self) -> Path:
        return self.config.run_dir


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Path:
    """Root folder with `prepared/`: six people, three classes, 36 windows each. Do not write into it."""
    root = tmp_path_factory.mktemp("experiment")
    make_prepared(root / "prepared", n_participants=6)
    return root


@pytest.fixture(scope="session")
def small_run(prepared) -> SmallRun:
    """A finished training run. Do not change its files."""
    from patchtst_har.training import PatchTSTTrainer

    config = small_config(prepared)
    trainer = PatchTSTTrainer(config)
    model, metrics = trainer.train()
    return SmallRun(config, trainer, model, metrics)
