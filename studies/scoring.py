"""Out-of-fold probabilities to scores, overall and by class, person and source; paired differences."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from patchtst_har.errors import DataError
from patchtst_har.evaluation.bootstrap import bootstrap_intervals
from patchtst_har.evaluation.calibration import ece, fit_temperature, nll
from patchtst_har.evaluation.scores import evaluate
from patchtst_har.records.run import ClassScores, Interval, Record
from patchtst_har.support.formatting import score
from studies.out_of_fold import OutOfFold
from studies.sets import source_of

_SMALLEST = 1e-12
"""Forests give zeros, of which a temperature cannot take the logarithm."""


class Calibrated(Record):
    """How well probabilities fit, before and after temperatures that come from the other folds' windows."""

    ece_before: float
    ece_after: float
    nll_before: float
    nll_after: float
    temperatures: tuple[float, ...]
    """One for each fold."""


class SourceScores(Record):
    """Scores of the people of one source."""

    n_people: int
    n_windows: int
    macro_f1: Interval
    per_class: tuple[ClassScores, ...]


class StudyScores(Record):
    """Scores of one method with one seed; intervals are of 95 %, over people.

    Macro F1 is over the classes that the windows show, of each person over those that the person shows.
    """

    n_people: int
    n_windows: int
    macro_f1: Interval
    accuracy: Interval
    per_class: tuple[ClassScores, ...]
    per_person: dict[str, float]
    person_mean: float
    person_worst: float
    per_source: dict[str, SourceScores] = Field(default_factory=dict)
    """Empty if there is one source."""
    calibration: Calibrated
    differences: dict[str, Interval] = Field(default_factory=dict)
    """Macro F1 minus that of another method on the same windows, paired over people."""


def score_windows(windows: OutOfFold, others: Mapping[str, OutOfFold] | None = None) -> StudyScores:
    """Score pooled out-of-fold windows.

    Parameters
    ----------
    windows : OutOfFold
        Of all folds (`studies.out_of_fold.join`).
    others : mapping of str to OutOfFold, optional
        Other methods on the same windows, by name.

    Raises
    ------
    DataError
        If another method judged other windows.
    """
    decided = windows.probabilities.argmax(axis=1)
    scores = evaluate(windows.labels, decided, classes=windows.classes, participants=windows.participants)
    people = (
        {}
        if scores.per_participant is None
        else {one.participant: float(one.macro_f1 or 0.0) for one in scores.per_participant.scores}
    )
    return StudyScores(
        n_people=len(people),
        n_windows=len(windows),
        **intervals(windows),
        per_class=tuple(one for one in scores.per_class if one.support),
        per_person=people,
        person_mean=float(np.mean(list(people.values()))),
        person_worst=min(people.values()),
        per_source=_per_source(windows),
        calibration=calibrated(windows),
        differences={name: _difference(windows, other, name) for name, other in (others or {}).items()},
    )


def calibrated(windows: OutOfFold) -> Calibrated:
    """Return calibration errors; the windows of a fold get the temperature of all other folds' windows."""
    after = np.empty_like(windows.probabilities)
    temperatures = []
    for fold in np.unique(windows.folds):
        own = windows.folds == fold
        temperatures.append(temperature_of(windows.take(~own)))
        after[own] = tempered(windows.probabilities[own], temperatures[-1])
    return Calibrated(
        ece_before=ece(windows.labels, windows.probabilities),
        ece_after=ece(windows.labels, after),
        nll_before=nll(windows.labels, windows.probabilities),
        nll_after=nll(windows.labels, after),
        temperatures=tuple(temperatures),
    )


def temperature_of(windows: OutOfFold) -> float:
    """Return the temperature that fits out-of-fold probabilities best."""
    return fit_temperature(_logits(windows.probabilities), windows.labels)


def tempered(probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return probabilities (n, K) whose logits are divided by a temperature."""
    scaled = _logits(probabilities) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return result


def _logits(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(np.maximum(probabilities, _SMALLEST))


def _per_source(windows: OutOfFold) -> dict[str, SourceScores]:
    sources = np.array([source_of(name) for name in windows.participants.tolist()])
    names = np.unique(sources).tolist()
    return {name: _of_source(windows.take(sources == name)) for name in names} if len(names) > 1 else {}


def _of_source(windows: OutOfFold) -> SourceScores:
    scores = evaluate(windows.labels, windows.probabilities.argmax(axis=1), classes=windows.classes)
    return SourceScores(
        n_people=len(set(windows.participants.tolist())),
        n_windows=len(windows),
        macro_f1=intervals(windows)["macro_f1"],
        per_class=tuple(one for one in scores.per_class if one.support),
    )


def intervals(windows: OutOfFold, other: OutOfFold | None = None) -> dict[str, Interval]:
    """Return macro F1, over the classes that the windows show, and accuracy; or minus another method's.

    A window that gets a class which no window shows is wrong in its own class.
    """
    n_classes = len(windows.classes)
    found = bootstrap_intervals(
        windows.labels,
        windows.probabilities.argmax(axis=1),
        windows.participants,
        n_classes,
        other=None if other is None else other.probabilities.argmax(axis=1),
    )
    # The mean runs over all classes; those without a window add 0.
    share = n_classes / len(np.unique(windows.labels))
    scaled = {name: None if value is None else value * share for name, value in dict(found.macro_f1).items()}
    return {"macro_f1": Interval(**scaled), "accuracy": found.accuracy}


def _difference(windows: OutOfFold, other: OutOfFold, name: str) -> Interval:
    same = len(windows) == len(other) and all(
        np.array_equal(getattr(windows, key), getattr(other, key))
        for key in ("participants", "start_ns", "labels")
    )
    if not same:
        raise DataError(f"{name}: judged other windows, so it cannot be compared")
    return intervals(windows, other)["macro_f1"]


def scores_table(scores: Mapping[str, StudyScores]) -> str:
    """Return the scores of several methods as Markdown."""
    compared = list(dict.fromkeys(name for one in scores.values() for name in one.differences))
    sources = list(dict.fromkeys(name for one in scores.values() for name in one.per_source))
    heads = ["method", "macro F1", "accuracy", "person mean", "worst", *sources, "ECE", "calibrated"]
    heads += [f"minus {name}" for name in compared]
    rows = [
        [
            name,
            bounded(one.macro_f1),
            score(one.accuracy.estimate),
            score(one.person_mean),
            score(one.person_worst),
            *(bounded(one.per_source[source].macro_f1) for source in sources),
            score(one.calibration.ece_before),
            score(one.calibration.ece_after),
            *(bounded(one.differences[other], "+") if other in one.differences else "" for other in compared),
        ]
        for name, one in scores.items()
    ]
    classes = list(dict.fromkeys(one.name for own in scores.values() for one in own.per_class))
    by_class = [[name, *_class_cells(own, classes)] for name, own in scores.items()]
    return table(heads, rows) + "\nF1 of each class:\n\n" + table(["method", *classes], by_class)


def _class_cells(scores: StudyScores, classes: list[str]) -> list[str]:
    found = {one.name: score(one.f1) for one in scores.per_class}
    return [found.get(name, "") for name in classes]


def bounded(value: Interval, sign: str = "") -> str:
    """Return an estimate with its bounds."""
    if value.estimate is None or value.low is None or value.high is None:
        return score(value.estimate)
    return f"{value.estimate:{sign}.3f} ({value.low:{sign}.3f} to {value.high:{sign}.3f})"


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
