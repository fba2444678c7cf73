"""Make the models that the package ships: python -m studies.wrist_weights PREPARED RUNS OUT.

`wrist` (six classes, all people), `wrist-9` (selfBACK's nine classes) and `wrist-base` (the encoder for
fine-tuning: the network of `wrist`, without calibration) are trained on everybody with a fixed seed. What
their cards say of accuracy comes from the cross-validations of the same recipe in RUNS, which have to be
there; before that, each fold's model is run again and has to give the probabilities that are kept.

The temperature of the probabilities is fitted on all out-of-fold windows and kept in the last layer. What is
far from the training windows is measured with the unit that the folds' held-out people ask for. No
smoother is fitted: in these recordings, one activity follows another because a protocol said so.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import patchtst_har
from patchtst_har.errors import DataError
from patchtst_har.inference.class_order import order_classes
from patchtst_har.inference.pretrained_card import write_pretrained_card
from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.model_folder import PROVENANCE_FILE, read_model_folder, write_model_folder
from patchtst_har.models.folder import load_model
from patchtst_har.records.pretrained import (
    Baseline,
    Judgement,
    PretrainedModel,
    Robustness,
    TemperatureFit,
)
from patchtst_har.records.reading import read_record
from patchtst_har.records.run import Calibration, Interval, Provenance
from patchtst_har.support.files import atomic_write_json, ensure_folder, read_json
from patchtst_har.support.formatting import counted, score
from studies.baselines import BASELINES
from studies.cards import WEIGHTS_LICENCE, known_failures, training_data
from studies.commands import folder, parser_of, progress_line, run_command
from studies.cross_validate import Study, read_folds
from studies.familiar import add_familiarity, farther
from studies.folds import load_features
from studies.out_of_fold import OutOfFold
from studies.recipes import RECIPES, study_config
from studies.robustness import CLEAN
from studies.scoring import StudyScores, score_windows, temperature_of
from studies.sets import ordered
from studies.training import train_only

MOST_DIFFERENCE = 1e-4
"""Of a probability that is computed again, on another processor."""


@dataclass(frozen=True)
class Shipped:
    """A model to make."""

    set_name: str
    description: str
    for_labels: bool = True


SHIPPED = {
    "wrist": Shipped(
        "six", "Six daily activities from one wrist: lying, sitting, standing, walking, stairs, running."
    ),
    "wrist-9": Shipped(
        "nine", "Nine activities from one wrist: postures, walking at three paces, stairs, jogging."
    ),
    "wrist-base": Shipped(
        "six", "Encoder of six daily activities, to begin a training from.", for_labels=False
    ),
}


def check_folds(study: Study, label: str, seed: int) -> None:
    """Run the model of each fold again.

    Raises
    ------
    DataError
        If it does not give the probabilities that are kept.
    """
    for fold, people in enumerate(study.folds.test):
        path = study.path(label, seed, fold)
        kept = OutOfFold.load(path)
        recognizer = Recognizer.from_pretrained(path.with_suffix("") / "model", smoothing="none")
        features = load_features(study.name, study.prepared, people, recognizer.config.features)
        again = recognizer.probabilities(features)
        if (
            again.shape != kept.probabilities.shape
            or np.abs(again - kept.probabilities).max() > MOST_DIFFERENCE
        ):
            raise DataError(f"{path}: the fold's model gives other probabilities than are kept")
        progress_line(fold + 1, len(study.folds.test), f"{label}, seed {seed}: checked")


def distance_factors(study: Study, label: str, seed: int) -> list[float]:
    """Return by how much each fold's people are farther from its model's training windows than these."""
    folds, factors = study.folds, []
    for fold, people in enumerate(folds.test):
        model = study.path(label, seed, fold).with_suffix("") / "model"
        recognizer = Recognizer.from_pretrained(model, smoothing="none")
        groups = recognizer.config.features
        train, test = (
            load_features(study.name, study.prepared, part, groups) for part in (folds.train(fold), people)
        )
        factors.append(farther(recognizer, train, test))
    return factors


@dataclass(frozen=True)
class Judged:
    """A cross-validation, as the card needs it; `windows` are those of the seed in the middle."""

    judgement: Judgement
    calibration: TemperatureFit
    windows: OutOfFold


def judgement_of(study: Study, label: str, seeds: Sequence[int]) -> Judged:
    """Return what the card says of a cross-validation.

    Macro F1 is the mean over the seeds; intervals, classes and people are those of the seed in the middle.

    Raises
    ------
    DataError
        If a fold of a seed is missing.
    """
    windows = {seed: read_folds(study, label, seed) for seed in seeds}
    if missing := [seed for seed, found in windows.items() if found is None]:
        raise DataError(
            f"{study.runs / study.name / label}: folds of seed {missing[0]} are missing; run "
            f"python -m studies.cross_validate --set {study.name} --label {label} --seeds {missing[0]}"
        )
    whole = {seed: found for seed, found in windows.items() if found is not None}
    baselines = {name: read_folds(study, name, 0) for name in BASELINES}
    others = {name: found for name, found in baselines.items() if found is not None}
    scores = {seed: score_windows(found, others) for seed, found in whole.items()}
    by_seed = {seed: one.macro_f1.estimate or 0.0 for seed, one in scores.items()}
    middle = sorted(by_seed, key=lambda seed: by_seed[seed])[len(by_seed) // 2]
    chosen = scores[middle]
    judgement = Judgement(
        name=f"{study.name} classes, {len(study.folds.test)} folds over people",
        kind="cross-validation",
        n_people=chosen.n_people,
        n_windows=chosen.n_windows,
        macro_f1=_shifted(chosen.macro_f1, float(np.mean(list(by_seed.values())))),
        accuracy=chosen.accuracy,
        ece=float(np.mean([one.calibration.ece_after for one in scores.values()])),
        per_class=chosen.per_class,
        per_person=chosen.per_person,
        per_seed={str(seed): value for seed, value in by_seed.items()},
        baselines=tuple(
            Baseline(
                name=name,
                macro_f1=score_windows(found).macro_f1.estimate or 0.0,
                difference=chosen.differences[name],
            )
            for name, found in others.items()
        ),
        remark=_remark(chosen, middle),
    )
    return Judged(judgement, _temperature(whole, scores, study), whole[middle])


def _shifted(value: Interval, estimate: float) -> Interval:
    """Return an interval about another estimate, as wide."""
    by = estimate - (value.estimate or 0.0)
    low, high = (None if bound is None else bound + by for bound in (value.low, value.high))
    return Interval(estimate=estimate, low=low, high=high)


def _remark(scores: StudyScores, seed: int) -> str:
    by_source = "; ".join(
        f"{name}: macro F1 {score(one.macro_f1.estimate)} over {len(one.per_class)} classes"
        for name, one in scores.per_source.items()
    )
    return (
        "Windows of 10 s without overlap, no smoothing, a fixed schedule. Classes, people and differences "
        f"are those of seed {seed}." + (f" By source: {by_source}." if by_source else "")
    )


def _temperature(
    windows: dict[int, OutOfFold], scores: dict[int, StudyScores], study: Study
) -> TemperatureFit:
    found = [temperature_of(one) for one in windows.values()]
    return TemperatureFit(
        # Temperatures act as factors.
        temperature=float(np.exp(np.mean(np.log(found)))),
        fitted_on=f"the out-of-fold windows of {counted(len(found), 'seed', 'seeds')}; the errors below are "
        "those with temperatures from the other folds",
        n_people=len(study.folds.people),
        ece_before=float(np.mean([one.calibration.ece_before for one in scores.values()])),
        ece_after=float(np.mean([one.calibration.ece_after for one in scores.values()])),
    )


def train_model(name: str, options: argparse.Namespace) -> Path:
    """Train one of `SHIPPED` on everybody, unless that was done before; return the run's model folder."""
    study = study_of(name, options)
    config = study_config(
        options.recipe,
        study.prepared / study.name,
        train=study.folds.people,
        run_dir=study.runs / study.name / f"{options.label}-everybody" / f"seed-{options.seed}",
        seed=options.seed,
        overrides=options.set_option,
    )
    return train_only(config, overwrite=options.overwrite, on_progress=progress_line)


