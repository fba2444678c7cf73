"""The windows of several prepared data sets together, for pre-training: with or without their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from patchtst_har.config import DataConfig, ExperimentConfig
from patchtst_har.datasets.feature_cache import NOT_COMPUTED
from patchtst_har.datasets.featureset import (
    FeatureSet,
    check_preparation,
    join_features,
    load_feature_set,
    windows_folder,
)
from patchtst_har.datasets.prepared import PreparedDataset
from patchtst_har.datasets.splits import Split, split_participants
from patchtst_har.datasets.stretches import Stretches
from patchtst_har.datasets.training_set import TrainingSet, load_training_set
from patchtst_har.errors import DataError
from patchtst_har.support.names import repeated
from patchtst_har.support.progress import OnProgress

_VAL_SHARE = 0.1


@dataclass(frozen=True)
class SeveralSets:
    """Windows of disjoint groups of participants of one or several data sets.

    Attributes
    ----------
    sets : tuple of str
        Names of the data sets: their folders', numbered where they are the same.
    split : Split
        Who trains and who validates; who tests is not read. With several data sets, a participant is called
        SET/NAME.
    training : TrainingSet
        What is trained on: the windows of `train`, or, with ``training.hop_s``, others of the same signal;
        where labels are not read, these may reach across a change of label.
    train, val : FeatureSet
        The prepared windows of those who train and validate; `val` is None if nobody does.
    heads : tuple of range
        The classes of each data set, as places in ``train.classes``; empty where labels are not read.
    """

    sets: tuple[str, ...]
    split: Split
    training: TrainingSet
    train: FeatureSet
    val: FeatureSet | None
    heads: tuple[range, ...] = ()

    @classmethod
    def load(
        cls,
        folders: Sequence[Path],
        config: ExperimentConfig,
        *,
        labelled: bool = False,
        on_progress: OnProgress | None = None,
    ) -> SeveralSets:
        """Open the data sets, split their participants, read their windows.

        With ``data.split: counts``, `val_n` participants of each data set validate (None: a tenth, at least
        one of three), and all others train but those whom ``data.test_participants`` names; otherwise as in
        `split_participants`.

        Parameters
        ----------
        folders : sequence of pathlib.Path
            Prepared data sets.
        config : ExperimentConfig
            Its sections `data`, `features` and `training`.
        labelled : bool
            Read labels and compute features; a class is called SET/NAME then. Otherwise windows have neither.
        on_progress : callable, optional
            Called with the number of participants done, their total, and the participant.

        Raises
        ------
        DataError
            If a data set is damaged, given twice or was prepared otherwise than the configuration says, a
            name is unknown, nobody is left to train on, or a data set whose labels are read has one class.
        """
        if twice := repeated(str(folder.resolve()) for folder in folders):
            raise DataError(f"{twice[0]}: given more than once")
        names = _set_names(folders)
        datasets = dict(zip(names, map(PreparedDataset.open, folders), strict=True))
        for dataset in datasets.values():
            check_preparation(dataset, config.data)
            if labelled and len(dataset.classes) < 2:
                raise DataError(f"{dataset.folder}: needs at least two classes, has {dataset.classes[0]}")
        people = {
            f"{name}/{person}" if len(folders) > 1 else person: (name, person)
            for name, dataset in datasets.items()
            for person in dataset.participants
        }
        split = _split(
            [[key for key, (of, _) in people.items() if of == name] for name in names], config.data
        )
        classes = [f"{name}/{one}" for name, dataset in datasets.items() for one in dataset.classes]
        heads = _heads(datasets)

        def load(group: Sequence[str], n_done: int) -> FeatureSet:
            parts = []
            for done, key in enumerate(group, start=n_done + 1):
                name, person = people[key]
                if labelled:
                    part = load_feature_set(datasets[name], [person], config, in_memory=False)
                    labels = part.labels + heads[name].start
                    part = replace(part, labels=labels, classes=tuple(classes))
                else:
                    part = _unlabelled(datasets[name], person, config)
                parts.append(replace(part, participants=np.full(len(part), key)))
                if on_progress is not None:
                    on_progress(done, len(split.train) + len(split.val), key)
            return join_features(parts)

        train = load(split.train, 0)
        val = load(split.val, len(split.train)) if split.val else None
        if not labelled:
            return cls(names, split, _training_set(train, config), train, val)
        training = load_training_set(datasets[names[0]], train, config, on_progress)
        return cls(names, split, training, train, val, tuple(heads.values()))


def _heads(datasets: Mapping[str, PreparedDataset]) -> dict[str, range]:
    ends = np.cumsum([len(dataset.classes) for dataset in datasets.values()]).tolist()
    return {
        name: range(end - len(dataset.classes), end)
        for (name, dataset), end in zip(datasets.items(), ends, strict=True)
    }


def _split(sets: Sequence[Sequence[str]], config: DataConfig) -> Split:
    everyone = [name for people in sets for name in people]
    if config.split != "counts":
        return split_participants(everyone, config)
    if config.train_n is not None:
        raise DataError('data.train_n has no meaning in pre-training; name people with data.split="lists"')
    if unknown := sorted({*config.test_participants} - {*everyone}):
        raise DataError(f"data.test_participants: unknown {', '.join(unknown)} (known: {everyone[0]}, ...)")
    train: list[str] = []
    val: list[str] = []
    for number, people in enumerate(sets):
        others = sorted({*people} - {*config.test_participants})
        n_val = (
            max(len(others) > 2, round(_VAL_SHARE * len(others))) if config.val_n is None else config.val_n
        )
        order = np.random.default_rng([config.split_seed, number]).permutation(len(others))
        shuffled = [others[index] for index in order]
        val += shuffled[:n_val]
        train += shuffled[n_val:]
    if not train:
        raise DataError("nobody is left to train on")
    return Split(tuple(sorted(train)), tuple(sorted(val)), config.test_participants)


def _unlabelled(dataset: PreparedDataset, person: str, config: ExperimentConfig) -> FeatureSet:
    cut = dataset.stored(person, windows_folder(dataset, config))
    size = config.data.window_size
    if cut.windows.shape[1] != size:
        raise DataError(
            f"{dataset.path(person)}: windows have {cut.windows.shape[1]} samples, data.window_size is {size}"
        )
    nothing = np.zeros((len(cut), 0), np.float32)
    return FeatureSet(
        windows=cut.windows,
        times=nothing,
        stats=nothing,
        topo=nothing,
        topo_engines=np.full(len(cut), NOT_COMPUTED),
        labels=np.zeros(len(cut), np.int64),
        participants=np.full(len(cut), person),
        start_ns=cut.start_ns,
        classes=("unlabelled",),
    )


def _training_set(windows: FeatureSet, config: ExperimentConfig) -> TrainingSet:
    rate_hz, hop_s = config.data.sample_rate_hz, config.training.hop_s
    stretches = Stretches.of(windows, config.data.hop_size, rate_hz)
    cuts = stretches.prepared() if hop_s is None else stretches.cut(round(hop_s * rate_hz))
    names = ("times", "stats", "topo", "topo_engines", "labels", "participants", "start_ns")
    columns = {name: getattr(windows, name)[cuts.rows] for name in names}
    return TrainingSet(stretches, cuts, **columns, classes=windows.classes, sample_rate_hz=rate_hz)


def _set_names(folders: Sequence[Path]) -> tuple[str, ...]:
    names = [folder.resolve().name for folder in folders]
    twice = set(repeated(names))
    return tuple(f"{name}-{i}" if name in twice else name for i, name in enumerate(names, start=1))
