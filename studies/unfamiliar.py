"""Which windows are called unlike the training data: python -m studies.unfamiliar PREPARED RUNS --set nine.

The models of a cross-validation judge the people whom they hold out, and the windows of sets with other
activities (the median distance over the models counts). The unit of a fold's distances is the mean of
the other folds', as a model that is trained on everybody gets it. RUNS/SET/LABEL-unfamiliar.json is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.errors import DataError
from patchtst_har.inference.familiarity import MOST_UNFAMILIAR
from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.records.run import Record
from patchtst_har.support.files import atomic_write_json
from studies.commands import folder, parser_of, run_command
from studies.cross_validate import Study
from studies.familiar import farther, fit_on_training
from studies.folds import fold_people, load_features, of_people
from studies.sets import SETS


class Shares(Record):
    """Which part of the windows is unfamiliar."""

    n_windows: int
    all: float
    by_class: dict[str, float]
    by_person: dict[str, float]

    @classmethod
    def of(cls, distances: NDArray[np.float64], features: FeatureSet) -> Shares:
        """Count windows by their distances."""
        unfamiliar, people = ~(distances <= 1), features.participants
        return cls(
            n_windows=len(features),
            all=float(unfamiliar.mean()),
            by_class={
                name: float(unfamiliar[features.labels == k].mean())
                for k, name in enumerate(features.classes)
                if (features.labels == k).any()
            },
            by_person={
                name: float(unfamiliar[people == name].mean()) for name in sorted(set(people.tolist()))
            },
        )

    def __str__(self) -> str:
        """Return one line."""
        people = np.array(list(self.by_person.values()))
        return (
            f"{self.all:.1%} of {self.n_windows} windows are unfamiliar; of people {np.median(people):.1%}"
            f" in the median, {people.max():.1%} at most; {(people > MOST_UNFAMILIAR).mean():.0%} of people "
            "get a warning"
        )


@dataclass(frozen=True, eq=False)
class FoldModel:
    """A fold's model, whom the fold holds out, and how much farther these are than the training windows."""

    recognizer: Recognizer
    people: tuple[str, ...]
    factor: float

    def distances(self, features: FeatureSet, factor: float) -> NDArray[np.float64]:
        """Return the distances of windows, in the unit that a factor gives."""
        return self.recognizer.judge(features)[1] / factor


def fold_models(study: Study, label: str, seed: int) -> Iterator[FoldModel]:
    """Yield the models of a cross-validation.

    Raises
    ------
    DataError
        If one is not there.
    """
    for fold, people in enumerate(study.folds.test):
        model = study.path(label, seed, fold).with_suffix("") / "model"
        if not model.is_dir():
            raise DataError(f"{model}: no such model; train it with python -m studies.cross_validate")
        recognizer = Recognizer.from_pretrained(model, smoothing="none")
        train, test = (
            load_features(study.name, study.prepared, part, recognizer.config.features)
            for part in (study.folds.train(fold), people)
        )
        recognizer = recognizer.replace(familiarity=fit_on_training(recognizer, train))
        yield FoldModel(recognizer, tuple(people), farther(recognizer, train, test))


def main(arguments: Sequence[str]) -> None:
    """Print and write the shares of unfamiliar windows."""
    parser = parser_of(__doc__, "unfamiliar")
    parser.add_argument("prepared", type=folder, help="folder that studies.prepare wrote")
    parser.add_argument("runs", type=folder, help="folder of all runs, with the cross-validation")
    parser.add_argument("--set", dest="name", choices=SETS, default="nine")
    parser.add_argument("--label", default="base", help="name of the cross-validation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--foreign", nargs="*", choices=SETS, default=["seglearn"], help="other sets")
    options = parser.parse_args(arguments)
    study = Study(options.name, options.prepared, options.runs)
    models = list(fold_models(study, options.label, options.seed))
    used = models[0].recognizer.config.features
    own = load_features(study.name, study.prepared, study.folds.people, used)
    foreign = {
        name: load_features(name, study.prepared, fold_people(name, study.prepared).people, used)
        for name in options.foreign
    }
    distances = np.full(len(own), np.nan)
    by_set: dict[str, list[NDArray[np.float64]]] = {name: [] for name in foreign}
    for model in models:
        factor = float(np.exp(np.mean([np.log(one.factor) for one in models if one is not model])))
        rows = np.isin(own.participants, model.people)
        distances[rows] = model.distances(of_people(own, model.people), factor)
        for name, features in foreign.items():
            by_set[name].append(model.distances(features, factor))
    found = {f"{study.name}, held out": Shares.of(distances, own)}
    found |= {
        name: Shares.of(np.median(by_set[name], axis=0), features) for name, features in foreign.items()
    }
    path = study.runs / study.name / f"{options.label}-unfamiliar.json"
    unfamiliar = {name: shares.to_json() for name, shares in found.items()}
    atomic_write_json(path, {"factors": [model.factor for model in models], "unfamiliar": unfamiliar})
    for name, shares in found.items():
        print(f"{name}: {shares}")
    print(f"written: {path}")


if __name__ == "__main__":
    run_command(main)
