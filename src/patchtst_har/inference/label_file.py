"""Label a recording file and write the results beside each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any

import pandas as pd

from patchtst_har.data.recording import read_recording, recording_suffix
from patchtst_har.errors import DataError, FeatureError
from patchtst_har.inference.recognizer import LabelledRecording, Recognizer
from patchtst_har.reports.plots.timeline import plot_timelines
from patchtst_har.reports.prediction import render_prediction_report
from patchtst_har.support.files import atomic_path, check_writable, ensure_folder
from patchtst_har.support.progress import OnProgress


@dataclass(frozen=True)
class PredictedFiles:
    """What `predict_file` wrote: the labels (CSV), the timeline (SVG) and the report (HTML)."""

    labels: Path
    timeline: Path
    report: Path


def predict_file(
    path: Path,
    model_dir: Path,
    out_dir: Path,
    *,
    reader: Callable[[Path], tuple[pd.DataFrame, dict[str, Any]]] = read_recording,
    timezone: str | None = None,
    on_progress: OnProgress | None = None,
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
    reader : callable
        Reads the file; for other units, pass ``functools.partial(read_recording, units="mg")``.
    timezone : str, optional
        IANA zone of the wearer, for a recording whose stamps carry a zone: its hours are shown, and used if
        the model uses the hour.
    on_progress : callable, optional
        Called with (done, total, what).

    Raises
    ------
    DataError, FeatureError, ModelFolderError
        If the recording or the model cannot be used; nothing is written then.
    """
    recognizer = Recognizer.from_pretrained(model_dir).in_zone(timezone)
    recording, info = reader(path)
    check_writable(out_dir)
    try:
        labelled = recognizer.label_recording(recording, on_progress)
    except (DataError, FeatureError) as error:
        raise type(error)(f"{path}: {error}") from error
    facts = {name: value for name, value in info.items() if name != "warnings"}
    stem = path.name[: -len(recording_suffix(path) or path.suffix) or None]
    folder = ensure_folder(out_dir)
    written = PredictedFiles(
        *(folder / f"{stem}_{end}" for end in ("labels.csv", "timeline.svg", "report.html"))
    )
    # All three are written whole before the first takes its place: a failure leaves none.
    with (
        atomic_path(written.labels) as labels,
        atomic_path(written.timeline) as picture,
        atomic_path(written.report) as report,
    ):
        labelled.timeline.to_csv(labels, index=False, float_format="%.6f")
        timeline = _wall_clock(labelled.timeline)
        extent = _extent(recording.index, labelled.timeline["start"].dt.tz)
        svg = plot_timelines({stem: timeline}, recognizer.classes, title=stem, extent=extent)
        picture.write_text(svg, encoding="utf-8")
        render_prediction_report(
            labelled.timeline,
            report,
            recording_info={"name": stem, **facts, "clock": labelled.clock, "dropped": labelled.counts},
            model_info=_model_facts(recognizer, model_dir),
            classes=recognizer.classes,
            warnings=[*info.get("warnings", []), *_losses(labelled)],
            notices=_notices(recognizer),
        )
    return written


def _wall_clock(timeline: pd.DataFrame) -> pd.DataFrame:
    """Drop the zone but keep the hours that it shows."""
    naive = {name: timeline[name].dt.tz_localize(None) for name in ("start", "end")}
    return timeline.assign(**naive)


def _extent(stamps: pd.Index[Any], zone: tzinfo | None) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return the recording's first and last moment by the clock of the timeline."""
    first, last = (stamp if zone is None else stamp.tz_convert(zone) for stamp in (stamps[0], stamps[-1]))
    return first.tz_localize(None), last.tz_localize(None)


def _model_facts(recognizer: Recognizer, model_dir: Path) -> dict[str, Any]:
    data = recognizer.config.data
    return {
        "model": recognizer.config.experiment_name,
        "folder": str(model_dir),
        "window_s": data.window_size / data.sample_rate_hz,
        "hop_s": data.hop_size / data.sample_rate_hz,
        "smoothing": recognizer.config.smoothing.method,
    }


def _losses(labelled: LabelledRecording) -> list[str]:
    """Return, in words, what of the recording could not be used."""
    counts = labelled.counts
    told = {
        "n_nonfinite": "Samples that are not numbers (NaN or infinite), dropped",
        "n_zero": "Samples of exactly (0, 0, 0), as devices write where they have none, dropped",
        "short_stretches": "Stretches between gaps that are shorter than a window, not labelled",
    }
    return [f"{text}: {counts[name]:,}." for name, text in told.items() if counts.get(name)]


def _notices(recognizer: Recognizer) -> list[str]:
    """Return what holds for every prediction: what the model cannot say."""
    closed = "The model knows only its own classes: any other movement was given one of their names."
    offline = "Labels were smoothed over whole stretches, past and future: they are not real-time results."
    return [closed, *([offline] if recognizer.smoother else [])]
