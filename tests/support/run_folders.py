"""Run folders as a training leaves them, without one: of simulated decisions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from patchtst_har.config import ExperimentConfig
from patchtst_har.evaluation.held_out import HeldOut
from patchtst_har.records.run import CrossValidation, Evaluation, Fold, ParticipantSplit
from patchtst_har.smoothing.decide import Decisions
from patchtst_har.synthetic import ACTIVITIES as CLASSES
from patchtst_har.training.tracker import ExperimentTracker

PEOPLE = tuple(f"P{number:02d}" for number in range(1, 9))
_HOP_NS = 10 * 10**9


def held_out(people: Sequence[str], *, right: float, seed: int, n: int = 40) -> HeldOut:
    """Decisions of which a part is right; truth and times of a person are the same in every run."""
    rng = np.random.default_rng(seed)
    truth = {name: np.random.default_rng(int(name[1:])).integers(0, len(CLASSES), n) for name in people}
    labels = np.concatenate([truth[name] for name in people])
    wrong = (labels + rng.integers(1, len(CLASSES), labels.size)) % len(CLASSES)
    decided = np.where(rng.random(labels.size) < right, labels, wrong)
    probabilities = np.full((labels.size, len(CLASSES)), 0.1)
    probabilities[np.arange(labels.size), decided] = 0.8
    smoothed = np.where(rng.random(labels.size) < 0.5, labels, decided)
    sequences = np.repeat(np.arange(len(people)), n)
    decisions = Decisions(probabilities, smoothed, probabilities, sequences)
    start_ns = np.tile(np.arange(n) * _HOP_NS, len(people)) + 1_700_000_000 * 10**9
    return HeldOut(np.repeat(list(people), n), start_ns, labels, decisions, tuple(CLASSES))


def write_run(
    folder: Path,
    *,
    people: Sequence[str] = PEOPLE,
    right: float = 0.6,
    seed: int = 0,
    fingerprint: str | None = "ab" * 32,
    train: Sequence[str] = ("T1", "T2"),
    n_epochs: int = 3,
    config: ExperimentConfig | None = None,
) -> Path:
    """Write a finished run that is right in so many of its decisions on held-out people."""
    config = config or ExperimentConfig(experiment_name=folder.name, output_dir=folder.parent)
    tracker = ExperimentTracker(folder.name, folder)
    config.save(folder / "config.yaml")
    (folder / "environment.json").write_text(json.dumps({"torch": "2.13.0", "load_average": seed}))
    judged = held_out(people, right=right, seed=seed)
    split = ParticipantSplit(
        train=tuple(train), val=("V1",), test=tuple(people), fingerprint="+".join((*train, *people))
    )
    facts = {"split": split, "n_windows": {"test": len(judged.labels)}, "data_fingerprint": fingerprint}
    scores = Evaluation(**dict(judged.scores()), **facts, predictions_file="predictions.csv")
    provenance = {name: value for name, value in scores.to_json().items() if name in facts}
    if fingerprint is None:  # As earlier versions wrote it.
        del provenance["data_fingerprint"]
    tracker.log_params({"seed": config.seed, **provenance})
    for epoch in range(1, n_epochs + 1):
        tracker.log_metrics({"loss": 1 / epoch, "macro_f1": 0.5, "lr": 1e-3}, epoch)
        tracker.log_metrics({"loss": 2 / epoch, "macro_f1": right}, epoch, "val")
    judged.write_frame(folder / "predictions.csv")
    (folder / "evaluation.json").write_text(json.dumps(scores.to_json()))
    tracker.save_summary({"final_macro_f1": scores.smoothed.macro_f1, "raw_macro_f1": scores.raw.macro_f1})
    return folder


def add_folds(folder: Path, people: Sequence[str], *, right: float = 0.6, seed: int = 0) -> None:
    """Make a run cross-validated: one further fold, in which others were held out."""
    fold = write_run(folder / "folds" / "fold_1", people=people, right=right, seed=seed + 1)
    judged = held_out(people, right=right, seed=seed)
    folds = (
        fold_of(0, json.loads((folder / "params.json").read_text())["split"]["test"]),
        fold_of(1, people),
    )
    document = CrossValidation(n_folds=2, **dict(judged.scores()), folds=folds)
    (folder / "cross_validation.json").write_text(json.dumps(document.to_json()))
    assert fold.is_dir()


def fold_of(number: int, people: Sequence[str]) -> Fold:
    return Fold(fold=number, test=tuple(people), macro_f1_raw=0.5, macro_f1_smoothed=0.5)
