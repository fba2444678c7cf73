"""The data of one experiment: who trains, validates and tests, and their features."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchtst_har.config import ExperimentConfig
from patchtst_har.datasets.feature_cache import NOT_COMPUTED
from patchtst_har.datasets.featureset import FeatureSet, load_feature_set
from patchtst_har.datasets.prepared import PreparedDataset
from patchtst_har.datasets.splits import Split, split_participants
from patchtst_har.datasets.training_set import TrainingSet, load_training_set
from patchtst_har.errors import ConfigError, DataError
from patchtst_har.features.fallback import engine_counts
from patchtst_har.records.run import ParticipantSplit, Provenance
from patchtst_har.support.progress import OnProgress, under
from patchtst_har.training.identity import Identity, settings_of
from patchtst_har.training.initial import Initial
from patchtst_har.training.teachers import teachers_probabilities


@dataclass(frozen=True)
class ExperimentData:
    """Feature sets of disjoint groups of participants.

    Attributes
    ----------
    split : Split
        The groups.
    train, val, test : FeatureSet
        Their prepared windows and features; `val` and `test` are None if nobody validates or tests.
    training : TrainingSet
        What the network is trained on: the windows of `train`, or, with ``training.hop_s``, others of the
        same recordings.
    source_rates_hz : tuple of two floats, optional
        Lowest and highest rate of the training recordings, if the data set says.
    initial : Initial, optional
        The stored model with which training begins (``training.init``).
    data_fingerprint : str, optional
        `PreparedDataset.fingerprint` of everyone in the split.
    """

    split: Split
    train: FeatureSet
    val: FeatureSet | None
    test: FeatureSet | None
    training: TrainingSet
    source_rates_hz: tuple[float, float] | None = None
    initial: Initial | None = None
    data_fingerprint: str | None = None

    @classmethod
    def load(cls, config: ExperimentConfig, on_progress: OnProgress | None = None) -> ExperimentData:
        """Open the prepared data set, split its participants, compute or read their features.

        Raises
        ------
        ConfigError
            If nobody validates, and something is to be chosen or fitted on validation people.
        DataError
            If the data set is damaged or does not fit the configuration, a group has no windows, or the
            recipe (`training.hop_s`, `training.teachers`) cannot be followed on it.
        ModelFolderError
            If the folder of a teacher or of the initial model is missing or damaged.
        ConfigError
            If the initial model has other features or another architecture.
        """
        if problems := validation_problems(config):
            raise ConfigError(problems)
        dataset = PreparedDataset.open(config.data.proc_dir)
        if len(dataset.classes) < 2:
            path = config.data.proc_dir / "classes.json"
            raise DataError(f"{path}: needs at least two classes to train, has {', '.join(dataset.classes)}")
        split = split_participants(dataset.participants, config.data)
        # Before the features, which take long.
        initial = Initial.read(config, dataset.classes)
        if initial is not None:
            initial.warn_of([*split.val, *split.test])

        def load(name: str, people: Sequence[str]) -> FeatureSet:
            report = under(f"features, {name}", on_progress)
            features = load_feature_set(dataset, people, config, report, in_memory=False)
            if not len(features):
                raise DataError(f"{config.data.proc_dir}: the {name} participants have no windows")
            return features

        test = load("test", split.test) if split.test else None
        train = load("train", split.train)
        val = load("val", split.val) if split.val else None
        report = under("features, training windows", on_progress)
        training = load_training_set(dataset, train, config, report)
        if config.training.teachers:
            report = under("teachers", on_progress)
            soft = teachers_probabilities(config.training.teachers, training, config.data, report)
            training = replace(training, teachers=soft)
        rates_hz = _source_rates_hz(dataset, split.train)
        content = dataset.fingerprint([*split.train, *split.val, *split.test])
        return cls(split, train, val, test, training, rates_hz, initial, content)

    def provenance(self) -> Provenance:
        """Return the split, its number of windows, what computed their topology, what training began with."""
        parts = {"train": self.train, "val": self.val, "test": self.test}
        used = (self.training, self.val, self.test)
        engines = np.concatenate([part.topo_engines for part in used if part is not None])
        return Provenance(
            split=ParticipantSplit(**asdict(self.split), fingerprint=self.split.fingerprint),
            n_windows={name: 0 if part is None else len(part) for name, part in parts.items()},
            topology_engines=engine_counts(engines[engines != NOT_COMPUTED]),
            source_rates_hz=self.source_rates_hz,
            init=None if self.initial is None else self.initial.record,
            data_fingerprint=self.data_fingerprint,
        )

    def tags(self) -> dict[str, str]:
        """Return what identifies the data in the copies of a record."""
        return {"data_fingerprint": str(self.data_fingerprint), "split_fingerprint": self.split.fingerprint}

    def identity(self, config: ExperimentConfig) -> Identity:
        """Return what must be equal for this training to be resumed."""
        parts: dict[str, FeatureSet | TrainingSet | None] = {
            "training people": self.train,
            "training windows": self.training,
            "validation": self.val,
        }
        data = {
            f"data ({name})": digest_of([part.stats, part.topo, part.labels, part.start_ns])
            for name, part in parts.items()
            if part is not None
        }
        if self.initial is not None:
            data["training.init (its weights)"] = self.initial.record.weights
        if self.training.teachers is not None:
            data["training.teachers (their probabilities)"] = digest_of([self.training.teachers])
        return Identity(settings_of(config), data)


def digest_of(arrays: Iterable[NDArray[Any]]) -> str:
    """Return the SHA-256 of the values of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def validation_problems(config: ExperimentConfig) -> list[str]:
    """Return what a split without validation people leaves impossible.

    Not a matter of the configuration alone: a model that was trained without them may be smoothed later.
    """
    data, training, method = config.data, config.training, config.smoothing.method
    field = "val_participants" if data.split == "lists" else "val_n"
    nobody = not data.val_participants if data.split == "lists" else data.val_n == 0
    problems = []
    if nobody and (training.keep != "last" or method != "none"):
        problems.append(
            f'data.{field}: nobody validates, which needs training.keep="last" (is "{training.keep}") and '
            f'smoothing.method="none" (is "{method}")'
        )
    if nobody and training.schedule == "plateau" and training.monitor.startswith("val_"):
        problems.append(
            f'training.monitor: nobody validates (data.{field}), so training.schedule="plateau" needs one '
            f'that begins with "train_" (is "{training.monitor}")'
        )
    return problems


def _source_rates_hz(dataset: PreparedDataset, people: Sequence[str]) -> tuple[float, float] | None:
    """Return the lowest and highest sampling rate of people's recordings; None if it is not known."""
    recordings = (dataset.preparation or {}).get("participants") or {}
    signals = [(recordings.get(name) or {}).get("signal") or {} for name in people]
    rates = [signal.get("sample_rate_hz") for signal in signals]
    known = [float(rate) for rate in rates if isinstance(rate, int | float) and 0 < rate < math.inf]
    return (min(known), max(known)) if known else None
