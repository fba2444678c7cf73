"""Label a recording file and write the results beside each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from patchtst_har.data.recording import read_recording
from patchtst_har.data.units import Unit
from patchtst_har.errors import DataError, FeatureError
from patchtst_har.evaluation.plots.timeline import plot_timelines
from patchtst_har.evaluation.prediction_report import render_prediction_report
from patchtst_har.files import atomic_path, atomic_write_text, ensure_folder
from patchtst_har.inference.recognizer import Recognizer


@dataclass(frozen=True)
class PredictedFiles:
    """What `predict_file` wrote: the labels (CSV), the timeline (SVG) and the report (HTML)."""

    labels: Path
    timeline: Path
    report: Path


def predict_file(
    path: Path, model_dir: Path, out_dir: Path, *, units: Unit = "g", strict: bool = False
) -> PredictedFiles:
    """Label a recording.

    Parameters
    ----------
    path : pathlib.Path
        Recording: CSV, CSV.GZ, Parquet or NPZ.
    model_dir : pathlib.Path
        Model folder.
    out_dir : pathlib.Path
        Created if missing. The files are named after the recording: ``P01_labels.csv`` (start, end, label,
        probability), ``P01_timeline.svg``, ``P01_report.html``.
    units : {"g", "m/s2", "mg"}
        Unit of the recording's acceleration.
    strict : bool
        Refuse a recording whose magnitude at rest does not fit the unit, instead of warning.

    Raises
    ------
    DataError, FeatureError, ModelFolderError
        If the recording or the model cannot be used; nothing is written then.
    """
    recognizer = Recognizer.from_pretrained(model_dir)
    recording, info = read_recording(path, units=units, strict=strict)
    try:
        timeline = recognizer.predict_recording(recording)
    except (DataError, FeatureError) as error:
        raise type(error)(f"{path}: {error}") from error
    stem = path.name.split(".")[0]
    folder = ensure_folder(out_dir)
    written = PredictedFiles(
        *(folder / f"{stem}_{end}" for end in ("labels.csv", "timeline.svg", "report.html"))
    )
    with atomic_path(written.labels) as temporary:
        timeline.to_csv(temporary, index=False, float_format="%.6f")
    picture = plot_timelines({stem: _wall_clock(timeline)}, recognizer.classes, title=stem)
    atomic_write_text(written.timeline, picture)
    render_prediction_report(
        timeline,
        written.report,
        recording_info={"name": stem, **info},
        model_info=_model_facts(recognizer, model_dir),
        classes=recognizer.classes,
        warnings=_warnings(info, recognizer),
    )
    return written


def _wall_clock(timeline: pd.DataFrame) -> pd.DataFrame:
    """Drop the zone but keep the hours that the wearer saw."""
    naive = {name: timeline[name].dt.tz_localize(None) for name in ("start", "end")}
    return timeline.assign(**naive)


def _model_facts(recognizer: Recognizer, model_dir: Path) -> dict[str, Any]:
    data = recognizer.config.data
    return {
        "model": recognizer.config.experiment_name,
        "folder": str(model_dir),
        "window_s": data.window_size / data.sample_rate_hz,
        "hop_s": data.hop_size / data.sample_rate_hz,
        "smoothing": recognizer.config.smoothing.method,
    }


def _warnings(info: dict[str, Any], recognizer: Recognizer) -> list[str]:
    """Return what the reader must know: problems of the recording, and what the model cannot say."""
    closed = "The model knows only its own classes: any other movement was given one of their names."
    offline = "Labels were smoothed over whole stretches, past and future: they are not real-time results."
    return [*info.get("warnings", []), closed, *([offline] if recognizer.smoother else [])]
