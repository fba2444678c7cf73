"""What a person's own labels bring: python -m studies.adaptation PREPARED RUNS --set nine --label base.

The models of a cross-validation are adapted to each person that they were not trained on, with the first 30 s
(`--seconds`) of each activity, or of some (`--only`), and judge the rest, twice:

- `within`: the first bout of a class gives the labels, and everything else is judged, the rest of the same
  bout too. Sensor, posture and day are those of the labels, so this is optimistic.
- `across`: only windows of later bouts are judged, of the classes of which a person has several. selfBACK
  has them in six classes (walking at three speeds, stairs up and down), seglearn's watch set in all (one arm,
  then the other). Classes of fewer than three people are left out. No lying, sitting or standing of another
  day is in these data.

Scores go to RUNS/SET/LABEL-adapted.json and .md; with `--only`, the classes are part of the name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.errors import DataError
from patchtst_har.evaluation.adaptation import bouts_of
from patchtst_har.inference.recognizer import Recognizer
from studies.commands import folder, parser_of, progress_line, run_command
from studies.cross_validate import Study, write_scores
from studies.familiar import fit_on_training
from studies.folds import load_features, of_people, rows_of
from studies.out_of_fold import OutOfFold, join
from studies.scoring import StudyScores, score_windows
from studies.sets import SETS, open_set

WINDOW_S = 10.0
LEAST_PEOPLE = 3
"""A single person with two bouts of a class says nothing of the class."""


@dataclass(frozen=True)
class Labels:
    """Which windows of a person get labels: so many of the first bout of each class, or of some classes."""

    n_windows: int = 3
    only: tuple[str, ...] = ()


def bouts_by_class(person: FeatureSet) -> NDArray[np.int64]:
    """Return the bout (n,) of each window of one person: from 0 within each class, in order of time.

    Any gap ends a bout here, so that an activity that was recorded in two ways has two.
    """
    size_ns = round(person.windows.shape[1] * 1e7)
    bouts = bouts_of(person.labels, person.start_ns, most_apart_ns=size_ns + 1_000_000)
    for label in np.unique(person.labels):
        own = person.labels == label
        bouts[own] = np.unique(bouts[own], return_inverse=True)[1]
    return bouts


def labelled_rows(
    person: FeatureSet, bouts: NDArray[np.int64], labels: Labels = Labels()
) -> NDArray[np.int64]:
    """Return the windows that get labels."""
    rows = [
        np.flatnonzero((person.labels == k) & (bouts == 0))[: labels.n_windows]
        for k in np.unique(person.labels)
        if not labels.only or person.classes[k] in labels.only
    ]
    return np.sort(np.concatenate(rows))


def judged_rows(
    person: FeatureSet, labelled: NDArray[np.int64], bouts: NDArray[np.int64]
) -> dict[str, NDArray[np.int64]]:
    """Return the windows that are judged within and across bouts."""
    rest = np.setdiff1d(np.arange(len(person)), labelled)
    return {"within": rest, "across": rest[bouts[rest] > 0]}


def adapt_person(
    recognizer: Recognizer, person: FeatureSet, fold: int, labels: Labels
) -> dict[tuple[str, str], OutOfFold]:
    """Return how windows are judged, by (`within` or `across`, `before` or `adapted`)."""
    bouts = bouts_by_class(person)
    labelled = labelled_rows(person, bouts, labels)
    names = np.array(recognizer.classes)[person.labels[labelled]]
    adapted = recognizer.adapt(person.windows[labelled], names, person.start_ns[labelled])
    results: dict[tuple[str, str], OutOfFold] = {}
    for kind, rows in judged_rows(person, labelled, bouts).items():
        part = rows_of(person, rows)
        for name, one in (("before", recognizer), ("adapted", adapted)):
            results[kind, name] = OutOfFold.of(part, one.probabilities(part), fold)
    return results


def adapt_folds(study: Study, label: str, seed: int, labels: Labels) -> dict[tuple[str, str], OutOfFold]:
    """Adapt the model of each fold to each of its test people, and pool what they judge."""
    parts: dict[tuple[str, str], list[OutOfFold]] = {}
    for fold, people in enumerate(study.folds.test):
        model = study.path(label, seed, fold).with_suffix("") / "model"
        if not model.is_dir():
            raise DataError(f"{model}: no such model; train it with python -m studies.cross_validate")
        recognizer = Recognizer.from_pretrained(model, smoothing="none")
        groups, trained = recognizer.config.features, study.folds.train(fold)
        train = load_features(study.name, study.prepared, trained, groups)
        recognizer = recognizer.replace(familiarity=fit_on_training(recognizer, train))
        features = load_features(study.name, study.prepared, people, groups)
        for person in people:
            found = adapt_person(recognizer, of_people(features, [person]), fold, labels)
            for key, windows in found.items():
                parts.setdefault(key, []).append(windows)
        progress_line(fold + 1, len(study.folds.test), "adapted")
    return {
        key: join([one for one in windows if len(one)])
        for key, windows in parts.items()
        if any(map(len, windows))
    }


def scores_of(pooled: dict[tuple[str, str], OutOfFold], labels: Labels) -> dict[str, StudyScores]:
    """Return the scores before and after, and the paired difference."""
    scores: dict[str, StudyScores] = {}
    for kind in ("within", "across"):
        if (kind, "before") not in pooled:
            continue
        before, adapted = (of_many(pooled[kind, name]) for name in ("before", "adapted"))
        if len(before):
            scores[f"{kind} bouts, before"] = score_windows(before)
            scores[f"{kind} bouts, {labels.n_windows * WINDOW_S:g} s a class"] = score_windows(
                adapted, {"before": before}
            )
    return scores


def of_many(windows: OutOfFold) -> OutOfFold:
    """Leave out the windows of classes that fewer than `LEAST_PEOPLE` people show."""
    shown = [
        label
        for label in np.unique(windows.labels)
        if len(np.unique(windows.participants[windows.labels == label])) >= LEAST_PEOPLE
    ]
    return windows.take(np.isin(windows.labels, shown))


def main(arguments: Sequence[str]) -> None:
    """Adapt, score, write."""
    parser = parser_of(__doc__, "adaptation")
    parser.add_argument("prepared", type=folder, help="folder that studies.prepare wrote")
    parser.add_argument("runs", type=folder, help="folder of all runs")
    parser.add_argument("--set", choices=SETS, required=True)
    parser.add_argument("--label", required=True, help="name under which the folds are kept")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=30.0, help="that are labelled of each class")
    parser.add_argument("--only", nargs="+", default=[], help="classes that are labelled; all if left out")
    options = parser.parse_args(arguments)
    study = Study(options.set, options.prepared, options.runs)
    classes = open_set(study.name, study.prepared).classes
    if unknown := sorted(set(options.only) - set(classes)):
        raise DataError(f"--only: {unknown[0]!r} is none of {', '.join(classes)}")
    if options.seconds < WINDOW_S:
        raise DataError(f"--seconds: must be at least a window of {WINDOW_S:g} s, is {options.seconds:g}")
    labels = Labels(int(options.seconds // WINDOW_S), tuple(options.only))
    scores = scores_of(adapt_folds(study, options.label, options.seed, labels), labels)
    write_scores(study, "-".join([options.label, "adapted", *options.only]), scores)


if __name__ == "__main__":
    run_command(main)
