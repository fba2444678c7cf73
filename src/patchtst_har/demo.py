"""The demonstration: real smart-watch recordings, from raw samples to a report, in a few minutes.

Ten people did seven shoulder exercises with a watch on either wrist (Burns et al. 2018, Physiological
Measurement 39 075007; shipped with the package ``seglearn``). Every person is held out once. Then the
shipped model of daily activities labels a simulated recording.
"""

from __future__ import annotations

import importlib.util
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from patchtst_har import synthetic
from patchtst_har.benchmark.run_measurements import measure_run
from patchtst_har.config import ExperimentConfig
from patchtst_har.data import write_recording
from patchtst_har.data.recording import read_recording
from patchtst_har.data.units import SignalWarning
from patchtst_har.datasets.demo_recordings import write_watch_recordings
from patchtst_har.datasets.prepare import prepare_recordings
from patchtst_har.errors import DataError, MissingDependencyError
from patchtst_har.inference.label_file import LabelledFile, label_file
from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.pretrained import default_model
from patchtst_har.records.run import CrossValidation
from patchtst_har.reports.prediction_files import PredictionFiles, write_prediction
from patchtst_har.reports.run import REPORT_FILE, render_report
from patchtst_har.support.files import atomic_path, atomic_write_text, ensure_folder
from patchtst_har.support.folders import LOCK_FILE, exchange, folder_lock, left_stages, stage_of
from patchtst_har.support.progress import OnProgress, under
from patchtst_har.training.cross_validation import cross_validate
from patchtst_har.training.trainer import PatchTSTTrainer

SIMULATED_DAY = (
    ("lying", 80.0),
    ("sitting", 120.0),
    ("standing", 60.0),
    ("walking", 120.0),
    ("stairs", 60.0),
    ("running", 80.0),
    ("sitting", 80.0),
)
"""Activities of `synthetic.daily_bout` and seconds."""

MARKER = ".patchtst-har-demo"
_EARLIER = "earlier"
# MiniRocket, compiled when it first runs, would take longer than all the rest.
_BASELINES = ("majority", "forest", "forest-topology")


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration left.

    Attributes
    ----------
    run_dir, report : pathlib.Path
        The run folder, the report in it.
    scores : CrossValidation
        The content of ``cross_validation.json``: every participant held out once.
    day : SimulatedDay
        What the shipped model made of a simulated recording of daily activities.
    """

    run_dir: Path
    report: Path
    scores: CrossValidation
    day: SimulatedDay


@dataclass(frozen=True)
class SimulatedDay:
    """What a model made of a simulated recording.

    Attributes
    ----------
    labelled : LabelledFile
        Its labels, and the facts of the model.
    files : PredictionFiles
        What was written.
    n_as_simulated : int
        Windows whose label is the activity that was simulated in their middle.
    """

    labelled: LabelledFile
    files: PredictionFiles
    n_as_simulated: int


def label_simulated_day(folder: Path, model: Path) -> SimulatedDay:
    """Label a simulated recording of daily activities, which has the model's class names as annotations.

    Parameters
    ----------
    folder : pathlib.Path
        For the recording and what `write_prediction` leaves; created if missing.
    model : pathlib.Path
        Model folder.
    """
    path = ensure_folder(folder) / "simulated_day.csv"
    simulated = synthetic.recording(SIMULATED_DAY, make=synthetic.daily_bout)
    write_recording(path, simulated)
    # They are in the report.
    with warnings.catch_warnings(action="ignore", category=SignalWarning):
        labelled = label_file(path, model)
    note = (
        "The recording is simulated (patchtst_har.synthetic.daily_bout): it shows what a report looks like."
    )
    labelled = replace(labelled, notices=[note, *labelled.notices])
    same = labelled.windows["label"].to_numpy() == _annotations(labelled.windows, simulated)
    return SimulatedDay(labelled, write_prediction(folder, labelled), int(same.sum()))


def demo_config(run_dir: Path) -> ExperimentConfig:
    """Return the demonstration's configuration for a run folder."""
    return ExperimentConfig.preset(
        "base",
        experiment_name=run_dir.name,
        output_dir=run_dir.parent,
        data={
            "proc_dir": run_dir / "data" / "processed",
            "hop_size": 500,
            "split": "kfold",
            "n_folds": 5,
            "val_n": 2,
        },
    )


