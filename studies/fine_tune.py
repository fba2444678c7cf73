"""Does an encoder that knows other people help? python -m studies.fine_tune PREPARED RUNS.

In each fold of the nine-class set, some of the training people (5, 10, 20, all) train a network from scratch,
and another that begins with an encoder. The encoder was trained on WISDM's people and the other selfBACK
training people, with their six classes or to predict hidden samples: it has met neither the people of this
training nor those of the test. The test people of a fold are the same for every number. Scores go to
RUNS/nine/fine-tune-ENCODER-HOW.json and .md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import get_args

import numpy as np

from patchtst_har.errors import DataError
from patchtst_har.recipe import FineTune
from studies.commands import folder, parser_of, progress_line, run_command
from studies.cross_validate import Job, Study, network_fold, read_folds, write_scores
from studies.folds import Folds
from studies.recipes import RECIPES, study_config
from studies.scoring import StudyScores, score_windows
from studies.sets import source_of
from studies.training import train_masked, train_only

ENCODERS = {"labelled": train_only, "masked": train_masked}
"""How an encoder is trained: by its kind."""

SIZES = (5, 10, 20)
"""Numbers of training people; all of them is added."""


def pick(people: Sequence[str], size: int, seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return `size` of the people and the others, sorted; a larger number has the smaller one's people."""
    order = np.random.default_rng(seed).permutation(len(people))
    chosen = sorted(people[index] for index in order[:size])
    return tuple(chosen), tuple(sorted(set(people) - set(chosen)))


def run_size(
    studies: tuple[Study, Study], folds: Folds, size: int, fold: int, options: argparse.Namespace
) -> None:
    """Train one fold with one number of people, from scratch and from an encoder."""
    nine, six = studies
    recipe, seed, overrides = options.recipe, options.seed, tuple(options.set_option)
    own, others = pick(folds.train(fold), size, seed)
    judged = folds.test[fold]
    scratch = Job(recipe, f"scratch-{size}", overrides)
    network_fold(nine, scratch, fold, seed, train_people=own, test_people=judged)
    wisdm = [name for name in six.folds.people if source_of(name) == "wisdm"]
    config = study_config(
        recipe,
        six.prepared / six.name,
        train=[*others, *wisdm],
        run_dir=six.path(f"{options.encoder}-encoder-without-{size}", seed, fold).with_suffix(""),
        seed=seed,
        overrides=overrides,
    )
    encoder = ENCODERS[options.encoder](config, overwrite=six.overwrite, on_progress=progress_line)
    how = f"training.fine_tune={options.fine_tune}"
    tuned = Job(recipe, tuned_label(options.encoder, options.fine_tune, size), (*overrides, how))
    network_fold(nine, tuned, fold, seed, train_people=own, test_people=judged, init=encoder)


def tuned_label(encoder: str, fine_tune: str, size: int) -> str:
    """Return the name under which trainings from the encoder are kept."""
    return f"tuned-{encoder}-{fine_tune}-{size}"


def main(arguments: Sequence[str]) -> None:
    """Train what is asked for, and score what is whole."""
    parser = parser_of(__doc__, "fine_tune")
    parser.add_argument("prepared", type=folder, help="folder that studies.prepare wrote")
    parser.add_argument("runs", type=folder, help="folder of all runs")
    parser.add_argument("--recipe", choices=RECIPES, default="base")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sizes", type=int, nargs="+", help=f"training people; {SIZES} and all if left out")
    parser.add_argument("--folds", type=int, nargs="+", help="only these, from 0")
    parser.add_argument("--encoder", choices=ENCODERS, default="labelled", help="how the encoder is trained")
    parser.add_argument(
        "--fine-tune", choices=get_args(FineTune), default="full", help="what of the encoder is trained"
    )
    parser.add_argument(
        "--set-option", action="append", default=[], metavar="SECTION.FIELD=VALUE", help="for all trainings"
    )
    parser.add_argument("--overwrite", action="store_true", help="compute again what is there")
    options = parser.parse_args(arguments)
    nine, six = (Study(name, options.prepared, options.runs, options.overwrite) for name in ("nine", "six"))
    folds = nine.folds
    fewest = min(len(folds.train(fold)) for fold in range(len(folds.test)))
    sizes = options.sizes or [*(size for size in SIZES if size < fewest), fewest]
    if max(sizes) > fewest or min(sizes) < 1:
        raise DataError(f"--sizes: a fold has {fewest} training people")
    for size in sizes:
        for fold in options.folds or range(len(folds.test)):
            run_size((nine, six), folds, size, fold, options)
    if scores := scores_of(nine, sizes, options):
        write_scores(nine, f"fine-tune-{options.encoder}-{options.fine_tune}", scores)


def scores_of(nine: Study, sizes: Sequence[int], options: argparse.Namespace) -> dict[str, StudyScores]:
    """Return the scores of every number of people of which all folds are there."""
    scores: dict[str, StudyScores] = {}
    for size in sizes:
        labels = f"scratch-{size}", tuned_label(options.encoder, options.fine_tune, size)
        scratch, tuned = (read_folds(nine, label, options.seed) for label in labels)
        if scratch is not None and tuned is not None:
            scores[f"{size} people, from scratch"] = score_windows(scratch)
            scores[f"{size} people, from the encoder"] = score_windows(tuned, {"from scratch": scratch})
    return scores


if __name__ == "__main__":
    run_command(main)
