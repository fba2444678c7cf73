"""Pre-training of an encoder on several data sets: what both kinds share, and the kind with labels."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from patchtst_har import model_folder
from patchtst_har.architecture import expected_tensors
from patchtst_har.config import ExperimentConfig
from patchtst_har.datasets.several_sets import SeveralSets
from patchtst_har.datasets.window_store import blocks_of_windows
from patchtst_har.errors import ConfigError, DataError
from patchtst_har.inference.class_order import HEADS
from patchtst_har.inference.model_card import MODEL_CARD_FILE, write_encoder_card
from patchtst_har.models.batches import to_tensors
from patchtst_har.models.folder import save_model
from patchtst_har.models.patchtst import PatchTSTClassifier
from patchtst_har.records.run import ParticipantSplit, Pretraining, Provenance
from patchtst_har.reproducibility import environment, seed_everything, threads
from patchtst_har.support.files import atomic_write_json
from patchtst_har.support.folders import folder_lock
from patchtst_har.support.log import log_to_file
from patchtst_har.support.progress import OnProgress, under
from patchtst_har.training.callbacks import Callback, Checkpointing, Record, Report
from patchtst_har.training.checkpoint import check_resumable
from patchtst_har.training.experiment import digest_of
from patchtst_har.training.identity import Identity, settings_of
from patchtst_har.training.initial import in_parts
from patchtst_har.training.loop import TrainingLoop
from patchtst_har.training.machine import Machine
from patchtst_har.training.tracker import EpochRecord, ExperimentTracker

logger = logging.getLogger(__name__)

NO_CLASSES = ("untrained 1", "untrained 2")
"""Classes of a model without trained heads."""

_CHECKPOINTS = "checkpoints"
_REPLACED = (
    model_folder.CONFIG_FILE,
    model_folder.WEIGHTS_FILE,
    model_folder.CLASSES_FILE,
    model_folder.SMOOTHING_FILE,
    model_folder.FAMILIARITY_FILE,
    model_folder.PROVENANCE_FILE,
    MODEL_CARD_FILE,
    "metrics.jsonl",
    "training.log",
)


@dataclass(kw_only=True)
class EncoderPretraining(ABC):
    """Train an encoder on windows of prepared data sets, and leave a model folder for ``train --init``.

    Of the configuration, `features` and `model` describe the network. The windows' rate and lengths, the
    split (see `SeveralSets.load`), and of `training` optimiser, schedule, batches and variations hold too.

    Parameters
    ----------
    config : ExperimentConfig
        The experiment; its `data.proc_dir` is not read, `output_dir` not written.
    folders : sequence of pathlib.Path
        Prepared data sets.
    output : pathlib.Path
        The model folder; ``metrics.jsonl`` (the losses) and the log are written next to the model.
    resume, overwrite, on_progress
        As those of `PatchTSTTrainer`.
    """

    config: ExperimentConfig
    folders: Sequence[Path]
    output: Path
    resume: bool = False
    overwrite: bool = False
    on_progress: OnProgress | None = None

    labelled: ClassVar[bool]
    """Whether labels are read and features computed."""

    def __post_init__(self) -> None:
        if problems := self._problems():
            raise ConfigError(problems)

    def train(self) -> Pretraining:
        """Train and write the model folder.

        Returns
        -------
        Pretraining
            What ``provenance.json`` says of it, the losses at the end among it.

        Raises
        ------
        ConfigError, DataError
            If configuration or data cannot be used, there is a model in the folder, or another process writes
            there; nothing is written then.
        """
        with folder_lock(self.output), threads(self.config.training.n_threads):
            self._check_folder()
            machine = Machine.of(self.config.training)
            report = under("windows", self.on_progress)
            data = SeveralSets.load(self.folders, self.config, labelled=self.labelled, on_progress=report)
            identity, n_done = self._identity(data), 0
            if self.resume and self.checkpoint.exists():
                n_done = check_resumable(self.checkpoint, identity)
            elif self.resume:
                logger.warning("%s: no checkpoint yet, pre-training begins at the start", self.output)
            record = EpochRecord(self._open(n_done), logger)
            with log_to_file(self.output):
                seed_everything(self.config.seed)
                model, made = self._fit(data, machine, record, identity, resume=bool(n_done))
                self._save(model.cpu(), made, data)
                return made

    @property
    def checkpoint(self) -> Path:
        """The file from which an interrupted pre-training goes on."""
        return self.output / _CHECKPOINTS / "last.safetensors"

    @abstractmethod
    def _fit(
        self, data: SeveralSets, machine: Machine, record: EpochRecord, identity: Identity, *, resume: bool
    ) -> tuple[PatchTSTClassifier, Pretraining]:
        """Train; return a model with heads for `NO_CLASSES`, and the record."""

    @abstractmethod
    def _is_trained(self, tensor: str) -> bool:
        """Whether a tensor of the model is trained."""

    def _problems(self) -> list[str]:
        training = self.config.training
        given = {
            "training.init": training.init,
            "training.teachers": training.teachers,
            "tracking.mlflow": self.config.tracking.mlflow,
        }
        return [f"{name}: has no meaning in pre-training" for name, value in given.items() if value]

    def _settings(self) -> dict[str, Any]:
        """Return what must be equal to resume, in addition to the data."""
        return {**settings_of(self.config), "labelled": self.labelled}

    def _identity(self, data: SeveralSets) -> Identity:
        people = json.dumps(data.split.to_dict(), sort_keys=True).encode()
        digests = {"people": hashlib.sha256(people).hexdigest()}
        for name, part in (("training", data.train), ("validation", data.val)):
            if part is not None:
                features: list[NDArray[Any]] = [part.stats, part.topo, part.labels]
                arrays = chain[NDArray[Any]](blocks_of_windows(part.windows), features)
                digests[f"data ({name})"] = digest_of(arrays)
        return Identity(self._settings(), digests)

    def _check_folder(self) -> None:
        if self.overwrite:
            return
        if (self.output / model_folder.CONFIG_FILE).exists():
            raise DataError(f"{self.output}: already holds a model; --overwrite replaces it")
        if not self.resume and self.checkpoint.exists():
            raise DataError(
                f"{self.output}: holds an interrupted pre-training; go on with it (--resume) or replace it "
                "(--overwrite)"
            )

    def _open(self, n_done: int) -> ExperimentTracker:
        if self.overwrite:
            shutil.rmtree(self.output / _CHECKPOINTS, ignore_errors=True)
            for name in _REPLACED:
                (self.output / name).unlink(missing_ok=True)
        tracker = ExperimentTracker(self.output.name, self.output)
        tracker.forget_after(n_done)
        atomic_write_json(self.output / "environment.json", environment())
        self.checkpoint.parent.mkdir(exist_ok=True)
        return tracker

    def _save(self, model: PatchTSTClassifier, made: Pretraining, data: SeveralSets) -> None:
        untrained = {
            ".".join(name.split(".")[: 1 + name.startswith("head.")])
            for name in expected_tensors(self.config.model, len(NO_CLASSES))
            if not self._is_trained(name)
        }
        parts = {"train": data.train, "val": data.val, "test": None}
        provenance = Provenance(
            split=ParticipantSplit(**asdict(data.split), fingerprint=data.split.fingerprint),
            n_windows={name: 0 if part is None else len(part) for name, part in parts.items()},
            untrained=tuple(sorted(untrained)),
            pretraining=made,
        )
        # The provenance first: without it, the heads would pass for trained ones.
        atomic_write_json(self.output / model_folder.PROVENANCE_FILE, provenance.to_json())
        save_model(self.output, model, NO_CLASSES, self.config)
        write_encoder_card(self.output, self.config, provenance, made)
        shutil.rmtree(self.output / _CHECKPOINTS)


@dataclass(kw_only=True)
class SupervisedPretraining(EncoderPretraining):
    """Train on the labels of several data sets, with heads for each; every batch mixes the data sets.

    A window counts in the loss of its own data set's heads. The heads are not kept.
    """

    labelled: ClassVar[bool] = True

    def _problems(self) -> list[str]:
        problems = super()._problems()
        if self.config.training.keep != "last":
            problems.append('training.keep: pre-training needs "last"')
        return problems

    def _is_trained(self, tensor: str) -> bool:
        return not in_parts(tensor, HEADS)

    def _fit(
        self, data: SeveralSets, machine: Machine, record: EpochRecord, identity: Identity, *, resume: bool
    ) -> tuple[PatchTSTClassifier, Pretraining]:
        config, training = self.config, data.training
        model = PatchTSTClassifier(config.model, len(training.classes))
        model.fit_scaling(data.train.windows, *to_tensors((training.stats, training.topo)))
        callbacks: list[Callback] = [
            Record(record),
            Checkpointing(self.checkpoint, identity, resume=resume),
        ]
        if report := under("pre-training", self.on_progress):
            callbacks.append(Report(report))
        loop = TrainingLoop(config.training, machine, config.seed, heads=data.heads)
        loop.fit(model, training, data.val, callbacks)
        encoder = PatchTSTClassifier(config.model, len(NO_CLASSES))
        kept = {name: values for name, values in model.state_dict().items() if self._is_trained(name)}
        encoder.load_state_dict({**encoder.state_dict(), **kept})
        judged = record.last["val"] or record.last["train"]
        made = Pretraining(
            kind="supervised", data=data.sets, loss=judged["loss"], macro_f1=judged["macro_f1"]
        )
        return encoder, made
