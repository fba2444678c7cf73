"""Two runs on the same held-out participants: what one gains on the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from patchtst_har.errors import DataError
from patchtst_har.evaluation.bootstrap import (
    MIN_PARTICIPANTS_FOR_EFFECT,
    bootstrap_intervals,
    mean_interval,
)
from patchtst_har.evaluation.confusion import Labels
from patchtst_har.evaluation.scores import evaluate
from patchtst_har.records.reading import read_table
from patchtst_har.records.run import HeldOutScores, Interval, Intervals, ParticipantScores, ParticipantSplit
from patchtst_har.records.stored_run import StoredRun

_COLUMNS = ("participant", "start", "label", "raw", "smoothed")
_DECIDED = ("raw", "smoothed")


@dataclass(frozen=True)
class PairedParticipant:
    """Macro F1 of one participant, over the classes that this participant shows, decided by each run."""

    participant: str
    n_windows: int
    reference: float
    other: float

    @property
    def difference(self) -> float:
        """What the other run gains."""
        return self.other - self.reference


@dataclass(frozen=True)
class Pairing:
    """What a run gains on a reference, on the participants whom neither was trained or validated on.

    Attributes
    ----------
    each : tuple of PairedParticipant
        Everyone held out in both, decided as `predict` does (smoothed if training chose that).
    mean : Interval
        Mean over participants of their differences, with its interval.
    pooled : dict of str to Intervals
        ``raw`` and ``smoothed``: differences of pooled scores, paired.
    left_out : dict of str to str
        Participants held out in both whose windows are not the same, and how they differ.
    remarks : tuple of str
        What makes the difference one of more than the settings.
    """

    each: tuple[PairedParticipant, ...]
    mean: Interval
    pooled: dict[str, Intervals]
    left_out: dict[str, str]
    remarks: tuple[str, ...]


def pair_runs(reference: StoredRun, other: StoredRun) -> Pairing:
    """Compare the stored decisions of two runs, window by window.

    If both are cross-validated, everyone's are taken, each by the model of the fold that held them out;
    otherwise those on the test participants.

    Raises
    ------
    DataError
        If a run has no scores on test participants, the classes differ, or no participant is held out in
        both with the same windows and labels; or a file is damaged.
    """
    crossed = reference.cross_validation is not None and other.cross_validation is not None
    classes = _scores(reference, crossed).classes
    if set(classes) != set(_scores(other, crossed).classes):
        raise DataError(f"{reference.folder} and {other.folder} have different classes")
    first, second = (_decisions(run, crossed) for run in (reference, other))
    shared = sorted(first.keys() & second.keys())
    left_out = {name: text for name in shared if (text := _unlike(first[name], second[name]))}
    people = [name for name in shared if name not in left_out]
    if not people:
        why = f" with the same windows ({next(iter(left_out.values()))})" if left_out else ""
        raise DataError(f"{reference.folder} and {other.folder}: no participant is held out in both{why}")
    one, two = (pd.concat([frames[name] for name in people]) for frames in (first, second))
    remarks = list(_remarks(reference, other, crossed))
    if len(people) < MIN_PARTICIPANTS_FOR_EFFECT:
        remarks.append("of so few participants no difference can be distinguished from chance")
    return Pairing(*_scored(one, two, classes), left_out=left_out, remarks=tuple(remarks))


def _scores(run: StoredRun, crossed: bool) -> HeldOutScores:
    scores = run.cross_validation if crossed else run.evaluation
    if scores is None:
        raise DataError(f"{run.folder}: has no scores on test participants (evaluation.json)")
    return scores


def _decisions(run: StoredRun, crossed: bool) -> dict[str, pd.DataFrame]:
    """Return each held-out participant's rows of ``predictions.csv``, in order of time."""
    folds = sorted((run.folder / "folds").glob("fold_*/predictions.csv")) if crossed else []
    people: dict[str, pd.DataFrame] = {}
    for path in (run.folder / "predictions.csv", *folds):
        for name, rows in _read(path).groupby("participant", sort=False):
            if str(name) in people:
                raise DataError(f"{path}: participant {name!r} is held out in another fold, too")
            people[str(name)] = rows.sort_values("start", ignore_index=True)
    return people


def _read(path: Path) -> pd.DataFrame:
    frame = read_table(path, _COLUMNS, ["start"])
    if frame is None:
        raise DataError(f"{path}: no such file: without it runs cannot be compared window by window")
    return frame


def _unlike(one: pd.DataFrame, two: pd.DataFrame) -> str | None:
    """Return how the windows of one participant differ in two runs; None if they are the same."""
    if not one["start"].equals(two["start"]):
        return f"{len(one):,} and {len(two):,} windows at other times"
    if not one["label"].equals(two["label"]):
        return "other labels"
    return None


def _scored(
    one: pd.DataFrame, two: pd.DataFrame, classes: tuple[str, ...]
) -> tuple[tuple[PairedParticipant, ...], Interval, dict[str, Intervals]]:
    people = one["participant"].to_numpy(dtype=str)
    true = _indices(one["label"], classes)
    decided = {
        column: (_indices(one[column], classes), _indices(two[column], classes)) for column in _DECIDED
    }
    each = tuple(
        PairedParticipant(before.participant, before.n, before.macro_f1 or 0.0, after.macro_f1 or 0.0)
        for before, after in zip(
            *(_each(true, labels, people, classes) for labels in decided["smoothed"]), strict=True
        )
    )
    pooled = {
        column: bootstrap_intervals(true, new, people, len(classes), other=old)
        for column, (old, new) in decided.items()
    }
    return each, mean_interval([pair.difference for pair in each]), pooled


def _each(
    true: Labels, decided: Labels, people: NDArray[np.str_], classes: tuple[str, ...]
) -> tuple[ParticipantScores, ...]:
    scores = evaluate(true, decided, classes=classes, participants=people).per_participant
    return () if scores is None else scores.scores


def _indices(names: pd.Series[str], classes: tuple[str, ...]) -> Labels:
    known = pd.Index(classes).get_indexer(pd.Index(names))
    if (known < 0).any():
        raise DataError(
            f"predictions.csv: label {names.iloc[int(np.argmin(known))]!r} is not one of the classes"
        )
    return known.astype(np.int64)


def _remarks(reference: StoredRun, other: StoredRun, crossed: bool) -> Iterator[str]:
    """Yield what differs in data and people: then settings alone do not explain a difference."""
    stored = [run.provenance for run in (reference, other)]
    prints = [None if record is None else record.data_fingerprint for record in stored]
    if None in prints:
        yield "whether both have the same data is unknown: an earlier version kept no fingerprint of them"
    elif prints[0] != prints[1]:
        yield f"the data differ (fingerprints {str(prints[0])[:12]} and {str(prints[1])[:12]})"
    folds = [_folds(run) if crossed else _split(run) for run in (reference, other)]
    if folds[0] != folds[1] or None in folds:
        what = "folds" if crossed else "split"
        yield f"the {what} differ{'' if crossed else 's'}: the two were trained on different people"


def _folds(run: StoredRun) -> set[tuple[str, ...]] | None:
    return None if run.cross_validation is None else {fold.test for fold in run.cross_validation.folds}


def _split(run: StoredRun) -> ParticipantSplit | None:
    return None if run.provenance is None else run.provenance.split
