"""Confidence intervals that resample people, not windows.

Windows of one person resemble each other, so intervals from resampled windows are several times too narrow.
Here whole people are drawn with replacement; their confusion matrices are added up and scored as one pool.
The intervals therefore belong to the pooled scores, not to means over people.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from patchtst_har.errors import DataError
from patchtst_har.evaluation import confusion
from patchtst_har.evaluation.persons import participant_confusions
from patchtst_har.evaluation.streaming_confusion import check_pair

Counts = npt.NDArray[np.int64]
Scores = dict[str, npt.NDArray[np.float64]]

MIN_RESAMPLES = 1000


def bootstrap_intervals(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    participants: npt.ArrayLike,
    n_classes: int,
    *,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Return pooled accuracy, macro F1 and Cohen's kappa with participant-cluster percentile intervals.

    Macro F1 is over all K classes, as in `evaluate`; a class that the whole truth has but a resample lacks is
    left out of that resample's mean.

    Parameters
    ----------
    y_true, y_pred : array_like of int, shape (n,)
        Class indices, 0 to K - 1.
    participants : array_like, shape (n,)
        Whose window each is.
    n_classes : int
        Number of classes K.
    n_resamples : int
        Draws of people, at least 1000.
    confidence : float
        Coverage of the interval, between 0 and 1.
    seed : int
        Seed of the draws.

    Returns
    -------
    dict
        ``n_resamples, confidence, seed, n_participants``, and for each of ``accuracy, macro_f1, cohen_kappa``
        the ``estimate`` on all people with ``low`` and ``high`` (None with a single person, or where the
        score is undefined).

    Raises
    ------
    DataError
        If an argument is out of its range, or shapes differ.
    """
    true, predicted = check_pair(y_true, y_pred, n_classes)
    _, counts = participant_confusions(true, predicted, participants, n_classes)
    draws = _draw(len(counts), n_resamples, confidence, seed)
    whole, resampled = _score_all(counts, draws)
    return _report(whole, resampled, len(counts), n_resamples, confidence, seed)


def paired_difference(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    y_other: npt.ArrayLike,
    participants: npt.ArrayLike,
    n_classes: int,
    *,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the scores of `y_pred` minus those of `y_other`, paired: on the same draws of people.

    An interval that excludes 0 says more than two intervals that do not overlap: the pairing removes the
    spread between people. Parameters, errors and result are those of `bootstrap_intervals`.
    """
    true, predicted = check_pair(y_true, y_pred, n_classes)
    _, other = check_pair(y_true, y_other, n_classes)
    draws_of = [participant_confusions(true, p, participants, n_classes)[1] for p in (predicted, other)]
    draws = _draw(len(draws_of[0]), n_resamples, confidence, seed)
    (whole_a, resampled_a), (whole_b, resampled_b) = (_score_all(counts, draws) for counts in draws_of)
    whole = {name: whole_a[name] - whole_b[name] for name in whole_a}
    resampled = {name: resampled_a[name] - resampled_b[name] for name in resampled_a}
    return _report(whole, resampled, len(draws_of[0]), n_resamples, confidence, seed)


def _draw(n_people: int, n_resamples: int, confidence: float, seed: int) -> npt.NDArray[np.int64]:
    """Return how often each person is drawn, shape (n_resamples, n_people)."""
    if n_resamples < MIN_RESAMPLES:
        raise DataError(f"n_resamples: needs at least {MIN_RESAMPLES}, is {n_resamples}")
    if not 0 < confidence < 1:
        raise DataError(f"confidence: needs to be between 0 and 1, is {confidence}")
    rng = np.random.default_rng(seed)
    return rng.multinomial(n_people, np.full(n_people, 1 / n_people), size=n_resamples)


def _score_all(counts: Counts, draws: npt.NDArray[np.int64]) -> tuple[Scores, Scores]:
    n_people, n_classes, _ = counts.shape
    whole = counts.sum(axis=0)
    pooled = (draws @ counts.reshape(n_people, -1)).reshape(-1, n_classes, n_classes)
    never_true = whole.sum(axis=1) == 0
    return _scores(whole, never_true), _scores(pooled, never_true)


def _scores(pooled: Counts, never_true: npt.NDArray[np.bool_]) -> Scores:
    return {
        "accuracy": confusion.accuracy(pooled),
        "macro_f1": confusion.macro_f1(pooled, (pooled.sum(axis=-1) > 0) | never_true),
        "cohen_kappa": confusion.kappa(pooled),
    }


def _report(
    whole: Scores, resampled: Scores, n_people: int, n_resamples: int, confidence: float, seed: int
) -> dict[str, Any]:
    return {
        "n_resamples": n_resamples,
        "confidence": confidence,
        "seed": seed,
        "n_participants": n_people,
        **{name: _interval(float(whole[name]), resampled[name], n_people, confidence) for name in whole},
    }


def _interval(
    estimate: float, values: npt.NDArray[np.float64], n_people: int, confidence: float
) -> dict[str, float | None]:
    known = values[np.isfinite(values)]
    if n_people < 2 or known.size == 0:
        return {"estimate": estimate if np.isfinite(estimate) else None, "low": None, "high": None}
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return {"estimate": estimate if np.isfinite(estimate) else None, "low": float(low), "high": float(high)}
