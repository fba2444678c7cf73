"""Self-supervised pre-training of an encoder: predict hidden samples of windows, labels are not used."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from patchtst_har.architecture import cut_patches, expected_tensors
from patchtst_har.config import ExperimentConfig
from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.datasets.unlabelled import UnlabelledData
from patchtst_har.errors import ConfigError, DataError
from patchtst_har.inference.model_card import MODEL_CARD_FILE
from patchtst_har.model_folder import (
    CLASSES_FILE,
    CONFIG_FILE,
    PROVENANCE_FILE,
    SMOOTHING_FILE,
    WEIGHTS_FILE,
)
from patchtst_har.models.batches import to_tensors
from patchtst_har.models.folder import save_model
from patchtst_har.models.masked import PRETRAINED, MaskedPatches, hide_stretches, masked_loss
from patchtst_har.models.patchtst import PatchTSTClassifier
from patchtst_har.records.run import ParticipantSplit, Pretraining, Provenance
from patchtst_har.reproducibility import environment, resolve_device, seed_everything, threads
from patchtst_har.support.files import atomic_write_json
from patchtst_har.support.folders import folder_lock
from patchtst_har.support.log import TrainingLogger, log_to_file
from patchtst_har.support.progress import OnProgress, under
from patchtst_har.training.averaging import WeightAverage
from patchtst_har.training.batches import TrainingBatches
from patchtst_har.training.checkpoint import (
    Progress,
    Trainee,
    check_resumable,
    load_checkpoint,
    save_checkpoint,
)
from patchtst_har.training.initial import in_parts
from patchtst_har.training.loop import adamw
from patchtst_har.training.scheduler import Schedule
from patchtst_har.training.tracker import ExperimentTracker

logger = logging.getLogger(__name__)

NO_CLASSES = ("untrained 1", "untrained 2")
"""Classes of a model whose heads were never trained."""

_CHECKPOINTS = "checkpoints"
_REPLACED = (
    CONFIG_FILE,
    WEIGHTS_FILE,
    CLASSES_FILE,
    SMOOTHING_FILE,
    PROVENANCE_FILE,
    MODEL_CARD_FILE,
    "metrics.jsonl",
    "training.log",
)
_MASK_STREAM = 2**33
_BATCH = 256


@dataclass
class MaskedPretraining:
    """Train an encoder on the windows of prepared data sets, and leave a model folder for ``train --init``.

    Of the configuration, `features` and `model` describe the network. The windows' rate and lengths, the
    split (see `UnlabelledData.load`), and of `training` optimiser, schedule, batches and variations hold too.

    Parameters
    ----------
    config : ExperimentConfig
        The experiment; its `data.proc_dir` is not read, `output_dir` not written.
    folders : sequence of pathlib.Path
        Prepared data sets.
    output : pathlib.Path
        The model folder; the loss curve (``metrics.jsonl``) and the log are written beside the model.
    mask_fraction : float
        Part of the samples that is hidden, above 0 and below 1.
    resume, overwrite, on_progress
        As those of `PatchTSTTrainer`.
    """

    config: ExperimentConfig
    folders: Sequence[Path]
    output: Path
    mask_fraction: float = 0.4
    resume: bool = False
    overwrite: bool = False
    on_progress: OnProgress | None = None

    def __post_init__(self) -> None:
        if not 0 < self.mask_fraction < 1:
            raise ConfigError([f"mask_fraction: must be above 0 and below 1, is {self.mask_fraction}"])
        problems = [
            f"training.{name}: has no meaning in pre-training without labels"
            for name in ("init", "teachers")
            if getattr(self.config.training, name)
        ]
        if self.config.model.n_patch_tokens < 2:
            problems.append("model: a window of one patch leaves nothing to predict it from")
        if problems:
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
            device = resolve_device(self.config.training.device)
            data = UnlabelledData.load(self.folders, self.config, under("windows", self.on_progress))
            n_done = 0
            if self.resume and self._checkpoint.exists():
                n_done = check_resumable(self._checkpoint, self._fingerprint(data))
            elif self.resume:
                logger.warning("%s: no checkpoint yet, pre-training begins at the start", self.output)
            tracker = self._open(n_done)
            with log_to_file(self.output):
                return self._run(data, device, tracker, resume=bool(n_done))

    @property
    def _checkpoint(self) -> Path:
        return self.output / _CHECKPOINTS / "last.safetensors"

    def _check_folder(self) -> None:
        if self.overwrite:
            return
        if (self.output / CONFIG_FILE).exists():
            raise DataError(f"{self.output}: already holds a model; --overwrite replaces it")
        if not self.resume and self._checkpoint.exists():
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
        self._checkpoint.parent.mkdir(exist_ok=True)
        return tracker

    def _run(
        self, data: UnlabelledData, device: torch.device, tracker: ExperimentTracker, *, resume: bool
    ) -> Pretraining:
        config = self.config
        seed_everything(config.seed)
        model = PatchTSTClassifier(config.model, len(NO_CLASSES))
        model.patch_embedding.scale.fit(*to_tensors([data.train.windows]))
        network = MaskedPatches(model).to(device)
        batches = TrainingBatches(data.training, config.model, config.training, device, config.seed)
        masks = torch.Generator().manual_seed(config.seed + _MASK_STREAM)
        optimizer = adamw(network, config.training)
        schedule = Schedule(optimizer, config.training, config.training.epochs * len(batches))
        decay = config.training.ema_decay
        average = WeightAverage(network, decay) if decay else None
        trainee = Trainee(network, optimizer, schedule, {**batches.generators, "masks": masks}, average)
        fingerprint = self._fingerprint(data)
        progress = load_checkpoint(self._checkpoint, trainee, fingerprint) if resume else Progress()
        lines, judged = TrainingLogger(logger), {}
        while progress.epoch < config.training.epochs:
            trained = self._train_epoch(trainee, batches, masks, progress.epoch + 1)
            with average.in_model() if average else nullcontext():
                judged = {} if data.val is None else self.judge(network, data.val)
            progress.epoch += 1
            for phase, metrics in (("train", trained), ("val", judged)):
                if metrics:
                    lines.log_metrics(metrics, progress.epoch, phase)
                    tracker.log_metrics(metrics, progress.epoch, phase)
            save_checkpoint(self._checkpoint, trainee, progress, fingerprint)
            if self.on_progress is not None:
                self.on_progress(progress.epoch, config.training.epochs, "pre-training")
        if average is not None:
            network.load_state_dict(average.state_dict())
        return self._save(network, data, tracker)

    def _train_epoch(
        self, trainee: Trainee[MaskedPatches], batches: TrainingBatches, masks: torch.Generator, epoch: int
    ) -> dict[str, float]:
        network, optimizer = trainee.model.train(), trainee.optimizer
        total, rate = 0.0, optimizer.param_groups[0]["lr"]
        for batch in batches.epoch():
            patches = batch.inputs[0]
            hidden = hide_stretches(len(patches), self.config.model, self.mask_fraction, masks)
            optimizer.zero_grad(set_to_none=True)
            loss = masked_loss(*network(patches, hidden.to(patches.device)))
            loss.backward()
            clip_grad_norm_(network.parameters(), self.config.training.max_grad_norm)
            optimizer.step()
            trainee.schedule.step()
            if trainee.average is not None:
                trainee.average.update(trainee.schedule.n_done)
            total += loss.item() * len(patches)
        mean = total / batches.n_windows
        if not np.isfinite(mean):
            raise DataError(f"pre-training diverged: the loss of epoch {epoch} is {mean}; lower training.lr")
        return {"loss": mean, "lr": rate}

    @torch.no_grad()
    def judge(self, network: nn.Module, windows: FeatureSet) -> dict[str, float]:
        """Return the loss on windows, and that of zeros in place of the prediction; always the same masks."""
        network.eval()
        model = self.config.model
        device = next(network.parameters()).device
        masks = torch.Generator().manual_seed(self.config.seed)
        sums = torch.zeros(3, dtype=torch.float64)
        for start in range(0, len(windows), _BATCH):
            (cut,) = to_tensors([windows.windows[start : start + _BATCH]])
            patches = cut_patches(cut, model.patch_len, model.patch_hop).to(device)
            hidden = hide_stretches(len(cut), model, self.mask_fraction, masks).to(device)
            prediction, target, weight = network(patches, hidden)
            n_hidden = float(weight.sum())
            losses = (masked_loss(guess, target, weight) for guess in (prediction, torch.zeros_like(target)))
            sums += n_hidden * torch.tensor([*map(float, losses), 1.0], dtype=torch.float64)
        loss, zero_loss, n = sums.tolist()
        return {"loss": loss / n, "zero_loss": zero_loss / n}

    def _save(self, network: MaskedPatches, data: UnlabelledData, tracker: ExperimentTracker) -> Pretraining:
        judged = self.judge(network, data.train if data.val is None else data.val)
        set_batch_statistics(network.model, data.train, self.config)
        made = Pretraining(
            data=data.sets,
            mask_fraction=self.mask_fraction,
            loss=judged["loss"],
            zero_loss=judged["zero_loss"],
        )
        names = expected_tensors(self.config.model, len(NO_CLASSES))
        untrained = {
            name.partition(".")[0] if not name.startswith("head.") else ".".join(name.split(".")[:2])
            for name in names
            if not in_parts(name, PRETRAINED)
        }
        parts = {"train": data.train, "val": data.val, "test": None}
        provenance = Provenance(
            split=ParticipantSplit(**asdict(data.split), fingerprint=data.split.fingerprint),
            n_windows={name: 0 if part is None else len(part) for name, part in parts.items()},
            untrained=tuple(sorted(untrained)),
            pretraining=made,
        )
        # The provenance first: without it, the heads would pass for trained ones.
        atomic_write_json(self.output / PROVENANCE_FILE, provenance.to_json())
        save_model(self.output, network.model.cpu(), NO_CLASSES, self.config)
        shutil.rmtree(self.output / _CHECKPOINTS)
        return made

    def _fingerprint(self, data: UnlabelledData) -> str:
        settings = self.config.model_dump(mode="json", exclude={"output_dir", "experiment_name", "features"})
        settings["mask_fraction"], settings["split"] = self.mask_fraction, data.split.to_dict()
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        for part in (data.train, data.val):
            if part is not None:
                digest.update(np.ascontiguousarray(part.windows).data)
        return digest.hexdigest()


@torch.no_grad()
def set_batch_statistics(model: PatchTSTClassifier, windows: FeatureSet, config: ExperimentConfig) -> None:
    """Take the running statistics of the stem's batch norms from windows of which nothing is hidden.

    Those of pre-training are of windows with zeros in them, which a trained model never meets.
    """
    norms = [part for part in model.patch_embedding.modules() if isinstance(part, nn.BatchNorm1d)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        # The plain mean over batches.
        norm.momentum = None
    model.patch_embedding.train()
    order = np.random.default_rng(config.seed).permutation(len(windows))
    for rows in np.array_split(order, -(-len(order) // _BATCH)):
        (cut,) = to_tensors([windows.windows[rows]])
        patches: Tensor = cut_patches(cut, config.model.patch_len, config.model.patch_hop)
        model.patch_embedding(patches.to(model.rope_cos.device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()
