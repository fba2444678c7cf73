"""The training loop: epochs of steps, validation, and callbacks around them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import AdamW, Optimizer

from patchtst_har.config import TrainingConfig
from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.datasets.training_set import TrainingSet
from patchtst_har.errors import DataError
from patchtst_har.evaluation.confusion import StreamingConfusion
from patchtst_har.models.batches import Inputs, labelled_batches
from patchtst_har.models.patchtst import PatchTSTClassifier
from patchtst_har.training.averaging import WeightAverage
from patchtst_har.training.batches import Batch, TrainingBatches
from patchtst_har.training.callbacks import Callback, EarlyStopping, Fit, KeepBest, LowerRate
from patchtst_har.training.checkpoint import Network, Progress, Trainee
from patchtst_har.training.initial import keeping, train_others
from patchtst_har.training.loss import Criterion, SetsCriterion
from patchtst_har.training.machine import Machine, compiled
from patchtst_har.training.processes import Processes
from patchtst_har.training.scheduler import Schedule

_PROCESS_STREAM = 2**40


@dataclass
class TrainingLoop:
    """Fit a model to a training set, judged on a validation set.

    Parameters
    ----------
    config : TrainingConfig
        Optimisation settings.
    machine : Machine
        Where and in what precision the model trains.
    seed : int
        Seed of the order of the windows and of their variations.
    kept : sequence of str
        Parts of the model that are not trained (`training.initial.KEPT`).
    heads : sequence of range, optional
        The classes of each data set, if several with classes of their own are trained on together.
    """

    config: TrainingConfig
    machine: Machine
    seed: int = 0
    kept: Sequence[str] = ()
    heads: Sequence[range] = ()

    def fit(
        self,
        model: PatchTSTClassifier,
        train: TrainingSet,
        val: FeatureSet | None,
        callbacks: Sequence[Callback] = (),
    ) -> Progress:
        """Train in place; leave `model` with the weights of the best epoch (`monitor`) or the last.

        The given callbacks are called after `KeepBest` and before `EarlyStopping`.

        Raises
        ------
        DataError
            If the loss stops being finite (the epoch is named), or a checkpoint cannot be resumed.
        ValueError
            If nobody validates and the best epoch is to be kept.
        """
        if val is None and self.config.keep == "best":
            raise ValueError('without validation windows, training.keep must be "last"')
        model.to(self.machine.device)
        processes = self.machine.processes
        if not processes.first:
            # Its own dropout; weights, order and variations are the same in all processes.
            torch.manual_seed(self.seed + processes.rank * _PROCESS_STREAM)
        batches = TrainingBatches(train, model.config, self.config, self.machine.device, self.seed)
        with keeping(model, self.kept):
            trainee = new_trainee(model, self.config, len(batches), batches.generators, self.machine.scaler())
            criterion = self._criterion(torch.from_numpy(train.labels), model.num_classes)
            steps = _Steps(self, trainee, criterion.to(self.machine.device))
        called = (KeepBest(), LowerRate(), *callbacks, EarlyStopping())
        fit = Fit(self.config, trainee, callbacks=called, validates=val is not None)
        self._run(fit, steps, batches, val)
        return fit.progress

    def _run(self, fit: Fit, steps: _Steps, batches: TrainingBatches, val: FeatureSet | None) -> None:
        fit.call("on_train_begin")
        while not fit.progress.stopped and fit.epoch < self.config.epochs:
            fit.call("on_epoch_begin")
            with keeping(fit.model, self.kept):
                trained = steps.train(batches, fit.epoch + 1)
            with fit.trainee.average.in_model() if fit.trainee.average else nullcontext():
                validated = {} if val is None else steps.validate(val, fit.epoch + 1)
                fit.metrics = {"train": trained, "val": validated}
                fit.call("on_validation_end")
            fit.progress.epoch += 1
            fit.call("on_epoch_end")
            fit.progress.stopped = self._stopped(fit.progress.stopped)
        fit.model.load_state_dict(fit.progress.best_state or fit.trainee.kept_weights())
        fit.call("on_train_end")

    def _stopped(self, reason: str) -> str:
        """Return why a callback of any process stopped the training."""
        if self.machine.processes.add(torch.tensor([float(bool(reason))])) > 0:
            return reason or "stopped by another process"
        return ""

    def _criterion(self, labels: Tensor, num_classes: int) -> Criterion | SetsCriterion:
        if self.heads:
            return SetsCriterion(self.config, labels, self.heads)
        return Criterion(self.config, labels, num_classes)


class _Steps:
    """The steps of an epoch, and its validation."""

    def __init__(
        self, loop: TrainingLoop, trainee: Trainee[PatchTSTClassifier], criterion: Criterion | SetsCriterion
    ) -> None:
        self._config, self._machine, self._kept = loop.config, loop.machine, loop.kept
        self._trainee, self._criterion = trainee, criterion
        self._processes = loop.machine.processes
        heads: nn.Module = _AllHeads(trainee.model)
        if self._processes.size > 1:
            heads = DistributedDataParallel(heads)
        self._heads = compiled(heads) if loop.config.compile else heads

    def train(self, batches: TrainingBatches, epoch: int) -> dict[str, float]:
        """Take the steps of an epoch; return its metrics."""
        trainee = self._trainee
        train_others(trainee.model, self._kept)
        rate = trainee.optimizer.param_groups[0]["lr"]
        sums = _Sums(trainee.model.num_classes, self._machine)
        began = time.perf_counter()
        for batch in batches.epoch():
            trainee.optimizer.zero_grad(set_to_none=True)
            self._add_gradients(batch, sums)
            trainee.step(self._config.max_grad_norm)
        waited = batches.waited_s / (time.perf_counter() - began)
        self._share_statistics()
        found = _finite(sums.metrics(batches.n_windows), "loss", epoch)
        return {**found, "lr": rate, "data_wait": waited}

    def _add_gradients(self, batch: Batch, sums: _Sums) -> None:
        """Add the gradients of a batch, this process those of its share, in parts."""
        share, size = share_of(batch, self._processes), self._processes.size
        counts = len(share.labels) > 0
        # With fewer windows than processes, some have none; what they compute has no weight.
        parts = list(parts_of(share if counts else _rows(batch, slice(0, 1)), self._config.accumulation))
        for number, part in enumerate(parts, start=1):
            whole = None if part is batch else batch.labels.to(self._machine.device)
            with nullcontext() if number == len(parts) else self._unshared():
                with self._machine.autocast():
                    heads = self._heads(*part.inputs)
                logits, loss = self._loss(heads, part.labels, part.teachers, whole)
                # The gradients of several processes are averaged, their losses are parts of a sum.
                self._trainee.backward(loss if size == 1 else loss * (size * counts))
            if counts:
                sums.add(loss.detach() * len(batch.labels), logits.detach(), part.labels)

    def _unshared(self) -> AbstractContextManager[None]:
        """Return a context in which gradients stay in this process."""
        if isinstance(self._heads, DistributedDataParallel):
            return cast(AbstractContextManager[None], self._heads.no_sync())
        return nullcontext()

    def _share_statistics(self) -> None:
        """Let all processes validate with the batch norm statistics of the first, which it saves."""
        average = {} if self._trainee.average is None else self._trainee.average.state_dict()
        self._processes.take_over([*self._trainee.model.buffers(), *average.values()])

    @torch.no_grad()
    def validate(self, data: FeatureSet, epoch: int) -> dict[str, float]:
        """Return the metrics of validation windows."""
        model = self._trainee.model.eval()
        sums = _Sums(model.num_classes, self._machine)
        batches = labelled_batches(data, model.config, max(self._config.batch_size, 256))
        for inputs, labels in islice(batches, self._processes.rank, None, self._processes.size):
            moved = tuple(tensor.to(self._machine.device, non_blocking=True) for tensor in inputs)
            with self._machine.autocast():
                heads = (model(*moved),)
            logits, loss = self._loss(heads, labels)
            sums.add(loss * len(labels), logits, labels)
        return _finite(sums.metrics(len(data)), "validation loss", epoch)

    def _loss(
        self,
        heads: tuple[Tensor, ...],
        labels: Tensor,
        teachers: Tensor | None = None,
        whole: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the joint logits, and the loss: of all heads in training, of the joint one in validation."""
        logits, device = tuple(head.float() for head in heads), self._machine.device
        soft = None if teachers is None else teachers.to(device)
        loss = self._criterion(logits, labels.to(device), soft, whole)
        return self._criterion.comparable(logits[0], labels), loss


