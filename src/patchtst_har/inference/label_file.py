"""Label a recording file: read it, classify its windows, smooth, and keep what a report needs to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from patchtst_har.data.formats import recording_suffix
from patchtst_har.data.recording import read_recording
from patchtst_har.errors import DataError, FeatureError
from patchtst_har.inference.recognizer import LabelledRecording, Recognizer
from patchtst_har.support.progress import OnProgress


@dataclass(frozen=True)
class LabelledFile:
    """A recording's timeline and the facts around it.

    Attributes
    ----------
    name : str
        The file's name without its suffix.
    timeline : DataFrame
        ``start``, ``end``, ``label``, ``probability`` (see `LabelledRecording`).
    extent : tuple of Timestamp
        First and last moment of the recording by the clock of the timeline, without a zone.
    classes : tuple of str
        The model's classes.
    recording_info, model_info : dict
        Facts of the file and of the model.
    warnings : list of str
        What a reader must know about this recording.
    notices : list of str
        What holds for every recording that this model labels.
    """

    name: str
    timeline: pd.DataFrame
    extent: tuple[pd.Timestamp, pd.Timestamp]
    classes: tuple[str, ...]
    recording_info: dict[str, Any]
    model_info: dict[str, Any]
    warnings: list[str]
    notices: list[str]


def label_file(
    path: Path,
    model_dir: Path,
    *,
    reader: Callable[[Path], tuple[pd.DataFrame, dict[str, Any]]] = read_recording,
    timezone: str | None = None,
    on_progress: OnProgress | None = None,
) -> LabelledFile:
    """Label a recording.

    Parameters
    ----------
    path : pathlib.Path
        Recording in a format that `read_recording` knows.
    model_dir : pathlib.Path
        Model folder.
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
        If the recording or the model cannot be used; the message names the file.
    """
    recognizer = Recognizer.from_pretrained(model_dir).in_zone(timezone)
    recording, info = reader(path)
    try:
        labelled = recognizer.label_recording(recording, on_progress)
    except (DataError, FeatureError) as error:
        raise type(error)(f"{path}: {error}") from error
    name = path.name[: -len(recording_suffix(path) or path.suffix) or None]
    facts = {key: value for key, value in info.items() if key != "warnings"}
    return LabelledFile(
        name=name,
        timeline=labelled.timeline,
        extent=_extent(recording.index, labelled.timeline),
        classes=recognizer.classes,
        recording_info={"name": name, **facts, "clock": labelled.clock, "dropped": labelled.counts},
        model_info=_model_facts(recognizer, model_dir),
        warnings=[*info.get("warnings", []), *_losses(labelled)],
        notices=_notices(recognizer),
    )


def _extent(stamps: pd.Index[Any], timeline: pd.DataFrame) -> tuple[pd.Timestamp, pd.Timestamp]:
    zone = timeline["start"].dt.tz
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
    texts = {
        "n_nonfinite": "Samples that are NaN or infinite, dropped",
        "n_zero": "Samples of exactly (0, 0, 0), as devices write where they have none, dropped",
        "short_stretches": "Segments between gaps that are shorter than a window, not labelled",
    }
    return [f"{text}: {counts[name]:,}." for name, text in texts.items() if counts.get(name)]


def _notices(recognizer: Recognizer) -> list[str]:
    """Return what holds for every prediction: what the model cannot say."""
    closed = "The model knows only its own classes: any other movement was given one of their names."
    offline = "Labels were smoothed over whole segments, past and future: they are not real-time results."
    return [closed, *([offline] if recognizer.smoother else [])]
