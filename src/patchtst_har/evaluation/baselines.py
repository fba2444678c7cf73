"""Strong classical baselines on the same participants and windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.evaluation.scores import evaluate
from patchtst_har.network_config import N_STATISTICAL_FEATURES
from patchtst_har.records.run import Scores
from patchtst_har.support.progress import OnProgress

RANDOM_FOREST = f"random forest, {N_STATISTICAL_FEATURES} statistical features"


@dataclass(frozen=True)
class LabelledFeatures:
    """What a baseline needs of a feature set: everything but its windows, which are large.

    Attributes
    ----------
    stats : ndarray, shape (n, at least the statistical features)
        Statistical features; the values of plug-ins that follow them are not used.
    labels, participants : ndarray, shape (n,)
        True class indices; whose window each is.
    classes : tuple of str
        Class names.
    """

    stats: NDArray[np.float32]
    labels: NDArray[np.int64]
    participants: NDArray[np.str_]
    classes: tuple[str, ...]

    @classmethod
    def of(cls, features: FeatureSet) -> LabelledFeatures:
        """Take them out of a feature set."""
        return cls(features.stats, features.labels, features.participants, features.classes)


def random_forest(
    pairs: Sequence[tuple[LabelledFeatures, LabelledFeatures]],
    *,
    n_trees: int = 300,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> Scores:
    """Score a random forest (Breiman 2001) on the built-in statistical features, not smoothed.

    The values of plug-ins are left out: the baseline is the same whatever the model is given.

    Parameters
    ----------
    pairs : sequence of (LabelledFeatures, LabelledFeatures)
        What to fit on and what to judge, fold by fold; the judged windows of all folds are pooled.
    n_trees, seed : int
        Size and seed of the forest; classes are weighted by their inverse frequency.
    on_progress : callable, optional
        Called with (done, total, what) after every fold.

    Returns
    -------
    Scores
        As `evaluate`, with probabilities.
    """
    from sklearn.ensemble import RandomForestClassifier

    classes = pairs[0][0].classes
    probabilities = []
    for fitted, judged in pairs:
        forest = RandomForestClassifier(n_trees, class_weight="balanced", random_state=seed, n_jobs=1)
        forest.fit(fitted.stats[:, :N_STATISTICAL_FEATURES], fitted.labels)
        rows = np.zeros((len(judged.labels), len(classes)))
        # A class that the training participants lack has no column in the forest.
        rows[:, forest.classes_] = forest.predict_proba(judged.stats[:, :N_STATISTICAL_FEATURES])
        probabilities.append(rows)
        if on_progress is not None:
            on_progress(len(probabilities), len(pairs), "random forest")
    pooled = np.concatenate(probabilities)
    labels = np.concatenate([judged.labels for _, judged in pairs])
    people = np.concatenate([judged.participants for _, judged in pairs])
    return evaluate(labels, pooled.argmax(axis=1), classes=classes, probabilities=pooled, participants=people)