class _AllHeads(nn.Module):
    """Has the logits of all heads as its forward pass."""

    def __init__(self, model: PatchTSTClassifier) -> None:
        super().__init__()
        self._model = model

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return self._model.all_logits(*inputs)


class _Sums:
    """What the metrics of an epoch are computed from."""

    def __init__(self, n_classes: int, machine: Machine) -> None:
        self._processes = machine.processes
        self._loss = torch.zeros((), device=machine.device)
        self._confusion = StreamingConfusion(n_classes)

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add the sum of the losses of some windows, and their decisions."""
        self._loss += loss
        self._confusion.update(labels.numpy(), logits.argmax(dim=1).cpu().numpy())

    def metrics(self, n_windows: int) -> dict[str, float]:
        """Return them, of all processes together."""
        loss = torch.tensor([self._loss.item()], dtype=torch.float64)
        self._processes.add(torch.from_numpy(self._confusion.counts))
        return {
            "loss": self._processes.add(loss).item() / n_windows,
            "accuracy": self._confusion.accuracy(),
            "macro_f1": self._confusion.macro_f1(),
        }


def _finite(metrics: dict[str, float], what: str, epoch: int) -> dict[str, float]:
    if not math.isfinite(metrics["loss"]):
        raise DataError(
            f"training diverged: the {what} of epoch {epoch} is {metrics['loss']}; lower training.lr"
        )
    return metrics


def parts_of(batch: Batch, n: int) -> Iterator[Batch]:
    """Yield a batch in `n` parts, whose sizes differ by one at most; fewer if it has fewer windows."""
    n = min(n, len(batch.labels))
    if n == 1:
        yield batch
        return
    for rows in torch.arange(len(batch.labels)).tensor_split(n):
        yield _rows(batch, slice(int(rows[0]), int(rows[-1]) + 1))


def share_of(batch: Batch, processes: Processes) -> Batch:
    """Return the windows of a batch that this process trains on; none if there are fewer than processes."""
    if processes.size == 1:
        return batch
    rows = torch.arange(len(batch.labels)).tensor_split(processes.size)[processes.rank]
    return _rows(batch, slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0))


def _rows(batch: Batch, rows: slice) -> Batch:
    inputs: Inputs = tuple(tensor[rows] for tensor in batch.inputs)
    teachers = None if batch.teachers is None else batch.teachers[rows]
    return replace(batch, inputs=inputs, labels=batch.labels[rows], teachers=teachers)


def new_trainee(
    model: Network,
    config: TrainingConfig,
    n_batches: int,
    generators: Mapping[str, torch.Generator],
    scaler: torch.amp.GradScaler | None = None,
) -> Trainee[Network]:
    """Return a model about to be trained in epochs of `n_batches`, with all that its training needs."""
    optimizer = adamw(model, config)
    schedule = Schedule(optimizer, config, config.n_schedule_epochs * n_batches)
    average = WeightAverage(model, config.ema_decay) if config.ema_decay else None
    return Trainee(model, optimizer, schedule, generators, average, scaler)


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
