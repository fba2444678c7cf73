"""One trial of a search: train with some settings, score on validation participants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from patchtst_har.config import ExperimentConfig
from patchtst_har.datasets.prepared import PreparedDataset
from patchtst_har.datasets.splits import split_participants
from patchtst_har.errors import ConfigError, DataError
from patchtst_har.evaluation.confusion import confusion_counts
from patchtst_har.evaluation.metrics import score_pooled
from patchtst_har.inference.probabilities import predict_probabilities
from patchtst_har.reproducibility import threads
from patchtst_har.training.callbacks import Callback, Fit
from patchtst_har.training.experiment import ExperimentData
from patchtst_har.training.machine import Machine
from patchtst_har.training.trainer import fit_network

OnEpoch = Callable[[int, float], None]
"""Called after every epoch with its number (1-based) and the macro F1 on the validation participants."""


@dataclass(frozen=True)
class InnerData:
    """The people of a search: those who train and validate. Nobody else's windows are read.

    Attributes
    ----------
    config : ExperimentConfig
        The configuration with these people by name, and nobody to test on.
    fingerprint : str
        Of their windows, times and labels.
    """

    config: ExperimentConfig
    fingerprint: str

    @classmethod
    def of(cls, config: ExperimentConfig) -> InnerData:
        """Split the people of a data set as `train` does, and leave out those who test.

        Raises
        ------
        ConfigError
            If nobody validates.
        DataError
            If the data set cannot be opened or split.
        """
        dataset = PreparedDataset.open(config.data.proc_dir)
        split = split_participants(dataset.participants, config.data)
        if not split.val:
            raise ConfigError(["data.val_n: nobody validates, so that trials cannot be scored"])
        people = {"train_participants": split.train, "val_participants": split.val, "test_participants": ()}
        data = config.data.replace(split="lists", train_n=None, val_n=None, **people)
        return cls(config.replace(data=data), dataset.fingerprint([*split.train, *split.val]))


def score_settings(config: ExperimentConfig, n_seeds: int, on_epoch: OnEpoch) -> list[float]:
    """Train a network for each seed; return the macro F1 of each on the validation participants.

    Parameters
    ----------
    config : ExperimentConfig
        Of `InnerData`, with the settings of a trial.
    n_seeds : int
        Trainings, with the configuration's seed and those after it.
    on_epoch : callable
        Called after the epochs of the first training.

    Raises
    ------
    ConfigError, DataError
        If the data set and the settings do not fit each other, or the loss stops being finite.
    """
    data = ExperimentData.load(config)
    seeds = [(config.seed + k) % 2**32 for k in range(n_seeds)]
    with threads(config.training.n_threads):
        return [
            _score(config.replace(seed=seed), data, [_Epochs(on_epoch)] if seed == config.seed else [])
            for seed in seeds
        ]


class _Epochs(Callback):
    """Reports the score of every epoch."""

    def __init__(self, on_epoch: OnEpoch) -> None:
        self._on_epoch = on_epoch

    def on_epoch_end(self, fit: Fit) -> None:
        """Report it."""
        self._on_epoch(fit.epoch, fit.metrics["val"]["macro_f1"])


def _score(config: ExperimentConfig, data: ExperimentData, callbacks: Sequence[Callback]) -> float:
    if data.val is None:
        raise DataError("nobody validates")
    model, _ = fit_network(config, data, Machine.of(config.training), callbacks)
    decided = predict_probabilities(model, data.val).argmax(axis=1)
    counts = confusion_counts(data.val.labels, decided, len(data.val.classes))
    return float(score_pooled(counts)["macro_f1"])
