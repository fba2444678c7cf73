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
    """Describe the embeddings of a model's training windows; the unit is taken from these windows, too.

    People whom the model was not trained on are farther from them, so windows of theirs are called unfamiliar
    too often (`rescaled` mends that). `Recognizer.adapt` does not use distances.
    """
    embeddings = recognizer.embed(train)[1]
    fitted = Familiarity.fit(embeddings, train.labels, len(recognizer.classes))
    return fitted.in_units_of(held_out_unit(fitted.distances(embeddings)))


def farther(recognizer: Recognizer, train: FeatureSet, test: FeatureSet) -> float:
    """Return by which factor people who did not train a model are farther from its training windows."""
    distances = fit_on_training(recognizer, train).distances(recognizer.embed(test)[1])
    return held_out_unit(distances)


def rescaled(familiarity: Familiarity, factors: Sequence[float]) -> Familiarity:
    """Take the unit from held-out people: the geometric mean of the factors that `farther` gives."""
    return familiarity.in_units_of(float(np.exp(np.mean(np.log(factors)))))


def add_familiarity(folder: Path, train: FeatureSet, factors: Sequence[float]) -> None:
    """Write what a model in a folder knows of its training windows."""
    recognizer = Recognizer.from_pretrained(folder, smoothing="none")
    known = rescaled(fit_on_training(recognizer, train), factors)
    known.save(folder / FAMILIARITY_FILE)
