"""What the network is compared with, on the same windows and people: forests, and MiniRocket with ridge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.evaluation.minirocket import MiniRocket
from patchtst_har.network_config import N_STATISTICAL_FEATURES

_N_TREES = 500


@dataclass(frozen=True)
class Baseline:
    """A method, and the windows that it is fitted on.

    Attributes
    ----------
    probabilities : callable
        From training windows, windows to judge and a seed to probabilities (n, K) of the judged windows.
    hop_s : float, optional
        Seconds between the starts of training windows; None: they do not overlap.
    """

    probabilities: Callable[[FeatureSet, FeatureSet, int], NDArray[np.float64]]
    hop_s: float | None = None


def random_forest(train: FeatureSet, test: FeatureSet, seed: int) -> NDArray[np.float64]:
    """Fit a random forest on the statistical features."""
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(_N_TREES, class_weight="balanced", random_state=seed, n_jobs=1)
    columns = slice(N_STATISTICAL_FEATURES)
    return _probabilities(forest, train.stats[:, columns], test.stats[:, columns], train)


def extra_trees(train: FeatureSet, test: FeatureSet, seed: int) -> NDArray[np.float64]:
    """Fit extremely randomised trees on all features: statistical, movement, topological."""
    from sklearn.ensemble import ExtraTreesClassifier

    forest = ExtraTreesClassifier(_N_TREES, class_weight="balanced", random_state=seed, n_jobs=1)
    fitted, judged = (np.hstack([part.stats, part.topo]) for part in (train, test))
    return _probabilities(forest, fitted, judged, train)


def minirocket_ridge(train: FeatureSet, test: FeatureSet, seed: int) -> NDArray[np.float64]:
    """Fit a ridge classifier on MiniRocket features; the probabilities are the softmax of its scores."""
    from sklearn.linear_model import RidgeClassifierCV

    rocket = MiniRocket.fit(np.asarray(train.windows), seed=seed)
    fitted, judged = (rocket.transform(np.asarray(part.windows)) for part in (train, test))
    mean, deviation = fitted.mean(axis=0), fitted.std(axis=0) + 1e-8
    ridge = RidgeClassifierCV(np.logspace(-1, 5, 13), class_weight="balanced")
    ridge.fit((fitted - mean) / deviation, train.labels)
    scores = ridge.decision_function((judged - mean) / deviation)
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return _all_classes(exponentials / exponentials.sum(axis=1, keepdims=True), ridge.classes_, train)


BASELINES = {
    "random-forest": Baseline(random_forest, 2.5),
    "extra-trees": Baseline(extra_trees, 2.5),
    # Four times the windows would make the ridge take an hour.
    "minirocket": Baseline(minirocket_ridge),
}
"""Each baseline by the name under which its decisions are kept."""


def _probabilities(
    forest: Any, fitted: NDArray[np.float32], judged: NDArray[np.float32], train: FeatureSet
) -> NDArray[np.float64]:
    forest.fit(fitted, train.labels)
    return _all_classes(forest.predict_proba(judged), forest.classes_, train)


def _all_classes(
    probabilities: NDArray[np.float64], present: NDArray[np.int64], train: FeatureSet
) -> NDArray[np.float64]:
    """Return a column for each class of the set: one that the training people lack gets zeros."""
    rows = np.zeros((len(probabilities), len(train.classes)))
    rows[:, present] = probabilities
    return rows
