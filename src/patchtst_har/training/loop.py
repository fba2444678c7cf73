"""The training loop: epochs, validation, early stopping, checkpoints."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from patchtst_har.config import TrainingConfig
from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.datasets.training_set import TrainingSet
from patchtst_har.errors import DataError
from patchtst_har.evaluation.confusion import StreamingConfusion
from patchtst_har.models.batches import labelled_batches
from patchtst_har.models.patchtst import PatchTSTClassifier
from patchtst_har.support.progress import OnProgress
from patchtst_har.training.averaging import WeightAverage
from patchtst_har.training.batches import TrainingBatches
from patchtst_har.training.checkpoint import Network, Progress, Trainee, load_checkpoint, save_checkpoint
from patchtst_har.training.initial import keeping, train_others
from patchtst_har.training.loss import Criterion, SetsCriterion
from patchtst_har.training.scheduler import Schedule

logger = logging.getLogger(__name__)

OnEpoch = Callable[[int, dict[str, float], dict[str, float]], None]
"""Called after every epoch with its number (1-based), the training and the validation metrics.

Those of validation are empty if nobody validates."""


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
        Seed of the order of the windows and of their variations.
    checkpoint : pathlib.Path, optional
        File that is rewritten after every epoch.
    fingerprint : str
        Identity of the run, checked on resuming.
    kept : sequence of str
        Parts of the model that are not trained (`training.initial.KEPT`).
    heads : sequence of range, optional
        The classes of each data set, if several with classes of their own are trained on together.
    """

    config: TrainingConfig
    device: torch.device
    seed: int = 0
    checkpoint: Path | None = None
    fingerprint: str = ""
    kept: Sequence[str] = ()
    heads: Sequence[range] = ()

    def fit(
        self,
        model: PatchTSTClassifier,
        train: TrainingSet,
        val: FeatureSet | None,
        record: OnEpoch,
        *,
        on_progress: OnProgress | None = None,
        resume: bool = False,
    ) -> Progress:
        """Train in place; leave `model` with the weights of the best epoch (macro F1, then loss) or the last.

        Every epoch is recorded, then saved, then reported: a kill in between loses no record; that of an
        epoch which was not saved is dropped by `ExperimentTracker.forget_after`.

        Raises
        ------
        DataError
            If the loss stops being finite (the epoch is named), or the checkpoint cannot be resumed.
        ValueError
            If nobody validates and the best epoch is to be kept.
        """
        if val is None and self.config.keep == "best":
            raise ValueError('without validation windows, training.keep must be "last"')
        model.to(self.device)
        batches = TrainingBatches(train, model.config, self.config, self.device, self.seed)
        with keeping(model, self.kept):
            trainee = new_trainee(model, self.config, len(batches), batches.generators)
        progress = Progress()
        if resume and self.checkpoint is not None:
            progress = load_checkpoint(self.checkpoint, trainee, self.fingerprint)
            logger.info("resuming after epoch %d", progress.epoch)
        criterion = self._criterion(torch.from_numpy(train.labels), model.num_classes).to(self.device)
        while not self._finished(progress):
            with keeping(model, self.kept):
                trained = self._train_epoch(trainee, criterion, batches, progress.epoch + 1)
            with trainee.average.in_model() if trainee.average else nullcontext():
                validated = {} if val is None else self._validate(model, criterion, val)
                self._advance(progress, model, validated)
            record(progress.epoch, trained, validated)
            if self.checkpoint is not None:
                save_checkpoint(self.checkpoint, trainee, progress, self.fingerprint)
            if on_progress is not None:
                on_progress(progress.epoch, self.config.epochs, "training")
        kept = progress.best_state or (
            trainee.average.state_dict() if trainee.average else model.state_dict()
        )
        model.load_state_dict(kept)
        return progress

    def _criterion(self, labels: Tensor, num_classes: int) -> Criterion | SetsCriterion:
        if self.heads:
            return SetsCriterion(self.config, labels, self.heads)
        return Criterion(self.config, labels, num_classes)

    def _finished(self, progress: Progress) -> bool:
        if progress.epoch >= self.config.epochs:
            return True
        patience = self.config.early_stop_patience
        if self.config.keep == "best" and progress.epoch - progress.best_epoch >= patience:
            logger.info("stopping early: no better validation score since epoch %d", progress.best_epoch)
            return True
        return False

    def _advance(self, progress: Progress, model: PatchTSTClassifier, validated: dict[str, float]) -> None:
        progress.epoch += 1
        score, loss = validated.get("macro_f1", -1.0), validated.get("loss", 0.0)
        if self.config.keep == "last":
            progress.best_epoch, progress.best_score, progress.best_loss = progress.epoch, score, loss
        # A small validation set ties often; then the surer model is the better one.
        elif (score, -loss) > (progress.best_score, -progress.best_loss):
            progress.best_epoch, progress.best_score, progress.best_loss = progress.epoch, score, loss
            progress.best_state = {name: value.detach().clone() for name, value in model.state_dict().items()}

    def _train_epoch(
        self,
        trainee: Trainee[PatchTSTClassifier],
        criterion: Criterion | SetsCriterion,
        batches: TrainingBatches,
        epoch: int,
    ) -> dict[str, float]:
        model, optimizer = trainee.model, trainee.optimizer
        train_others(model, self.kept)
        total = torch.zeros((), device=self.device)
        confusion = StreamingConfusion(model.num_classes)
        rate = optimizer.param_groups[0]["lr"]
        began = time.perf_counter()
        for batch in batches.epoch():
            optimizer.zero_grad(set_to_none=True)
            logits, loss = self._forward(model, criterion, batch.inputs, batch.labels, batch.teachers)
            loss.backward()
            trainee.step(self.config.max_grad_norm)
            total += loss.detach() * len(batch.labels)
            confusion.update(batch.labels.numpy(), logits.detach().argmax(dim=1).cpu().numpy())
        mean_loss = total.item() / batches.n_windows
        if not torch.isfinite(total):
            raise DataError(f"training diverged: the loss of epoch {epoch} is {mean_loss}; lower training.lr")
        waited = batches.waited_s / (time.perf_counter() - began)
        return {**_scores(mean_loss, confusion), "lr": rate, "data_wait": waited}

    @torch.no_grad()
    def _validate(
        self, model: PatchTSTClassifier, criterion: Criterion | SetsCriterion, data: FeatureSet
    ) -> dict[str, float]:
        model.eval()
        total = torch.zeros((), device=self.device)
        confusion = StreamingConfusion(model.num_classes)
        for inputs, labels in labelled_batches(data, model.config, max(self.config.batch_size, 256)):
            moved = tuple(tensor.to(self.device, non_blocking=True) for tensor in inputs)
            logits, loss = self._forward(model, criterion, moved, labels)
            total += loss * len(labels)
            confusion.update(labels.numpy(), logits.argmax(dim=1).cpu().numpy())
        return _scores(total.item() / len(data), confusion)

    def _forward(
        self,
        model: PatchTSTClassifier,
        criterion: Criterion | SetsCriterion,
        inputs: tuple[Tensor, ...],
        labels: Tensor,
        teachers: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the joint logits, and the loss: of all heads in training, of the joint one in validation."""
        mixed = self.config.amp and self.device.type == "cuda"
        # bfloat16 has float32's range: no loss scaling is needed.
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=mixed):
            heads = model.all_logits(*inputs) if model.training else (model(*inputs),)
        logits = tuple(head.float() for head in heads)
        soft = None if teachers is None else teachers.to(self.device)
        loss = criterion(logits, labels.to(self.device), soft)
        return criterion.comparable(logits[0], labels), loss


def new_trainee(
    model: Network, config: TrainingConfig, n_batches: int, generators: Mapping[str, torch.Generator]
) -> Trainee[Network]:
    """Return a model about to be trained in epochs of `n_batches`, with all that its training needs."""
    optimizer = adamw(model, config)
    schedule = Schedule(optimizer, config, config.epochs * n_batches)
    average = WeightAverage(model, config.ema_decay) if config.ema_decay else None
    return Trainee(model, optimizer, schedule, generators, average)


def adamw(model: nn.Module, config: TrainingConfig) -> Optimizer:
    """Return AdamW over the parameters that have gradients, with the weight decay of those that decay."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if config.decay == "all":
        groups = [{"params": parameters, "weight_decay": config.weight_decay}]
    else:
        matrices = [parameter for parameter in parameters if parameter.ndim >= 2]
        others = [parameter for parameter in parameters if parameter.ndim < 2]
        groups = [
            {"params": matrices, "weight_decay": config.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
    # Fused: one call for all parameters, which are many and small.
    return AdamW(groups, lr=config.lr, betas=config.betas, fused=True)


def _scores(loss: float, confusion: StreamingConfusion) -> dict[str, float]:
    return {"loss": loss, "accuracy": confusion.accuracy(), "macro_f1": confusion.macro_f1()}