def make_model(name: str, options: argparse.Namespace) -> Path:
    """Train and write one of `SHIPPED`; return its folder, which is replaced when the new one is whole."""
    study = study_of(name, options)
    judged = judgement_of(study, options.label, options.seeds)
    for seed in options.seeds:
        check_folds(study, options.label, seed)
    trained = train_model(name, options)
    target = ensure_folder(options.out) / name
    with tempfile.TemporaryDirectory(dir=options.out, prefix=f".{name}.") as stage:
        made = Path(stage) / name
        shutil.copytree(trained, made)
        if SHIPPED[name].for_labels:
            fold_temperature(made, judged.calibration)
            groups = read_model_folder(made).config.features
            train = load_features(study.name, study.prepared, study.folds.people, groups)
            add_familiarity(made, train, distance_factors(study, options.label, options.seeds[0]))
        order_classes(made, ordered(study.name, read_model_folder(made).classes))
        write_pretrained_card(made, summary_of(name, made, study, judged, options))
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
    return target


def study_of(name: str, options: argparse.Namespace) -> Study:
    """Return the study of the set that a model is trained on."""
    return Study(SHIPPED[name].set_name, options.prepared, options.runs, options.overwrite)


def summary_of(
    name: str, target: Path, study: Study, judged: Judged, options: argparse.Namespace
) -> PretrainedModel:
    """Return what the card says of a model that lies in `target`."""
    shipped, people = SHIPPED[name], study.folds.people
    module, classes, _ = load_model(target)
    facts: dict[str, Any] = {
        "name": name,
        "description": shipped.description,
        "purpose": "labels" if shipped.for_labels else "fine-tuning",
        "classes": classes,
        "n_people": len(people),
        "data": training_data(shipped.set_name, people),
        "licence": WEIGHTS_LICENCE,
        "n_parameters": sum(parameter.numel() for parameter in module.parameters()),
        "seeds": (options.seed,),
        "made_with": _command(name, options),
        "package_version": patchtst_har.__version__,
    }
    if shipped.for_labels:
        robustness = _robustness(study.runs / study.name / f"{options.label}-robustness.json")
        facts |= {
            "cross_validated": judged.judgement,
            "calibration": judged.calibration,
            "known_failures": known_failures(
                judged.windows, {one.change: one.difference for one in robustness}
            ),
            "robustness": robustness,
        }
    return PretrainedModel(**facts)


