"""The training loop: epochs, validation, early stopping, checkpoints."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW

from patchtst_har.config import TrainingConfig
from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.errors import DataError
from patchtst_har.evaluation.confusion import StreamingConfusion
from patchtst_har.models.batches import labelled_batches
from patchtst_har.models.patchtst import PatchTSTClassifier
from patchtst_har.support.progress import OnProgress
from patchtst_har.training.checkpoint import Progress, Trainee, load_checkpoint, save_checkpoint
from patchtst_har.training.loss import cross_entropy
from patchtst_har.training.scheduler import warmup_cosine

logger = logging.getLogger(__name__)

OnEpoch = Callable[[int, dict[str, float], dict[str, float]], None]
"""Called after every epoch with its number (1-based), the training and the validation metrics."""


@dataclass
class TrainingLoop:
    """Fit a model to a training set, judged on a validation set.

    Parameters
    ----------
    config : TrainingConfig
        Optimisation settings.
    device : torch.device
        Where the model trains.
    seed : int
        Seed of the order of the windows.
    checkpoint : pathlib.Path, optional
        File that is rewritten after every epoch.
    fingerprint : str
        Identity of the run, checked on resuming.
    """

    config: TrainingConfig
    device: torch.device
    seed: int = 0
    checkpoint: Path | None = None
    fingerprint: str = ""

    def fit(
        self,
        model: PatchTSTClassifier,
        train: FeatureSet,
        val: FeatureSet,
        record: OnEpoch,
        *,
        on_progress: OnProgress | None = None,
        resume: bool = False,
    ) -> Progress:
        """Train in place and leave `model` with the weights of the best epoch (macro F1, then loss).

        Every epoch is recorded, then saved, then reported: a kill in between loses no record; that of an
        epoch which was not saved is dropped by `ExperimentTracker.forget_after`.

        Raises
        ------
        DataError
            If the loss stops being finite (the epoch is named), or the checkpoint cannot be resumed.
        """
        model.to(self.device)
        trainee = self._trainee(model, len(train))
        progress = Progress()
        if resume and self.checkpoint is not None:
            progress = load_checkpoint(self.checkpoint, trainee, self.fingerprint)
            logger.info("resuming after epoch %d", progress.epoch)
        weighting, smoothing = self.config.class_weights, self.config.label_smoothing
        labels = torch.from_numpy(train.labels)
        criterion = cross_entropy(labels, model.num_classes, weighting, smoothing).to(self.device)
        while not self._finished(progress):
            trained = self._train_epoch(trainee, criterion, train, progress.epoch + 1)
            validated = self._validate(model, criterion, val)
            self._advance(progress, model, validated["macro_f1"], validated["loss"])
            record(progress.epoch, trained, validated)
            if self.checkpoint is not None:
                save_checkpoint(self.checkpoint, trainee, progress, self.fingerprint)
            if on_progress is not None:
                on_progress(progress.epoch, self.config.epochs, "training")
        model.load_state_dict(progress.best_state)
        return progress

    def _trainee(self, model: PatchTSTClassifier, n_windows: int) -> Trainee:
        # Fused: one call for all parameters, which are many and small.
        rate, decay = self.config.lr, self.config.weight_decay
        optimizer = AdamW(model.parameters(), lr=rate, weight_decay=decay, fused=True)
        n_steps = self.config.epochs * -(-n_windows // self.config.batch_size)
        scheduler = warmup_cosine(optimizer, n_steps, self.config.warmup_fraction)
        return Trainee(model, optimizer, scheduler, torch.Generator().manual_seed(self.seed))

    def _finished(self, progress: Progress) -> bool:
        if progress.epoch >= self.config.epochs:
            return True
        if progress.epoch - progress.best_epoch >= self.config.early_stop_patience:
            logger.info("stopping early: no better validation score since epoch %d", progress.best_epoch)
            return True
        return False

    def _advance(self, progress: Progress, model: nn.Module, score: float, loss: float) -> None:
        progress.epoch += 1
        # A small validation set ties often; then the surer model is the better one.
        if (score, -loss) > (progress.best_score, -progress.best_loss):
            progress.best_epoch, progress.best_score, progress.best_loss = progress.epoch, score, loss
            progress.best_state = {name: value.detach().clone() for name, value in model.state_dict().items()}

    def _train_epoch(
        self, trainee: Trainee, criterion: nn.Module, data: FeatureSet, epoch: int
    ) -> dict[str, float]:
        model, optimizer = trainee.model.train(), trainee.optimizer
        total = torch.zeros((), device=self.device)
        confusion = StreamingConfusion(trainee.model.num_classes)
        rate = optimizer.param_groups[0]["lr"]
        batches = labelled_batches(data, trainee.model.config, self.config.batch_size, trainee.shuffle)
        for inputs, labels in batches:
            optimizer.zero_grad(set_to_none=True)
            logits, loss = self._forward(model, criterion, inputs, labels)
            loss.backward()
            clip_grad_norm_(model.parameters(), self.config.max_grad_norm)
            optimizer.step()
            trainee.scheduler.step()
            total += loss.detach() * len(labels)
            confusion.update(labels.numpy(), logits.detach().argmax(dim=1).cpu().numpy())
        mean_loss = total.item() / len(data)
        if not torch.isfinite(total):
            raise DataError(f"training diverged: the loss of epoch {epoch} is {mean_loss}; lower training.lr")
        return {**_scores(mean_loss, confusion), "lr": rate}

    @torch.no_grad()
    def _validate(
        self, model: PatchTSTClassifier, criterion: nn.Module, data: FeatureSet
    ) -> dict[str, float]:
        model.eval()
        total = torch.zeros((), device=self.device)
        confusion = StreamingConfusion(model.num_classes)
        for inputs, labels in labelled_batches(data, model.config, max(self.config.batch_size, 256)):
            logits, loss = self._forward(model, criterion, inputs, labels)
            total += loss * len(labels)
            confusion.update(labels.numpy(), logits.argmax(dim=1).cpu().numpy())
        return _scores(total.item() / len(data), confusion)

    def _forward(
        self, model: nn.Module, criterion: nn.Module, inputs: tuple[Tensor, ...], labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        moved = [tensor.to(self.device, non_blocking=True) for tensor in inputs]
        mixed = self.config.amp and self.device.type == "cuda"
        # bfloat16 has float32's range: no loss scaling is needed.
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=mixed):
            logits = model(*moved)
        return logits.float(), criterion(logits.float(), labels.to(self.device))


def _scores(loss: float, confusion: StreamingConfusion) -> dict[str, float]:
    return {"loss": loss, "accuracy": confusion.accuracy(), "macro_f1": confusion.macro_f1()}
