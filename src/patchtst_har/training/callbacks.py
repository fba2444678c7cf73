"""What happens around the steps of training: callbacks, and those that the package itself uses."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from patchtst_har.config import TrainingConfig
from patchtst_har.errors import DataError
from patchtst_har.models.patchtst import PatchTSTClassifier
from patchtst_har.support.progress import OnProgress
from patchtst_har.training.checkpoint import Progress, Trainee, load_checkpoint, save_checkpoint
from patchtst_har.training.identity import Identity
from patchtst_har.training.monitor import Metrics, flat, height, is_better
from patchtst_har.training.tracker import EpochRecord

logger = logging.getLogger(__name__)


@dataclass
class Fit:
    """A training under way, as callbacks see it.

    Attributes
    ----------
    config : TrainingConfig
        The recipe.
    trainee : Trainee
        Network, optimiser, schedule, averaged weights.
    progress : Progress
        Epochs completed, which one is the best; `progress.stopped` says why training was stopped.
    metrics : dict of dict of float
        Of the epoch that has just ended, by ``train`` and ``val``; a callback may add some in
        `on_validation_end`.
    callbacks : tuple of Callback
        All of this training, in the order in which they are called.
    validates : bool
        Whether there are windows to validate on.
    """

    config: TrainingConfig
    trainee: Trainee[PatchTSTClassifier]
    progress: Progress = field(default_factory=Progress)
    metrics: Metrics = field(default_factory=dict)
    callbacks: tuple[Callback, ...] = ()
    validates: bool = True

    @property
    def model(self) -> PatchTSTClassifier:
        """The network; averaged weights are in it in `on_validation_end` alone."""
        return self.trainee.model

    @property
    def epoch(self) -> int:
        """Epochs completed."""
        return self.progress.epoch

    def call(self, event: str) -> None:
        """Call the method `event` of all callbacks."""
        for callback in self.callbacks:
            getattr(callback, event)(self)

    def stop(self, reason: str) -> None:
        """Let training end with this epoch; the log names the `reason`."""
        self.progress.stopped = self.progress.stopped or reason


class Callback:
    """Base of callbacks: what is not overridden does nothing.

    Methods get `fit`, the training under way (`Fit`); `path` is the checkpoint's, `state` what `state_dict`
    returned. A callback with a state that decides something returns it from `state_dict`, at every time, so
    that a run that was interrupted goes on with it.
    """

    def on_train_begin(self, fit: Fit) -> None:
        """Act before the first epoch of this process (after a resume, not the first of the run)."""

    def on_epoch_begin(self, fit: Fit) -> None:
        """Act before an epoch."""

    def on_validation_end(self, fit: Fit) -> None:
        """Act on `fit.metrics`, or add some; the network has the weights that were validated."""

    def on_epoch_end(self, fit: Fit) -> None:
        """Act when an epoch is counted."""

    def on_checkpoint(self, fit: Fit, path: Path) -> None:
        """Act when a checkpoint has been written."""

    def on_train_end(self, fit: Fit) -> None:
        """Act after the last epoch; the network has the weights that are kept."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint is to keep, in JSON values."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what a checkpoint kept."""


class KeepBest(Callback):
    """Note which epoch is the best, with its metrics and weights; with ``keep="last"``, it is the last."""

    def on_epoch_end(self, fit: Fit) -> None:
        """Compare the epoch with the best so far."""
        progress, metrics = fit.progress, flat(fit.metrics)
        if fit.config.keep == "best":
            if not is_better(metrics, progress.best, fit.config.monitor):
                return
            state = fit.trainee.kept_weights()
            progress.best_state = {name: value.detach().clone() for name, value in state.items()}
        progress.best_epoch, progress.best = progress.epoch, metrics


class EarlyStopping(Callback):
    """Stop when the best epoch is `early_stop_patience` epochs ago."""

    def on_train_begin(self, fit: Fit) -> None:
        """Stop where a resumed run had stopped."""
        self.on_epoch_end(fit)

    def on_epoch_end(self, fit: Fit) -> None:
        """Count the epochs since the best."""
        best, config = fit.progress.best_epoch, fit.config
        if config.keep == "best" and fit.epoch - best >= config.early_stop_patience:
            fit.stop(f"no better {config.monitor} since epoch {best}")


class LowerRate(Callback):
    """Tell a schedule with a plateau how the epoch ended."""

    def on_epoch_end(self, fit: Fit) -> None:
        """Lower the rate if nothing improves."""
        if fit.config.schedule == "plateau":
            fit.trainee.schedule.end_epoch(height(flat(fit.metrics), fit.config.monitor))


class Record(Callback):
    """Log and store the metrics of every epoch.

    Parameters
    ----------
    record : EpochRecord
        Where they go.
    """

    def __init__(self, record: EpochRecord) -> None:
        self._record = record

    def on_epoch_end(self, fit: Fit) -> None:
        """Write a line for training, and one for validation."""
        self._record(fit.epoch, fit.metrics["train"], fit.metrics["val"])


class Checkpointing(Callback):
    """Rewrite a checkpoint after every epoch, and begin with it where a run is resumed.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    identity : Identity
        Of the run, checked on resuming.
    resume : bool
        Whether to begin with the file.
    """

    def __init__(self, path: Path, identity: Identity, *, resume: bool = False) -> None:
        self._path, self._identity, self._resume = path, identity, resume

    def on_train_begin(self, fit: Fit) -> None:
        """Restore network, optimiser, generators, progress and callbacks."""
        if not self._resume:
            return
        fit.progress = load_checkpoint(self._path, fit.trainee, self._identity)
        self._check_best(fit)
        restore(fit.callbacks, fit.progress.callbacks, self._path)
        logger.info("resuming after epoch %d", fit.epoch)

    def on_epoch_end(self, fit: Fit) -> None:
        """Write the file."""
        fit.progress.callbacks = states_of(fit.callbacks)
        save_checkpoint(self._path, fit.trainee, fit.progress, self._identity)
        for callback in fit.callbacks:
            callback.on_checkpoint(fit, self._path)

    def _check_best(self, fit: Fit) -> None:
        """Refuse a best epoch that others cannot be compared with, or that cannot be kept."""
        needed = {"train_loss"} | ({fit.config.monitor, "val_macro_f1"} if fit.validates else set())
        if missing := sorted(needed - fit.progress.best.keys()):
            raise DataError(f"{self._path}: lacks {missing[0]} of the best epoch")
        if fit.config.keep == "best" and not fit.progress.best_state:
            raise DataError(f"{self._path}: lacks the weights of the best epoch")


def states_of(callbacks: Iterable[Callback]) -> list[list[Any]]:
    """Return class and state of each callback that has a state, in JSON values."""
    states = ([type(callback).__qualname__, callback.state_dict()] for callback in callbacks)
    return [state for state in states if state[1]]


def restore(callbacks: Iterable[Callback], states: Sequence[Sequence[Any]], path: Path) -> None:
    """Give the callbacks their states back.

    Raises
    ------
    DataError
        If those that have a state are not those of the checkpoint.
    """
    before, now = [name for name, _ in states], [name for name, _ in states_of(callbacks)]
    if before != now:
        names = (", ".join(names) or "none" for names in (before, now))
        raise DataError("{}: callbacks with a state: {} in the run, {} now".format(path, *names))
    with_state = (callback for callback in callbacks if callback.state_dict())
    for callback, (_, state) in zip(with_state, states, strict=True):
        callback.load_state_dict(state)


class Report(Callback):
    """Say how many epochs are done.

    Parameters
    ----------
    on_progress : callable
        Called with (epochs done, epochs, what).
    """

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress

    def on_epoch_end(self, fit: Fit) -> None:
        """Report the epoch."""
        self._on_progress(fit.epoch, fit.config.epochs, "training")
