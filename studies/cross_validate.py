"""Cross-validate a recipe: python -m studies.cross_validate PREPARED RUNS --set nine --recipe base.

Whole people are held out, whose windows do not overlap; the schedule is fixed and nothing is chosen on them.
The probabilities of each fold are kept in RUNS/SET/LABEL/seed-S/fold-K.npz, with the fold's run (and model)
in the folder fold-K: what is there is not computed again, so folds and seeds can be run one by one. When all
folds of a seed are there, its scores are printed and written to RUNS/SET/LABEL.json and LABEL.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.errors import DataError
from patchtst_har.support.files import atomic_write_json, atomic_write_text
from studies.baselines import BASELINES, Baseline
from studies.commands import folder, parser_of, progress_line, run_command
from studies.folds import Folds, fold_people, load_features, of_people
from studies.out_of_fold import OutOfFold, fingerprint, join, kept
from studies.recipes import RECIPES, study_config
from studies.scoring import StudyScores, score_windows, scores_table
from studies.sets import SETS
from studies.training import train, weights_digest


@dataclass(frozen=True)
class Job:
    """What is trained, and under which name it is kept."""

    recipe: str
    label: str
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Study:
    """Where one cross-validation reads and writes.

    Attributes
    ----------
    name : str
        Key of `SETS`.
    prepared, runs : pathlib.Path
        Folder of the prepared sets; folder of all runs.
    overwrite : bool
        Compute again what is there.
    """

    name: str
    prepared: Path
    runs: Path
    overwrite: bool = False

    @property
    def folds(self) -> Folds:
        """Who is held out when."""
        return fold_people(self.name, self.prepared)

    def path(self, label: str, seed: int, fold: int) -> Path:
        """Return the file of a fold."""
        return self.runs / self.name / label / f"seed-{seed}" / f"fold-{fold}.npz"


def network_fold(
    study: Study,
    job: Job,
    fold: int,
    seed: int,
    *,
    train_people: Sequence[str],
    test_people: Sequence[str],
    init: Path | None = None,
) -> OutOfFold:
    """Train a recipe and judge the people of a fold; or read what an earlier call left."""
    path = study.path(job.label, seed, fold)
    config = study_config(
        job.recipe,
        study.prepared / study.name,
        train=train_people,
        test=test_people,
        run_dir=path.with_suffix(""),
        seed=seed,
        overrides=job.overrides,
        init=init,
    )
    windows = load_features(study.name, study.prepared, [*train_people, *test_people], config.features)
    # Settings that a later version adds change nothing as long as they are as by default.
    settings = config.without_paths().model_dump(
        mode="json", exclude={"experiment_name"}, exclude_defaults=True
    )
    if init is not None:
        settings["init"] = weights_digest(init)
    identity = fingerprint(settings, windows)

    def judge() -> OutOfFold:
        held_out = train(config, overwrite=study.overwrite, on_progress=progress_line)
        return OutOfFold.of_held_out(held_out, fold)

    return kept(path, identity, judge, overwrite=study.overwrite)


def baseline_folds(study: Study, folds: Folds, name: str, seed: int) -> OutOfFold:
    """Fit a baseline in every fold, or read what an earlier call left."""
    baseline = BASELINES[name]
    judged = load_features(study.name, study.prepared, folds.people)
    fitted = load_features(study.name, study.prepared, folds.people, hop_s=baseline.hop_s)
    parts = []
    for fold, people in enumerate(folds.test):
        train_set, test_set = of_people(fitted, folds.train(fold)), of_people(judged, people)
        path = study.path(name, seed, fold)
        identity = fingerprint({"baseline": name, "seed": seed}, train_set, test_set)
        judge = partial(_judge_baseline, baseline, train_set, test_set, fold, seed)
        parts.append(kept(path, identity, judge, overwrite=study.overwrite))
        progress_line(fold + 1, len(folds.test), name)
    return join(parts)


def _judge_baseline(
    baseline: Baseline, train_set: FeatureSet, test_set: FeatureSet, fold: int, seed: int
) -> OutOfFold:
    return OutOfFold.of(test_set, baseline.probabilities(train_set, test_set, seed), fold)


def read_folds(study: Study, label: str, seed: int) -> OutOfFold | None:
    """Return the windows of all folds as an earlier run left them; None if one is missing."""
    paths = [study.path(label, seed, fold) for fold in range(len(study.folds.test))]
    if not all(path.exists() for path in paths):
        return None
    return join([OutOfFold.load(path) for path in paths])


def _all_folds(study: Study, label: str, seed: int) -> OutOfFold:
    whole = read_folds(study, label, seed)
    if whole is None:
        raise DataError(f"--against {label}: {study.path(label, seed, 0).parent} has not all folds")
    return whole


def write_scores(study: Study, label: str, scores: dict[str, StudyScores]) -> None:
    """Write scores as JSON and Markdown, and print the Markdown."""
    text = scores_table(scores)
    target = study.runs / study.name / label
    atomic_write_json(target.with_suffix(".json"), {name: one.to_json() for name, one in scores.items()})
    atomic_write_text(target.with_suffix(".md"), text)
    print(text)


def main(arguments: Sequence[str]) -> None:
    """Run the folds that are asked for, and score what is whole."""
    options = _options(arguments)
    study = Study(options.set, options.prepared, options.runs, options.overwrite)
    folds = study.folds
    wanted = options.folds if options.folds is not None else range(len(folds.test))
    if unknown := [fold for fold in wanted if not 0 <= fold < len(folds.test)]:
        raise DataError(f"--folds: {unknown[0]} is none of 0 to {len(folds.test) - 1}")
    job = Job(options.recipe, options.label or options.recipe, tuple(options.set_option))
    others = {name: baseline_folds(study, folds, name, 0) for name in BASELINES} if options.baselines else {}
    scores = {name: score_windows(windows) for name, windows in others.items()}
    for seed in options.seeds if options.recipe else ():
        for fold in () if options.score_only else wanted:
            own = folds.train(fold)
            network_fold(study, job, fold, seed, train_people=own, test_people=folds.test[fold])
        whole = read_folds(study, job.label, seed)
        if whole is not None:
            against = {label: _all_folds(study, label, seed) for label in options.against}
            scores[f"{job.label}, seed {seed}"] = score_windows(whole, {**others, **against})
    if scores:
        write_scores(study, job.label or "baselines", scores)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = parser_of(__doc__, "cross_validate")
    parser.add_argument("prepared", type=folder, help="folder that studies.prepare wrote")
    parser.add_argument("runs", type=folder, help="folder of all runs")
    parser.add_argument("--set", choices=SETS, required=True)
    parser.add_argument("--recipe", choices=RECIPES, help="preset of the network; left out: baselines alone")
    parser.add_argument("--label", help="name under which folds are kept; the recipe's if left out")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--folds", type=int, nargs="+", help="only these, from 0")
    parser.add_argument("--baselines", action="store_true", help="also forests and MiniRocket, compared")
    parser.add_argument(
        "--against", nargs="+", default=[], metavar="LABEL", help="compare with these trainings, seed by seed"
    )
    parser.add_argument(
        "--set-option", action="append", default=[], metavar="SECTION.FIELD=VALUE", help="override a setting"
    )
    parser.add_argument(
        "--score-only",
        action="store_true",
        help="train nothing; score the folds that are there, whatever made them",
    )
    parser.add_argument("--overwrite", action="store_true", help="compute again what is there")
    options = parser.parse_args(arguments)
    if options.recipe is None and not options.baselines:
        parser.error("nothing to do: give --recipe, --baselines or both")
    if options.set_option and not options.label:
        parser.error("--set-option needs a --label of its own")
    return options


if __name__ == "__main__":
    run_command(main)
