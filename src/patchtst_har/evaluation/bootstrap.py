"""Confidence intervals that resample participants, not windows.

Windows of one participant resemble each other, so intervals from resampled windows are several times too
narrow. Here whole participants are drawn with replacement; their confusion matrices are added up and scored
as one pool. The intervals therefore belong to the pooled scores, not to means over participants.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from patchtst_har.errors import DataError
from patchtst_har.evaluation.confusion import Counts, FloatArray, check_pair, participant_confusions
from patchtst_har.evaluation.metrics import number, occurring, score_each
from patchtst_har.records.run import Interval, Intervals

MIN_RESAMPLES = 1000
MIN_PARTICIPANTS_FOR_EFFECT = 6
"""That n participants all get better (or all worse) has a chance of 2 / 2**n: below 5 % from six on."""


def bootstrap_intervals(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    participants: npt.ArrayLike,
    n_classes: int,
    *,
    other: npt.ArrayLike | None = None,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Intervals:
    """Return pooled scores, or their paired differences, with participant-cluster percentile intervals.

    Macro averages are over all K classes, as in `evaluate`; a class that the whole truth has but a resample
    lacks is left out of that resample's mean.

    Parameters
    ----------
    y_true, y_pred : array_like of int, shape (n,)
        Class indices, 0 to K - 1.
    participants : array_like, shape (n,)
        Whose window each is.
    n_classes : int
        Number of classes K.
    other : array_like of int, shape (n,), optional
        Other decisions on the same windows. The scores are then those of `y_pred` minus those of `other` on
        the same draws of participants. An interval of this paired difference that excludes 0 says more than
        two intervals that do not overlap, because pairing removes the spread between participants.
    n_resamples : int
        Draws of participants, at least 1000.
    confidence : float
        Coverage of the interval, between 0 and 1.
    seed : int
        Seed of the draws.

    Returns
    -------
    Intervals
        For each metric with an interval (``by_participant`` in `METRICS`) the ``estimate`` on all
        participants with ``low`` and ``high`` (None with a single participant, or where the score is
        undefined).

    Raises
    ------
    DataError
        If an argument is out of its range, or shapes differ.
    """
    true, predicted = check_pair(y_true, y_pred, n_classes)
    names, counts = participant_confusions(true, predicted, participants, n_classes)
    draws = _draw(len(names), n_resamples, confidence, seed)
    values = _score_all(counts, draws)
    if other is not None:
        _, compared = check_pair(y_true, other, n_classes)
        subtracted = _score_all(participant_confusions(true, compared, participants, n_classes)[1], draws)
        values = {name: value - subtracted[name] for name, value in values.items()}
    bounded = len(names) > 1
    return Intervals(
        n_resamples=n_resamples,
        confidence=confidence,
        seed=seed,
        n_participants=len(names),
        **{
            name: _interval(value[0], value[1:], confidence if bounded else None)
            for name, value in values.items()
        },
    )


def mean_interval(
    values: npt.ArrayLike, *, n_resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Return the mean of one value for each participant, with its interval over participants.

    Parameters
    ----------
    values : array_like of float, shape (n_participants,)
        Such as differences between two models.
    n_resamples, confidence, seed
        As in `bootstrap_intervals`.

    Raises
    ------
    DataError
        If there is no value, or one is not finite, or an argument is out of its range.
    """
    each = np.asarray(values, dtype=np.float64)
    if each.ndim != 1 or not each.size or not np.isfinite(each).all():
        raise DataError(f"values: needs finite numbers of shape (n_participants,), has shape {each.shape}")
    means = _draw(each.size, n_resamples, confidence, seed) @ each / each.size
    return _interval(float(each.mean()), means, confidence if each.size > 1 else None)


def _draw(n_participants: int, n_resamples: int, confidence: float, seed: int) -> npt.NDArray[np.int64]:
    """Return how often each participant is drawn, shape (n_resamples, n_participants)."""
    if n_resamples < MIN_RESAMPLES:
        raise DataError(f"n_resamples: needs at least {MIN_RESAMPLES}, is {n_resamples}")
    if not 0 < confidence < 1:
        raise DataError(f"confidence: needs to be between 0 and 1, is {confidence}")
    rng = np.random.default_rng(seed)
    return rng.multinomial(n_participants, np.full(n_participants, 1 / n_participants), size=n_resamples)


def _score_all(counts: Counts, draws: npt.NDArray[np.int64]) -> dict[str, FloatArray]:
    """Score all participants together, then each draw of them: shape (1 + n_resamples,)."""
    with_whole = np.vstack([np.ones_like(draws[:1]), draws])
    pooled = np.tensordot(with_whole, counts, axes=1)
    never_true = ~occurring(pooled[0])
    return score_each(pooled, occurring(pooled) | never_true)


def _interval(estimate: float, resampled: FloatArray, confidence: float | None) -> Interval:
    """Return percentile bounds; without `confidence`, or a resample that is defined, none."""
    known = resampled[np.isfinite(resampled)]
    if confidence is None or known.size == 0:
        return Interval(estimate=number(estimate), low=None, high=None)
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return Interval(estimate=number(estimate), low=float(low), high=float(high))
