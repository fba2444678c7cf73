"""Which model was measured, and how accurate it is."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from patchtst_har.config import ExperimentConfig
from patchtst_har.model_folder import CLASSES_FILE, CONFIG_FILE, SMOOTHING_FILE, WEIGHTS_FILE, read_provenance
from patchtst_har.pretrained import headline, read_summary
from patchtst_har.records.feasibility import Accuracy, Artefact, Score, StreamScore
from patchtst_har.records.reading import read_record
from patchtst_har.records.run import Bootstrap, Evaluation, Scores
from patchtst_har.smoothing.decide import hop_s

if TYPE_CHECKING:
    from patchtst_har.inference.recognizer import Recognizer

EVALUATION_FILE = "evaluation.json"


def model_fingerprint(model_dir: Path) -> str:
    """Return the SHA-256 of everything in a model folder that decides what it computes."""
    digest = hashlib.sha256()
    for name in (WEIGHTS_FILE, CONFIG_FILE, SMOOTHING_FILE, CLASSES_FILE):
        path = model_dir / name
        if path.exists():
            content = path.read_bytes()
            # With names and lengths, bytes cannot move from one file to the next unseen.
            digest.update(f"{name}:{len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()


def artefact_facts(model_dir: Path, recognizer: Recognizer, smoothing: str) -> Artefact:
    """Return what identifies and sizes a model.

    Parameters
    ----------
    model_dir : pathlib.Path
        Its folder.
    recognizer : Recognizer
        The model as it was loaded from there.
    smoothing : str
        What the streams did: ``none``, ``filter`` or ``lag:K``.
    """
    from patchtst_har.architecture import expected_complexity
    from patchtst_har.inference.native import NativeClassifier

    model, summary = recognizer.config.model, read_summary(model_dir)
    return Artefact(
        model_dir=str(model_dir),
        name=recognizer.config.experiment_name if summary is None else summary.name,
        score="" if summary is None else headline(summary),
        fingerprint=model_fingerprint(model_dir),
        classes=recognizer.classes,
        **expected_complexity(model, len(recognizer.classes)),
        features={
            "statistical": model.n_stat_features,
            "topological": model.n_topo_features,
            "time": model.n_time_features,
            "plugins": list(recognizer.config.features.plugins),
        },
        engine="native" if isinstance(recognizer.model, NativeClassifier) else "torch",
        smoothing=smoothing,
    )


def known_accuracy(model_dir: Path, config: ExperimentConfig, smoothing: str) -> Accuracy | None:
    """Return the scores of the run that made a model, apart for what a stream can and cannot know.

    Parameters
    ----------
    model_dir : pathlib.Path
        The folder ``model`` in a run folder; scores are read from ``evaluation.json`` next to it.
    config : ExperimentConfig
        The model's configuration.
    smoothing : str
        What the streams did: decides which causal score is theirs.

    Returns
    -------
    Accuracy or None
        None if there is no such file, or its split of participants differs from that of the model's
        provenance.

    Raises
    ------
    DataError, ModelFolderError
        If a file is damaged; the message names it.
    """
    path = model_dir.resolve().parent / EVALUATION_FILE
    scored, provenance = read_record(path, Evaluation), read_provenance(model_dir)
    if (
        scored is None
        or provenance is None
        or provenance["split"].get("fingerprint") != scored.split.fingerprint
    ):
        return None
    return Accuracy(
        source=str(path),
        people="test" if scored.split.test else "validation",
        n_people=len(scored.split.test or scored.split.val),
        n_windows=scored.raw.n_windows,
        hop_s=hop_s(config),
        raw=_score(scored.raw, scored.bootstrap, "raw"),
        stream=_stream_score(scored, smoothing),
        offline=_score(scored.smoothed, scored.bootstrap, "smoothed"),
    )


def _score(scores: Scores, bootstrap: Bootstrap | None, part: str) -> Score:
    score = Score(accuracy=scores.accuracy, macro_f1=scores.macro_f1)
    if bootstrap is None:
        return score
    bounds = getattr(bootstrap, part).macro_f1
    return score.model_copy(update={"macro_f1_low": bounds.low, "macro_f1_high": bounds.high})


def _stream_score(scored: Evaluation, smoothing: str) -> StreamScore | None:
    """Return the score of a stream that smooths like this; None if it was not judged with that lag."""
    name, _, lag = smoothing.partition(":")
    if name == "none":
        return None
    row = next((row for row in scored.causal if row.lag == int(lag or 0)), None)
    return StreamScore(lag=row.lag, accuracy=row.accuracy, macro_f1=row.macro_f1) if row else None
