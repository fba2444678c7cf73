"""What a person's labels bring: python -m studies.adaptation PREPARED RUNS --set nine --seconds 15 30 60.

The models of a cross-validation are adapted to each person whom they hold out: to the windows (every 2.5 s)
that lie within the first seconds of the first bout of each class, and judged on windows without overlap:
those that begin after these seconds in the same bout, which is optimistic, and those of later bouts of the
class, where people have several. With `--only`, the other classes get no label.
RUNS/SET/LABEL-adaptation.json is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.evaluation.adaptation import bouts_of
from patchtst_har.evaluation.confusion import confusion_counts, f_score
from patchtst_har.inference.adaptation import fit_residual
from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.records.run import Record
from patchtst_har.support.files import atomic_write_json
from studies.commands import folder, parser_of, run_command
from studies.cross_validate import Study
from studies.familiarity import fold_models
from studies.folds import load_features, of_people, rows_of
from studies.sets import SETS

HOP_S, WINDOW_S = 2.5, 10.0


class Judgement(Record):
    """Decisions without (before) or with (after) the adaptation."""

    macro_f1: float
    """Over the classes that occur."""
    by_person: tuple[float, ...]
    right_labelled: float | None
    """Part of the windows of labelled classes that got the right class."""
    right_others: float | None


class Scores(Record):
    """What labels bring."""

    n_windows: int
    before: Judgement
    after: Judgement

    def __str__(self) -> str:
        """Return one line."""
        texts = [f"{self.n_windows} windows"]
        for name, one in (("before", self.before), ("after", self.after)):
            others = "" if one.right_others is None else f", of the other classes {one.right_others:.3f}"
            texts.append(
                f"{name} macro F1 {one.macro_f1:.3f} (worst person {min(one.by_person):.3f}), right "
                f"{one.right_labelled:.3f}{others}"
            )
        return "; ".join(texts)


@dataclass
class Decided:
    """True class, decisions before and after, and person of windows: rows of four numbers."""

    rows: list[NDArray[np.int64]] = field(default_factory=list)

    def scores(self, n_classes: int, labelled: NDArray[np.int64]) -> Scores | None:
        """Score the windows; None if there are none."""
        table = np.concatenate([np.empty((0, 4), np.int64), *self.rows])
        if not len(table):
            return None
        judgements = [_judgement(table, column, n_classes, labelled) for column in (1, 2)]
        return Scores(n_windows=len(table), before=judgements[0], after=judgements[1])


def _judgement(
    table: NDArray[np.int64], column: int, n_classes: int, labelled: NDArray[np.int64]
) -> Judgement:
    known, right = np.isin(table[:, 0], labelled), table[:, 0] == table[:, column]
    return Judgement(
        macro_f1=_macro_f1(table, column, n_classes),
        by_person=tuple(
            _macro_f1(table[table[:, 3] == n], column, n_classes) for n in np.unique(table[:, 3])
        ),
        right_labelled=float(right[known].mean()) if known.any() else None,
        right_others=float(right[~known].mean()) if (~known).any() else None,
    )


def _macro_f1(table: NDArray[np.int64], column: int, n_classes: int) -> float:
    """Return the mean F1 of the classes that occur."""
    counts = confusion_counts(table[:, 0], table[:, column], n_classes)
    return float(f_score(counts)[counts.sum(axis=1) > 0].mean())


def place_of(windows: FeatureSet) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the number of each window's bout among those of its class, and its begin in it, in s."""
    bouts = bouts_of(windows.labels, windows.start_ns)
    number, since_s = np.zeros(len(windows), np.int64), np.zeros(len(windows))
    for k in np.unique(windows.labels):
        own = np.flatnonzero(windows.labels == k)
        number[own] = np.unique(bouts[own], return_inverse=True)[1]
    for bout in np.unique(bouts):
        rows = bouts == bout
        since_s[rows] = (windows.start_ns[rows] - windows.start_ns[rows].min()) * 1e-9
    return number, since_s


def judge_person(
    recognizer: Recognizer,
    dense: FeatureSet,
    judged: FeatureSet,
    seconds: float,
    only: NDArray[np.int64],
    into: dict[str, Decided],
    n: int,
) -> None:
    """Adapt a model to a person's first seconds, and add the decisions on the other windows."""
    number, since_s = place_of(dense)
    chosen = (number == 0) & (since_s + WINDOW_S <= seconds) & np.isin(dense.labels, only)
    logits, embeddings = recognizer.embed(rows_of(dense, np.flatnonzero(chosen)))
    familiarity, head = recognizer.check_adaptable(), recognizer.head()
    weight, bias = fit_residual(embeddings, logits, dense.labels[chosen], familiarity, head)
    logits, embeddings = recognizer.embed(judged)
    before, after = logits.argmax(axis=1), (logits + embeddings @ weight.T + bias).argmax(axis=1)
    number, since_s = place_of(judged)
    parts = {"same bout": (number == 0) & (since_s >= seconds), "later bouts": number > 0}
    columns = np.stack([judged.labels, before, after, np.full_like(before, n)], axis=1)
    for name, rows in parts.items():
        into[name].rows.append(columns[rows])


def main(arguments: Sequence[str]) -> None:
    """Print and write what labels bring."""
    parser = parser_of(__doc__, "adaptation")
    parser.add_argument("prepared", type=folder, help="folder that studies.prepare wrote")
    parser.add_argument("runs", type=folder, help="folder of all runs, with the cross-validation")
    parser.add_argument("--set", dest="name", choices=SETS, default="nine")
    parser.add_argument("--label", default="base", help="name of the cross-validation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, nargs="+", default=[15.0, 30.0, 60.0])
    parser.add_argument("--only", nargs="*", default=[], help="classes that are labelled; all if left out")
    options = parser.parse_args(arguments)
    study = Study(options.name, options.prepared, options.runs)
    models = list(fold_models(study, options.label, options.seed))
    features = models[0].recognizer.config.features
    people = study.folds.people
    judged = load_features(study.name, study.prepared, people, features)
    dense = load_features(study.name, study.prepared, people, features, hop_s=HOP_S)
    only = [name for name in judged.classes if name in options.only or not options.only]
    labelled = np.array([judged.classes.index(name) for name in only])
    document: dict[str, dict[str, Any]] = {}
    for seconds in options.seconds:
        into = {"same bout": Decided(), "later bouts": Decided()}
        for model in models:
            for person in model.people:
                own = of_people(dense, [person]), of_people(judged, [person])
                judge_person(model.recognizer, *own, seconds, labelled, into, people.index(person))
        document[f"{seconds:g}"] = {}
        for name, decided in into.items():
            scores = decided.scores(len(judged.classes), labelled)
            if scores is not None:
                document[f"{seconds:g}"][name] = scores.to_json()
                print(f"{seconds:g} s of {', '.join(only)}, {name}: {scores}")
    suffix = "".join(f"-{name}" for name in options.only)
    path = study.runs / study.name / f"{options.label}-adaptation{suffix}.json"
    atomic_write_json(path, document)
    print(f"written: {path}")


if __name__ == "__main__":
    run_command(main)
