"""From where on a window is unlike the training data, for models that were trained on everybody.

Such a model has no people left whose windows could show it. Distances count deviations, which mean the same
for every model of a recipe, so the unit is taken from the models of a cross-validation: the mean, over folds
and seeds, of that of the people whom a fold holds out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.inference.familiarity import Familiarity, held_out_unit
from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.model_folder import FAMILIARITY_FILE
from studies.cross_validate import Study
from studies.folds import load_features, of_people


@dataclass(frozen=True, eq=False)
class FoldModel:
    """A fold's model with the unit that its own held-out people give.

    Attributes
    ----------
    fold : int
        Number of the fold.
    recognizer : Recognizer
        Its `familiarity` has the unit of Mahalanobis.
    people : tuple of str
        Whom the fold holds out.
    unit : float
        Distance within which 99 % of their windows lie.
    """

    fold: int
    recognizer: Recognizer
    people: tuple[str, ...]
    unit: float


def fold_models(study: Study, label: str, seed: int) -> Iterator[FoldModel]:
    """Yield the models of a cross-validation, which have to be there."""
    folds = study.folds
    for fold, people in enumerate(folds.test):
        folder = study.path(label, seed, fold).with_suffix("") / "model"
        recognizer = Recognizer.from_pretrained(folder, smoothing="none")
        features = load_features(study.name, study.prepared, folds.people, recognizer.config.features)
        recognizer = recognizer.replace(
            familiarity=fitted(recognizer, of_people(features, folds.train(fold)))
        )
        unit = held_out_unit(recognizer.judge(of_people(features, people))[1])
        yield FoldModel(fold, recognizer, tuple(people), unit)


def fitted(recognizer: Recognizer, training: FeatureSet) -> Familiarity:
    """Return what describes a model's training windows, in the unit of Mahalanobis."""
    embeddings = recognizer.embed(training)[1]
    return Familiarity.fit(embeddings, training.labels, len(training.classes))


def units(study: Study, label: str, seeds: Sequence[int]) -> NDArray[np.float64]:
    """Return the unit of every fold and seed."""
    return np.array([model.unit for seed in seeds for model in fold_models(study, label, seed)])


def write_familiarity(folder: Path, study: Study, label: str, seeds: Sequence[int]) -> None:
    """Write the familiarity of a model that was trained on all people of a set into its folder."""
    recognizer = Recognizer.from_pretrained(folder, smoothing="none")
    training = load_features(study.name, study.prepared, study.folds.people, recognizer.config.features)
    made = fitted(recognizer, training).in_units_of(float(units(study, label, seeds).mean()))
    made.save(folder / FAMILIARITY_FILE)