def run_demo(run_dir: Path, *, overwrite: bool = False, on_progress: OnProgress | None = None) -> DemoResult:
    """Prepare, train with whole people held out, evaluate, predict one held-out person, report.

    Parameters
    ----------
    run_dir : pathlib.Path
        Where everything goes.
    overwrite : bool
        Replace an earlier demonstration in `run_dir`, once the new one is whole.
    on_progress : callable, optional
        Called with (done, total, what).

    Raises
    ------
    DataError
        If `run_dir` holds something, and it is not an earlier demonstration or `overwrite` is not set.
    MissingDependencyError
        If ``seglearn`` (extra ``demo``) is not installed.
    ModelFolderError
        If this installation lacks the shipped model.
    """
    config = demo_config(run_dir)
    if importlib.util.find_spec("seglearn") is None:
        raise MissingDependencyError("the demonstration needs seglearn: pip install 'patchtst-har[demo]'")
    shipped = default_model()
    with folder_lock(run_dir), _room(run_dir, overwrite):
        return _run(config, shipped, on_progress)


def _run(config: ExperimentConfig, shipped: Path, on_progress: OnProgress | None) -> DemoResult:
    run_dir = config.run_dir
    recordings = ensure_folder(run_dir / "data" / "recordings")
    write_watch_recordings(recordings)
    prepare_recordings(
        recordings, config.data.proc_dir, config.data, on_progress=under("recordings", on_progress)
    )
    trainer = PatchTSTTrainer(config, on_progress=on_progress)
    trainer.train()
    scores = cross_validate(config, done=trainer, baselines=_BASELINES, on_progress=on_progress)
    recognizer = Recognizer.from_pretrained(run_dir / "model")
    measure_run(run_dir, recognizer, trainer.judged, on_progress=on_progress)
    _predict_held_out(run_dir, recognizer, recordings / f"{trainer.judged.participants[0]}.csv")
    day = label_simulated_day(run_dir / "simulated_day", shipped)
    return DemoResult(run_dir, render_report(run_dir), scores, day)


@contextmanager
def _room(run_dir: Path, overwrite: bool) -> Iterator[None]:
    """Give an empty, marked folder; only a folder with the mark is ever replaced.

    What an earlier demonstration left is set aside until the end. It comes back if this one fails; if this
    one is killed, when the next one begins.
    """
    for left in left_stages(run_dir, _EARLIER):
        _put_back(run_dir, left)
    contents = [path for path in run_dir.iterdir() if path.name != LOCK_FILE]
    if contents and not overwrite:
        raise DataError(f"{run_dir}: is not empty; choose another folder or pass --overwrite")
    if contents and not (run_dir / MARKER).is_file():
        raise DataError(f"{run_dir}: was not made by the demonstration, it will not be removed")
    earlier = None
    if contents:
        earlier = ensure_folder(stage_of(run_dir, _EARLIER))
        exchange(run_dir, earlier)
    try:
        atomic_write_text(run_dir / MARKER, "May be replaced by the demonstration.\n")
        yield
    except BaseException:
        if earlier is not None:
            _put_back(run_dir, earlier)
        raise
    if earlier is not None:
        shutil.rmtree(earlier)


def _put_back(run_dir: Path, earlier: Path) -> None:
    """Keep of two demonstrations the one that is whole, the later one if both are, in `run_dir`."""
    if (earlier / REPORT_FILE).exists() and not (run_dir / REPORT_FILE).exists():
        exchange(run_dir, earlier)
    shutil.rmtree(earlier)


def _predict_held_out(run_dir: Path, recognizer: Recognizer, path: Path) -> None:
    recording, _ = read_recording(path)
    timeline = recognizer.predict_recording(recording)
    timeline["annotation"] = _annotations(timeline, recording)
    with atomic_path(run_dir / "timeline.csv") as temporary:
        timeline.to_csv(temporary, index=False, float_format="%.6f")


def _annotations(rows: pd.DataFrame, recording: pd.DataFrame) -> NDArray[np.object_]:
    """Return the annotation in the middle of each row."""
    middle = rows["start"] + (rows["end"] - rows["start"]) / 2
    nearest = recording.index.get_indexer(pd.DatetimeIndex(middle), method="nearest")
    annotations: NDArray[np.object_] = recording["annotation"].astype(str).to_numpy(object)[nearest]
    return annotations
