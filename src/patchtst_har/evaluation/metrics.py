"""All scores of one set of predictions, ready for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import metrics

from patchtst_har.errors import DataError
from patchtst_har.evaluation import confusion
from patchtst_har.evaluation.calibration import calibration
from patchtst_har.evaluation.persons import participant_confusions, participant_scores
from patchtst_har.evaluation.streaming_confusion import check_pair
from patchtst_har.smoothing.checks import check_probabilities

Labels = npt.NDArray[np.int64]


def evaluate(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    classes: Sequence[str],
    probabilities: npt.ArrayLike | None = None,
    participants: npt.ArrayLike | None = None,
    sequences: npt.ArrayLike | None = None,
) -> dict[str, Any]:
    """Compute every score of one set of predictions.

    The label set is fixed: macro averages run over all K classes, and a class without a window counts as 0
    (``macro_f1_present`` leaves out the classes that the truth lacks). Scores at the top level are pooled
    over all windows. Those in ``per_participant`` are computed person by person and then summarised; the two
    are different quantities and not comparable with each other.

    Parameters
    ----------
    y_true, y_pred : array_like of int, shape (n,)
        Class indices, 0 to K - 1; windows in time order within a person.
    classes : sequence of str
        The K class names.
    probabilities : array_like, shape (n, K), optional
        Needed for ``calibration``.
    participants : array_like, shape (n,), optional
        Needed for ``per_participant``.
    sequences : array_like of int, shape (n,), optional
        Runs of consecutive windows (see `patchtst_har.smoothing.sequence_ids`); needed for
        ``transition_accuracy``: of the places where the true label changes between two windows of a sequence
        (and a person), the fraction at which both windows are predicted right.

    Returns
    -------
    dict
        Python numbers, lists and strings. None stands where a score is undefined or its input was not given.

    Raises
    ------
    DataError
        If an array has the wrong shape, type or range, or a class name appears twice.
    """
    names = check_classes(classes)
    true, predicted = check_pair(y_true, y_pred, len(names))
    counts = confusion.confusion_counts(true, predicted, len(names))
    report: dict[str, Any] = {
        "n_windows": int(true.size),
        "classes": names,
        **_pooled(true, predicted, counts),
        **_transitions(true, predicted, participants, sequences),
        "per_class": _per_class(true, predicted, names),
        "confusion": {
            "counts": counts.tolist(),
            "row_normalised": _without_nan(confusion.row_normalised(counts)),
        },
        "per_participant": None,
        "calibration": None,
    }
    if participants is not None:
        report["per_participant"] = participant_scores(
            *participant_confusions(true, predicted, participants, len(names))
        )
    if probabilities is not None:
        observed = check_probabilities(probabilities, len(names))
        if len(observed) != true.size:
            raise DataError(f"probabilities: {len(observed)} rows for {true.size} labels")
        report["calibration"] = calibration(true, observed)
    return report


def check_classes(classes: Sequence[str]) -> list[str]:
    """Return the class names as a list; refuse an empty list and repeated names."""
    names = [str(name) for name in classes]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if not names or repeated:
        raise DataError(f"classes: {'repeats ' + ', '.join(repeated) if repeated else 'is empty'}")
    return names


def _pooled(true: Labels, predicted: Labels, counts: npt.NDArray[np.int64]) -> dict[str, Any]:
    labels = np.arange(len(counts))
    present = counts.sum(axis=1) > 0
    macro = metrics.precision_recall_fscore_support(
        true, predicted, labels=labels, average="macro", zero_division=0.0
    )
    weighted = metrics.precision_recall_fscore_support(
        true, predicted, labels=labels, average="weighted", zero_division=0.0
    )
    recalls = np.diagonal(counts)[present] / counts.sum(axis=1)[present]
    return {
        "n_classes_present": int(present.sum()),
        "accuracy": float(metrics.accuracy_score(true, predicted)),
        "balanced_accuracy": float(recalls.mean()),
        "macro_f1": float(macro[2]),
        "macro_f1_present": float(confusion.macro_f1(counts, present)),
        "weighted_f1": float(weighted[2]),
        "macro_precision": float(macro[0]),
        "macro_recall": float(macro[1]),
        "weighted_precision": float(weighted[0]),
        "weighted_recall": float(weighted[1]),
        "macro_f2": float(
            metrics.fbeta_score(true, predicted, beta=2, labels=labels, average="macro", zero_division=0.0)
        ),
        "cohen_kappa": _number(confusion.kappa(counts)),
        "mcc": _mcc(true, predicted),
    }


def _mcc(true: Labels, predicted: Labels) -> float | None:
    """Return Matthews' correlation; None if either side has a single class."""
    if np.ptp(true) == 0 or np.ptp(predicted) == 0:
        return None
    return float(metrics.matthews_corrcoef(true, predicted))


def _per_class(true: Labels, predicted: Labels, names: list[str]) -> list[dict[str, Any]]:
    columns = metrics.precision_recall_fscore_support(
        true, predicted, labels=np.arange(len(names)), average=None, zero_division=0.0
    )
    return [
        {"class": name, "precision": float(p), "recall": float(r), "f1": float(f), "support": int(n)}
        for name, p, r, f, n in zip(names, *columns, strict=True)
    ]


def _transitions(
    true: Labels, predicted: Labels, participants: npt.ArrayLike | None, sequences: npt.ArrayLike | None
) -> dict[str, Any]:
    if sequences is None:
        return {"transition_accuracy": None, "n_transitions": None}
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
    return {"transition_accuracy": both / n_changes if n_changes else None, "n_transitions": n_changes}


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _without_nan(rows: npt.NDArray[np.float64]) -> list[list[float | None]]:
    return [[_number(value) for value in row] for row in rows]
