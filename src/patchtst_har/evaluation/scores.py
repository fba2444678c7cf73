"""All scores of one set of decisions: pooled over windows, per class, per participant, of probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from patchtst_har.errors import DataError
from patchtst_har.evaluation import confusion
from patchtst_har.evaluation.calibration import N_BINS, reliability_bins
from patchtst_har.evaluation.confusion import Counts, FloatArray, Labels
from patchtst_har.evaluation.metrics import PROBABILITY_METRICS, number, occurring, score_each, score_pooled
from patchtst_har.records import run as records
from patchtst_har.smoothing.checks import check_probabilities


def evaluate(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    classes: Sequence[str],
    probabilities: npt.ArrayLike | None = None,
    participants: npt.ArrayLike | None = None,
    sequences: npt.ArrayLike | None = None,
) -> records.Scores:
    """Compute every score of one set of decisions.

    The label set is fixed: macro averages run over all K classes, and a class without a window counts as 0
    (``macro_f1_present`` leaves out the classes that the truth lacks). Scores at the top level are pooled
    over all windows: participants with more windows weigh more. Those in ``per_participant`` are computed for
    each participant, macro averages over the classes that this participant truly shows, and then summarised;
    the two are different quantities and not comparable with each other.

    Parameters
    ----------
    y_true, y_pred : array_like of int, shape (n,)
        Class indices, 0 to K - 1; windows in time order within a participant.
    classes : sequence of str
        The K class names.
    probabilities : array_like, shape (n, K), optional
        Needed for ``calibration``.
    participants : array_like, shape (n,), optional
        Needed for ``per_participant``.
    sequences : array_like of int, shape (n,), optional
        Runs of consecutive windows (see `patchtst_har.smoothing.sequence_ids`); needed for
        ``transition_accuracy``: of the places where the true label changes between two windows of a sequence
        (and a participant), the fraction at which both windows are predicted right.

    Returns
    -------
    Scores
        None stands where a score is undefined or its input was not given.

    Raises
    ------
    DataError
        If an array has the wrong shape, type or range, or a class name appears twice.
    """
    names = _check_classes(classes)
    true, predicted = confusion.check_pair(y_true, y_pred, len(names))
    counts = confusion.confusion_counts(true, predicted, len(names))
    transition_accuracy, n_transitions = _transitions(true, predicted, participants, sequences)
    return records.Scores(
        n_windows=true.size,
        classes=names,
        n_classes_present=int(occurring(counts).sum()),
        **score_pooled(counts),
        transition_accuracy=transition_accuracy,
        n_transitions=n_transitions,
        per_class=_per_class(counts, names),
        confusion=records.Confusion(
            counts=counts.tolist(), row_normalised=_without_nan(confusion.row_normalised(counts))
        ),
        per_participant=None
        if participants is None
        else _per_participant(true, predicted, participants, len(names)),
        calibration=None if probabilities is None else _calibration(true, probabilities, len(names)),
    )


def _check_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """Return the class names; refuse an empty list and repeated names."""
    names = tuple(str(name) for name in classes)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if not names or repeated:
        raise DataError(f"classes: {'repeats ' + ', '.join(repeated) if repeated else 'is empty'}")
    return names


def _per_class(counts: Counts, names: Sequence[str]) -> tuple[records.ClassScores, ...]:
    scores = (function(counts) for function in (confusion.precision, confusion.recall, confusion.f_score))
    return tuple(
        records.ClassScores(name=name, precision=float(p), recall=float(r), f1=float(f), support=int(n))
        for name, p, r, f, n in zip(names, *scores, counts.sum(axis=1), strict=True)
    )


def _per_participant(
    true: Labels, predicted: Labels, participants: npt.ArrayLike, n_classes: int
) -> records.PerParticipant:
    names, counts = confusion.participant_confusions(true, predicted, participants, n_classes)
    present = occurring(counts)
    columns = score_each(counts, present)
    return records.PerParticipant(
        n_participants=len(names),
        scores=tuple(
            records.ParticipantScores(
                participant=name,
                n=int(counts[i].sum()),
                n_classes=int(present[i].sum()),
                **{metric: number(values[i]) for metric, values in columns.items()},
            )
            for i, name in enumerate(names)
        ),
        summary=records.SpreadOfScores(**{metric: _spread(values) for metric, values in columns.items()}),
    )


def _spread(values: FloatArray) -> records.Spread:
    """Summarise a score over participants: SD with n - 1, the worst decile as the 10th percentile."""
    known = values[np.isfinite(values)]
    return records.Spread(
        n=known.size,
        mean=float(known.mean()) if known.size else None,
        sd=float(known.std(ddof=1)) if known.size > 1 else None,
        median=float(np.median(known)) if known.size else None,
        worst_decile=float(np.quantile(known, 0.1))
        if known.size >= records.MIN_PARTICIPANTS_FOR_DECILE
        else None,
    )


def _calibration(true: Labels, probabilities: npt.ArrayLike, n_classes: int) -> records.CalibrationScores:
    observed = check_probabilities(probabilities, n_classes)
    if len(observed) != true.size:
        raise DataError(f"probabilities: {len(observed)} rows for {true.size} labels")
    scores = {name: metric.function(true, observed) for name, metric in PROBABILITY_METRICS.items()}
    return records.CalibrationScores(n_bins=N_BINS, bins=reliability_bins(true, observed), **scores)


def _transitions(
    true: Labels, predicted: Labels, participants: npt.ArrayLike | None, sequences: npt.ArrayLike | None
) -> tuple[float | None, int | None]:
    """Return the accuracy at changes of the true label, and the number of changes."""
    if sequences is None:
        return None, None
    together = np.ones(true.size - 1, dtype=bool)
    for name, groups in (("sequences", sequences), ("participants", participants)):
        if groups is None:
            continue
        ids = np.asarray(groups)
        if ids.shape != true.shape:
            raise DataError(f"{name}: needs shape {true.shape}, has {ids.shape}")
        together &= ids[1:] == ids[:-1]
    change = together & (true[1:] != true[:-1])
    correct = true == predicted
    n_changes = int(change.sum())
    both = int((change & correct[1:] & correct[:-1]).sum())
    return (both / n_changes if n_changes else None), n_changes


def _without_nan(rows: FloatArray) -> Any:
    return tuple(tuple(number(value) for value in row) for row in rows)
