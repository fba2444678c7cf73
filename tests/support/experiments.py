"""A small experiment on the synthetic data, for tests that train."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from patchtst_har.config import DataConfig, ExperimentConfig, TrainingConfig

if TYPE_CHECKING:
    from patchtst_har.models import PatchTSTClassifier
    from patchtst_har.training import PatchTSTTrainer


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


@dataclass(frozen=True)
class SmallRun:
    """A finished training run and what it returned."""

    config: ExperimentConfig
    trainer: PatchTSTTrainer
    model: PatchTSTClassifier
    metrics: dict[str, float]

    @property
    def folder(self) -> Path:
        return self.config.run_dir

    @classmethod
    def train(cls, config: ExperimentConfig) -> SmallRun:
        from patchtst_har.training import PatchTSTTrainer

        trainer = PatchTSTTrainer(config, on_progress=_ignore)
        model, metrics = trainer.train()
        return cls(config, trainer, model, metrics)

    def save(self, path: Path) -> None:
        """Keep the objects for another worker of the same session."""
        path.write_bytes(pickle.dumps(self))

    @staticmethod
    def load(path: Path) -> SmallRun:
        run: SmallRun = pickle.loads(path.read_bytes())  # noqa: S301 (written by this session)
        return run


def _ignore(done: int, total: int, what: str) -> None:
    """Show no progress; unlike a lambda, it can be pickled."""