def _command(name: str, options: argparse.Namespace) -> str:
    """Return the command that makes a model as this one makes it."""
    words = ["python -m studies.wrist_weights PREPARED RUNS OUT", f"--model {name}"]
    words += [f"--recipe {options.recipe}", f"--label {options.label}"]
    words += [f"--seeds {' '.join(map(str, options.seeds))}", f"--seed {options.seed}"]
    words += [f"--set-option {one}" for one in options.set_option]
    return " ".join(words)


def fold_temperature(folder: Path, fit: TemperatureFit) -> None:
    """Divide the last layer of a model by a temperature, and its logits so; its provenance says it, too."""
    stored = read_model_folder(folder)
    names = ("head.project.weight", "head.project.bias")
    divided = {name: (stored.tensors[name] / fit.temperature).astype(np.float32) for name in names}
    write_model_folder(folder, {**stored.tensors, **divided}, stored.classes, stored.config)
    note_temperature(folder, fit)


def note_temperature(folder: Path, fit: TemperatureFit) -> None:
    """Write a temperature that is part of the last layer into the provenance of a model."""
    path = folder / PROVENANCE_FILE
    if (provenance := read_record(path, Provenance)) is None:
        raise DataError(f"{path}: is missing")
    found = Calibration(temperature=fit.temperature, fitted_on=fit.fitted_on.partition(";")[0])
    atomic_write_json(path, provenance.model_copy(update={"temperature": found}).to_json())


def _robustness(path: Path) -> tuple[Robustness, ...]:
    """Return the table that `studies.robustness` wrote, if it did."""
    if not path.exists():
        return ()
    return tuple(
        Robustness(change=one["change"], macro_f1=one["macro_f1"]["estimate"], difference=one["difference"])
        for one in read_json(path)
        if one["change"] != CLEAN
    )


def main(arguments: Sequence[str]) -> None:
    """Make the models that are asked for."""
    parser = parser_of(__doc__, "wrist_weights")
    parser.add_argument("prepared", type=folder, help="folder that studies.prepare wrote")
    parser.add_argument("runs", type=folder, help="folder of all runs, with the cross-validations")
    parser.add_argument("out", type=folder, help="folder of the models")
    parser.add_argument(
        "--model", dest="models", choices=SHIPPED, action="append", help="only this (repeatable)"
    )
    parser.add_argument("--recipe", choices=RECIPES, default="base")
    parser.add_argument("--label", default="base", help="name of the cross-validations")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the cross-validations")
    parser.add_argument("--seed", type=int, default=0, help="of the models")
    parser.add_argument("--set-option", action="append", default=[], metavar="SECTION.FIELD=VALUE")
    parser.add_argument("--train-only", action="store_true", help="train, and write the models another time")
    parser.add_argument("--overwrite", action="store_true", help="train again")
    options = parser.parse_args(arguments)
    act = train_model if options.train_only else make_model
    for name in options.models or SHIPPED:
        print(f"{name}: {act(name, options)}")


if __name__ == "__main__":
    run_command(main)
