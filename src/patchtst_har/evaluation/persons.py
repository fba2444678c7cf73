"""Scores of each person, and how they spread over people."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from patchtst_har.errors import DataError
from patchtst_har.evaluation import confusion
from patchtst_har.records.run import MIN_PEOPLE_FOR_DECILE

SCORES = ("accuracy", "macro_f1", "cohen_kappa")


def participant_confusions(
    y_true: npt.NDArray[np.int64],
    y_pred: npt.NDArray[np.int64],
    participants: npt.ArrayLike,
    n_classes: int,
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Count a confusion matrix for every person.

    Parameters
    ----------
    y_true, y_pred : ndarray of int64, shape (n,)
        Checked class indices.
    participants : array_like, shape (n,)
        Whose window each is.
    n_classes : int
        Number of classes K.

    Returns
    -------
    names : list of str
        The G people, sorted.
    counts : ndarray of int64, shape (G, K, K)
        Row: true class; column: predicted class.

    Raises
    ------
    DataError
        If `participants` does not have one entry a window.
    """
    people = np.asarray(participants).astype(str)
    if people.shape != y_true.shape:
        raise DataError(f"participants: needs shape {y_true.shape}, has {people.shape}")
    names, index = np.unique(people, return_inverse=True)
    cells = (index * n_classes + y_true) * n_classes + y_pred
    counts = np.bincount(cells, minlength=names.size * n_classes * n_classes)
    return names.tolist(), counts.reshape(names.size, n_classes, n_classes).astype(np.int64)


def participant_scores(names: list[str], counts: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Score every person alone, and summarise over people.

    These figures answer "how well does it work for a person?". They are not comparable with pooled scores,
    in which people with more windows weigh more, and in which every class counts for everybody.

    Parameters
    ----------
    names : list of str
        The G people.
    counts : ndarray of int64, shape (G, K, K)
        See `participant_confusions`.

    Returns
    -------
    dict
        ``n_participants``; ``scores``: one record a person with n, accuracy, macro F1 over the classes that
        this person truly shows, and Cohen's kappa (None if the person shows and is given a single class);
        ``summary``: of each score the mean, the standard deviation between people (n - 1; None for one
        person), the median, the 10th percentile (``worst_decile``; None for fewer than 10 people), and the
        number of people it stands on.
    """
    present = counts.sum(axis=-1) > 0
    columns = {
        "accuracy": confusion.accuracy(counts),
        "macro_f1": confusion.macro_f1(counts, present),
        "cohen_kappa": confusion.kappa(counts),
    }
    records = [
        {
            "participant": name,
            "n": int(counts[i].sum()),
            "n_classes": int(present[i].sum()),
            **{score: _number(columns[score][i]) for score in SCORES},
        }
        for i, name in enumerate(names)
    ]
    return {
        "n_participants": len(names),
        "scores": records,
        "summary": {score: _summary(columns[score]) for score in SCORES},
    }


def _summary(values: npt.NDArray[np.float64]) -> dict[str, float | int | None]:
    known = values[np.isfinite(values)]
    if known.size == 0:
        return {"n": 0, "mean": None, "sd": None, "median": None, "worst_decile": None}
    return {
        "n": int(known.size),
        "mean": float(known.mean()),
        "sd": float(known.std(ddof=1)) if known.size > 1 else None,
        "median": float(np.median(known)),
        "worst_decile": float(np.quantile(known, 0.1)) if known.size >= MIN_PEOPLE_FOR_DECILE else None,
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
