"""What a model knows of its training windows' embeddings, where nobody validates who could set the unit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.inference.familiarity import Familiarity, held_out_unit
from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.model_folder import FAMILIARITY_FILE


def fit_on_training(recognizer: Recognizer, train: FeatureSet) -> Familiarity:
    """Describe the embeddings of a model's training windows, in the unit of Mahalanobis.

    `Recognizer.adapt` does not use distances, so it needs no other unit.
    """
    return Familiarity.fit(recognizer.embed(train)[1], train.labels, len(recognizer.classes))


def unit_of_fold(recognizer: Recognizer, train: FeatureSet, test: FeatureSet) -> float:
    """Return from which distance on a window of people who did not train a model is unfamiliar."""
    return held_out_unit(fit_on_training(recognizer, train).distances(recognizer.embed(test)[1]))


def add_familiarity(folder: Path, train: FeatureSet, units: Sequence[float]) -> None:
    """Write what a model in a folder knows of its training windows; the unit is the folds' geometric mean."""
    recognizer = Recognizer.from_pretrained(folder, smoothing="none")
    unit = float(np.exp(np.mean(np.log(units))))
    fit_on_training(recognizer, train).in_units_of(unit).save(folder / FAMILIARITY_FILE)
