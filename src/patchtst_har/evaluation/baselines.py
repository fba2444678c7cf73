"""Strong classical baselines on the same participants and windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.datasets.window_store import WindowArray, WindowStore, blocks_of_windows
from patchtst_har.errors import DataError
from patchtst_har.evaluation.bootstrap import bootstrap_intervals
from patchtst_har.evaluation.held_out import HeldOut
from patchtst_har.evaluation.scores import evaluate
from patchtst_har.network_config import N_STATISTICAL_FEATURES, N_TOPOLOGICAL_FEATURES
from patchtst_har.records.run import BaselineScores
from patchtst_har.support.progress import OnProgress

_N_TREES = 300
_TREES_AT_ONCE = 10
_COLUMNS_AT_ONCE = 512


@dataclass(frozen=True)
class LabelledFeatures:
    """What baselines need of a feature set.

    Attributes
    ----------
    stats : ndarray, shape (n, at least the statistical features)
        Statistical features; the values of plug-ins that follow them are not used.
    labels, participants : ndarray, shape (n,)
        True class indices; whose window each is.
    classes : tuple of str
        Class names.
    topo : ndarray, shape (n, 24 or 0), optional
        Topological features.
    windows : ndarray or WindowStore, shape (n, T, 3), optional
        Acceleration in g.
    """

    stats: NDArray[np.float32]
    labels: NDArray[np.int64]
    participants: NDArray[np.str_]
    classes: tuple[str, ...]
    topo: NDArray[np.float32] | None = None
    windows: WindowArray | None = None

    @classmethod
    def of(cls, features: FeatureSet) -> LabelledFeatures:
        """Take them out of a feature set; windows in memory are left out, so that nothing large is held."""
        windows = features.windows if isinstance(features.windows, WindowStore) else None
        return cls(
            features.stats, features.labels, features.participants, features.classes, features.topo, windows
        )

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Baseline:
    """A method, by what it is called in records and reports.

    Attributes
    ----------
    title : str
        Name in records and reports.
    probabilities : callable
        From windows to fit on, rows of them, windows to judge and a seed to probabilities (n, K).
    most_windows : int, optional
        On how many windows it is fitted at most, drawn at random; None: on all.
    needs : tuple of str
        Fields of `LabelledFeatures` without which it does not exist.
    """

    title: str
    probabilities: Callable[[LabelledFeatures, NDArray[np.int64], LabelledFeatures, int], NDArray[np.float64]]
    most_windows: int | None = None
    needs: tuple[str, ...] = ()

    def applies(self, data: LabelledFeatures) -> bool:
        """Whether the data has what it needs."""
        found = (getattr(data, name) for name in self.needs)
        return all(part is not None and part.shape[1] > 0 for part in found)


def majority(
    fitted: LabelledFeatures, rows: NDArray[np.int64], judged: LabelledFeatures, seed: int
) -> NDArray[np.float64]:
    """Give every window the shares of the classes among the training windows."""
    shares = np.bincount(fitted.labels[rows], minlength=len(fitted.classes)) / len(rows)
    return np.tile(shares, (len(judged), 1))


def random_forest(
    fitted: LabelledFeatures,
    rows: NDArray[np.int64],
    judged: LabelledFeatures,
    seed: int,
    *,
    topology: bool = False,
    n_trees: int = _N_TREES,
) -> NDArray[np.float64]:
    """Fit a random forest (Breiman 2001) on the built-in statistical features, and the topological ones.

    The values of plug-ins are left out: the baseline is the same whatever the model is given. Classes are
    weighted by their inverse frequency.
    """
    from sklearn.ensemble import RandomForestClassifier

    known, asked = (_columns(part, topology) for part in (fitted, judged))
    random = np.random.RandomState(seed)
    total = np.zeros(())
    # As of one forest, but a few trees at a time: 300 that grew on many windows take a gigabyte.
    for first in range(0, n_trees, _TREES_AT_ONCE):
        some = min(_TREES_AT_ONCE, n_trees - first)
        forest = RandomForestClassifier(some, class_weight="balanced", random_state=random, n_jobs=1)
        forest.fit(known[rows], fitted.labels[rows])
        for tree in forest.estimators_:
            total = total + tree.predict_proba(asked)
    return _all_classes(total / n_trees, forest.classes_, fitted)


def minirocket_ridge(
    fitted: LabelledFeatures, rows: NDArray[np.int64], judged: LabelledFeatures, seed: int
) -> NDArray[np.float64]:
    """Fit a ridge classifier on 10,000 MiniRocket features; probabilities are the softmax of its scores."""
    from patchtst_har.evaluation.minirocket import MiniRocket
    from patchtst_har.evaluation.ridge import Ridge

    if fitted.windows is None or judged.windows is None:
        raise ValueError("MiniRocket needs windows")
    present, labels = np.unique(fitted.labels[rows], return_inverse=True)
    if len(present) < 2:
        return majority(fitted, rows, judged, seed)
    windows = fitted.windows[rows]
    rocket = MiniRocket.fit(windows, seed=seed)
    known = rocket.transform(windows)
    del windows
    mean, deviation = known.mean(axis=0), _deviation(known) + 1e-8
    known -= mean
    known /= deviation
    ridge = Ridge.fit(known, labels)
    parts = [
        ridge.scores((rocket.transform(block) - mean) / deviation)
        for block in blocks_of_windows(judged.windows)
    ]
    scores = np.concatenate(parts)
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return _all_classes(exponentials / exponentials.sum(axis=1, keepdims=True), present, fitted)


def _deviation(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the SD of each column; some columns at a time, since numpy's function copies its argument."""
    parts = np.array_split(features, -(-features.shape[1] // _COLUMNS_AT_ONCE), axis=1)
    return np.concatenate([part.std(axis=0) for part in parts])


BASELINES: Mapping[str, Baseline] = {
    "majority": Baseline("majority class", majority),
    "forest": Baseline(
        f"random forest, {N_STATISTICAL_FEATURES} statistical features", random_forest, 50_000
    ),
    "forest-topology": Baseline(
        f"random forest, {N_STATISTICAL_FEATURES} statistical and {N_TOPOLOGICAL_FEATURES} topological "
        "features",
        partial(random_forest, topology=True),
        50_000,
        ("topo",),
    ),
    # The ridge's time grows with the cube of the windows, its memory with their square.
    "minirocket": Baseline("MiniRocket and ridge", minirocket_ridge, 4000, ("windows",)),
}
"""Each baseline by the name under which it is asked for."""


def check_baselines(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names; refuse one that no baseline has.

    Raises
    ------
    DataError
        It names the known ones.
    """
    for name in names:
        if name not in BASELINES:
            raise DataError(f"baseline {name!r} is not known (known: {', '.join(BASELINES)})")
    return tuple(names)


def compare_with_baselines(
    held_out: HeldOut,
    pairs: Sequence[tuple[LabelledFeatures, LabelledFeatures]],
    names: Sequence[str] = tuple(BASELINES),
    *,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> dict[str, BaselineScores]:
    """Score baselines on the windows on which a network was judged, and the network against them.

    Parameters
    ----------
    held_out : HeldOut
        What the network decided on the judged windows.
    pairs : sequence of (LabelledFeatures, LabelledFeatures)
        What to fit on and what to judge, fold by fold; the judged windows of all folds, one after another,
        are those of `held_out`.
    names : sequence of str
        Of `BASELINES`; those whose features the data lacks are left out.
    seed : int
        Seed of the methods, and of the windows that are drawn where a method is not fitted on all.
    on_progress : callable, optional
        Called with (done, total, what) after every fold of every baseline.

    Returns
    -------
    dict of str to BaselineScores
        By title, with the network's gain over each, paired over participants (without smoothing on both
        sides).
    """
    if not np.array_equal(np.concatenate([judged.labels for _, judged in pairs]), held_out.labels):
        raise ValueError("the judged windows are not those of held_out")
    known = [BASELINES[name] for name in check_baselines(names)]
    used = [one for one in known if all(one.applies(part) for pair in pairs for part in pair)]
    found = {}
    for number, one in enumerate(used):
        parts, n_fitted = [], 0
        for done, (fitted, judged) in enumerate(pairs, start=1):
            rows = _drawn(len(fitted), one.most_windows, seed)
            parts.append(one.probabilities(fitted, rows, judged, seed))
            n_fitted = max(n_fitted, len(rows))
            if on_progress is not None:
                on_progress(number * len(pairs) + done, len(used) * len(pairs), f"baselines, {one.title}")
        found[one.title] = _scores(held_out, np.concatenate(parts), n_fitted)
    return found


def _scores(held_out: HeldOut, probabilities: NDArray[np.float64], n_fitted: int) -> BaselineScores:
    decided = probabilities.argmax(axis=1)
    labels, people, classes = held_out.labels, held_out.participants, held_out.classes
    scores = evaluate(labels, decided, classes=classes, probabilities=probabilities, participants=people)
    gain = None
    if len(np.unique(people)) > 1:
        gain = bootstrap_intervals(labels, held_out.decisions.raw, people, len(classes), other=decided)
    return BaselineScores(**dict(scores), n_fitted=n_fitted, model_minus_baseline=gain)


def _drawn(n: int, most: int | None, seed: int) -> NDArray[np.int64]:
    if most is None or n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def _columns(data: LabelledFeatures, topology: bool) -> NDArray[np.float32]:
    stats = data.stats[:, :N_STATISTICAL_FEATURES]
    return np.hstack([stats, data.topo]) if topology and data.topo is not None else stats


def _all_classes(
    probabilities: NDArray[np.float64], present: NDArray[np.int64], fitted: LabelledFeatures
) -> NDArray[np.float64]:
    """Return a column for each class: one that the training participants lack gets zeros."""
    rows = np.zeros((len(probabilities), len(fitted.classes)))
    rows[:, present] = probabilities
    return rows
