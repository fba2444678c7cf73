"""Score a model folder on a prepared data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from patchtst_har.config import ExperimentConfig
from patchtst_har.datasets.featureset import FeatureSet, load_feature_set
from patchtst_har.datasets.prepared import PreparedDataset
from patchtst_har.errors import DataError
from patchtst_har.evaluation.held_out import HeldOut
from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.model_folder import PROVENANCE_FILE, read_provenance
from patchtst_har.pretrained import find_model, names_of
from patchtst_har.records.run import FolderScores
from patchtst_har.support.files import atomic_write_json, ensure_folder
from patchtst_har.support.progress import OnProgress, under


@dataclass(frozen=True)
class FolderEvaluation:
    """Scores of a model folder on some participants.

    Attributes
    ----------
    scores : FolderScores
        The scores, the participants, and warnings that make the scores doubtful: participants the model was
        trained on, an unknown training set.
    held_out : HeldOut
        The decisions.
    """

    scores: FolderScores
    held_out: HeldOut

    def write(self, folder: Path) -> Path:
        """Write ``evaluation.json`` and ``predictions.csv``; return the folder."""
        folder = ensure_folder(folder)
        self.held_out.write_frame(folder / "predictions.csv")
        atomic_write_json(folder / "evaluation.json", self.scores.to_json())
        return folder


def evaluate_folder(
    model_dir: Path | str,
    data_dir: Path,
    participants: Sequence[str] | None = None,
    *,
    smoothing: str | None = None,
    cache_dir: Path | None = None,
    on_progress: OnProgress | None = None,
) -> FolderEvaluation:
    """Judge a trained model on a prepared data set.

    Parameters
    ----------
    model_dir : pathlib.Path or str
        Model folder, or the name of a shipped model.
    data_dir : pathlib.Path
        Folder of the prepared data set, which may hold fewer classes than the model knows.
    participants : sequence of str, optional
        Whom to judge; all if not given.
    smoothing : str, optional
        As `Recognizer.from_pretrained`: what the smoothed scores are of.
    cache_dir : pathlib.Path, optional
        Folder of the feature cache; by default inside `data_dir`.
    on_progress : callable, optional
        Called with (done, total, what) while features are computed.

    Raises
    ------
    ModelFolderError, DataError
        If a folder is damaged, a participant is unknown, or the data set has a class that the model lacks.
    """
    model_dir = find_model(model_dir)
    recognizer = Recognizer.from_pretrained(model_dir, smoothing=smoothing)
    dataset = PreparedDataset.open(data_dir)
    people = tuple(dataset.participants if participants is None else participants)
    config = recognizer.config.replace(
        data=recognizer.config.data.replace(proc_dir=data_dir),
        features=recognizer.config.features.replace(cache_dir=cache_dir),
    )
    _refuse_unknown_classes(dataset.classes, recognizer.classes, data_dir)
    features = load_feature_set(dataset, people, config, under("features", on_progress), in_memory=False)
    held_out = _judge(recognizer, features, config)
    scores = FolderScores(
        **dict(held_out.scores()),
        participants=people,
        smoothing=recognizer.smoothing,
        warnings=_doubts(model_dir, people),
    )
    return FolderEvaluation(scores, held_out)


def _refuse_unknown_classes(present: Sequence[str], known: Sequence[str], data_dir: Path) -> None:
    for name in present:
        if name not in known:
            raise DataError(
                f"{data_dir}: class {name!r} is unknown to the model, which has {', '.join(known)}"
            )


def _judge(recognizer: Recognizer, features: FeatureSet, config: ExperimentConfig) -> HeldOut:
    """Decide on a feature set whose classes are some of the model's, in any order."""
    classes = recognizer.classes
    labels = np.array([classes.index(name) for name in features.classes], dtype=np.int64)[features.labels]
    known = replace(features, labels=labels, classes=classes)
    probabilities = recognizer.probabilities(features)
    return HeldOut.judge(known, probabilities, config, recognizer.smoother, recognizer.lag)


def _doubts(model_dir: Path, people: Sequence[str]) -> tuple[str, ...]:
    met = met_in_training(model_dir, people)
    if met is None:
        missing = model_dir / PROVENANCE_FILE
        return (f"{missing} is missing: whether the model was trained on these participants is unknown",)
    if not met:
        return ()
    shown = ", ".join(met[:5]) + (", ..." if len(met) > 5 else "")
    trained_on = f"participants have names of people the model was trained on ({shown})"
    return (f"{len(met)} of {len(people)} {trained_on}",)


def met_in_training(model_dir: Path, people: Sequence[str]) -> list[str] | None:
    """Return those who have names of people that a model was trained on; None if its folder does not say."""
    provenance = read_provenance(model_dir)
    if provenance is None:
        return None
    split = provenance["split"]
    known = set(names_of(model_dir, [*split["train"], *split["val"]]))
    return [name for name in people if name in known]
