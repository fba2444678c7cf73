"""Training of one network by the package's own trainer."""

from __future__ import annotations

import hashlib
from pathlib import Path

from patchtst_har.config import ExperimentConfig
from patchtst_har.errors import DataError
from patchtst_har.evaluation.held_out import HeldOut
from patchtst_har.inference.model_card import MODEL_CARD_FILE
from patchtst_har.model_folder import WEIGHTS_FILE, read_model_folder
from patchtst_har.support.progress import OnProgress
from patchtst_har.training.masked_pretraining import MaskedPretraining
from patchtst_har.training.trainer import CHECKPOINT, PatchTSTTrainer


def train(
    config: ExperimentConfig,
    *,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> HeldOut:
    """Train, or go on with a training that was interrupted, and leave the run in ``config.run_dir``.

    Parameters
    ----------
    config : ExperimentConfig
        With test participants.
    overwrite : bool
        Train again.
    on_progress : callable, optional
        See `PatchTSTTrainer`.

    Returns
    -------
    HeldOut
        The decisions on the test participants.

    Raises
    ------
    DataError
        As `PatchTSTTrainer.train`, or if the configuration names no test participants.
    """
    trainer = _trained(config, overwrite, on_progress)
    if trainer.held_out is None:
        raise ValueError("the configuration names no test participants")
    return trainer.held_out


def train_only(
    config: ExperimentConfig, *, overwrite: bool = False, on_progress: OnProgress | None = None
) -> Path:
    """Train on people whom nobody tests, unless that was done before, and return the model folder.

    Raises
    ------
    DataError
        As `PatchTSTTrainer.train`, or if the run in the folder is of another configuration.
    """
    folder = config.run_dir / "model"
    if (folder / MODEL_CARD_FILE).exists() and not overwrite:
        if ExperimentConfig.load(config.run_dir / "config.yaml") != config:
            raise DataError(f"{config.run_dir}: holds a run of another configuration; use --overwrite")
        return folder
    _trained(config, overwrite, on_progress)
    return folder


def train_masked(
    config: ExperimentConfig, *, overwrite: bool = False, on_progress: OnProgress | None = None
) -> Path:
    """Pre-train an encoder without labels, unless that was done before, and return its model folder.

    Raises
    ------
    DataError
        As `MaskedPretraining.train`, or if the model in the folder is of another configuration.
    """
    folder = config.run_dir / "model"
    if (folder / MODEL_CARD_FILE).exists() and not overwrite:
        if read_model_folder(folder).config != config.without_paths():
            raise DataError(f"{folder}: holds an encoder of another configuration; use --overwrite")
        return folder
    MaskedPretraining(
        config=config,
        folders=[config.data.proc_dir],
        output=folder,
        resume=not overwrite,
        overwrite=overwrite,
        on_progress=on_progress,
    ).train()
    return folder


def _trained(config: ExperimentConfig, overwrite: bool, on_progress: OnProgress | None) -> PatchTSTTrainer:
    resume = (config.run_dir / CHECKPOINT).exists() and not overwrite
    trainer = PatchTSTTrainer(
        config, resume=resume, overwrite=overwrite or not resume, on_progress=on_progress
    )
    trainer.train()
    return trainer


def weights_digest(folder: Path) -> str:
    """Return a digest of the weights in a model folder."""
    return hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
