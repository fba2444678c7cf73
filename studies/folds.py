"""Who is held out in which fold, and the windows of a study set with their features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchtst_har.config import ExperimentConfig, FeatureConfig
from patchtst_har.datasets.featureset import FeatureSet, load_feature_set
from patchtst_har.datasets.prepared import PreparedDataset
from patchtst_har.datasets.training_set import load_training_set
from patchtst_har.errors import DataError
from patchtst_har.support.progress import OnProgress
from studies.sets import N_FOLDS, SETS, data_config, open_set, source_of

ALL_FEATURES = FeatureConfig(groups=("statistical", "movement", "topological"))
"""What the baselines choose from."""


@dataclass(frozen=True)
class Folds:
    """The held-out people of each fold; every participant is in one.

    Attributes
    ----------
    test : tuple of tuples of str
        The participants of each fold, sorted.
    """

    test: tuple[tuple[str, ...], ...]

    @property
    def people(self) -> tuple[str, ...]:
        """All participants, sorted."""
        return tuple(sorted(name for fold in self.test for name in fold))

    def train(self, fold: int) -> tuple[str, ...]:
        """Return who is not held out in a fold, sorted."""
        return tuple(name for name in self.people if name not in self.test[fold])


def fold_people(name: str, prepared: Path) -> Folds:
    """Split the people of a study set.

    `N_FOLDS` groups by scikit-learn's `GroupKFold` over the windows, which makes folds of about as many
    windows, for each source of recordings apart: every fold holds people of every source. Or one person a
    fold, if the set says so.

    Raises
    ------
    DataError
        If the set is missing or damaged, or has too few people.
    """
    dataset = open_set(name, prepared)
    people = sorted(dataset.participants)
    if SETS[name].leave_one_out:
        return Folds(tuple((person,) for person in people))
    sources = sorted({source_of(person) for person in people})
    parts = [_grouped(dataset, [p for p in people if source_of(p) == source]) for source in sources]
    return Folds(tuple(tuple(sorted(sum(same, ()))) for same in zip(*parts, strict=True)))


def _grouped(dataset: PreparedDataset, people: Sequence[str]) -> list[tuple[str, ...]]:
    from sklearn.model_selection import GroupKFold

    if len(people) < N_FOLDS:
        raise DataError(f"{dataset.folder}: {N_FOLDS} folds need as many people, there are {len(people)}")
    groups = np.concatenate([np.full(len(dataset.load(person)), person) for person in people])
    return [
        tuple(sorted(set(groups[test].tolist())))
        for _, test in GroupKFold(N_FOLDS).split(groups, groups=groups)
    ]


def load_features(
    name: str,
    prepared: Path,
    people: Sequence[str],
    features: FeatureConfig = ALL_FEATURES,
    hop_s: float | None = None,
    on_progress: OnProgress | None = None,
) -> FeatureSet:
    """Return the windows of participants with their features, which are computed once and kept.

    With `hop_s`, windows that begin so many seconds after each other, as for the training of a network.
    """
    dataset = open_set(name, prepared)
    config = ExperimentConfig.from_mapping(
        {
            "data": data_config(prepared / name),
            "features": features,
            # A study set has no clock.
            "model": {"n_time_features": 0},
            "training": {"hop_s": hop_s},
        }
    )
    windows = load_feature_set(dataset, people, config, on_progress)
    if hop_s is None:
        return windows
    cut = load_training_set(dataset, windows, config, on_progress)
    names = [field.name for field in fields(FeatureSet) if field.name != "windows"]
    return FeatureSet(
        windows=cut.stretches.windows(cut.cuts.starts), **{name: getattr(cut, name) for name in names}
    )


def rows_of(features: FeatureSet, rows: NDArray[Any]) -> FeatureSet:
    """Return some windows of a feature set, by index or mask, in that order."""
    columns = {
        field.name: getattr(features, field.name)[rows]
        for field in fields(FeatureSet)
        if field.name != "classes"
    }
    return replace(features, **columns)


def of_people(features: FeatureSet, people: Sequence[str]) -> FeatureSet:
    """Return the windows of some participants."""
    return rows_of(features, np.flatnonzero(np.isin(features.participants, list(people))))
