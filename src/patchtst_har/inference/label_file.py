"""Label a recording file: read it, classify its windows, smooth, and keep what a report needs to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from patchtst_har.data.calibration import Policy as Calibrating
from patchtst_har.data.formats import recording_suffix
from patchtst_har.data.non_wear import Policy as Wearing
from patchtst_har.data.recording import read_recording
from patchtst_har.data.units import UNUSABLE
from patchtst_har.errors import DataError, FeatureError
from patchtst_har.inference.labelling import LabelledRecording
from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.pretrained import find_model, headline, pretrained_folders, read_summary
from patchtst_har.support.formatting import counted
from patchtst_har.support.names import printable
from patchtst_har.support.progress import OnProgress

_WORTH_A_WARNING = 0.001
"""Share of the samples, or of the windows, that is lost."""


@dataclass(frozen=True)
class LabelledFile:
    """A recording's timeline and the facts around it.

    Attributes
    ----------
    name : str
        The file's name without its suffix; bytes that are not UTF-8 as escapes.
    timeline, windows : DataFrame
        ``start``, ``end``, ``label``, ``probability``; the same of each window, with the probabilities of
        every class (see `LabelledRecording`).
    extent : tuple of Timestamp
        First and last moment of the recording by the clock of the timeline.
    classes : tuple of str
        The model's classes.
    recording_info, model_info : dict
        Facts of the file and of the model.
    counts : dict of str to number
        See `LabelledRecording`.
    warnings : list of str
        What a reader must know about this recording.
    notices : list of str
        What holds for every recording that this model labels.
    signal : dict
        What was done to the samples (`patchtst_har.data.signal_steps`).
    """

    name: str
    timeline: pd.DataFrame
    windows: pd.DataFrame
    extent: tuple[pd.Timestamp, pd.Timestamp]
    classes: tuple[str, ...]
    recording_info: dict[str, Any]
    model_info: dict[str, Any]
    counts: dict[str, float]
    warnings: list[str]
    notices: list[str]
    signal: dict[str, Any]


def label_file(
    path: Path,
    model_dir: Path | str,
    *,
    reader: Callable[[Path], tuple[pd.DataFrame, dict[str, Any]]] = read_recording,
    timezone: str | None = None,
    smoothing: str | None = None,
    adaptation: Path | None = None,
    calibration: Calibrating | None = None,
    non_wear: Wearing | None = None,
    on_progress: OnProgress | None = None,
) -> LabelledFile:
    """Label a recording.

    Parameters
    ----------
    path : pathlib.Path
        Recording in a format that `read_recording` knows.
    model_dir : pathlib.Path or str
        Model folder, or the name of a shipped model (`patchtst_har.pretrained.find_model`).
    reader : callable
        Reads the file; for other units, pass ``functools.partial(read_recording, units="mg")``.
    timezone : str, optional
        IANA zone of the wearer, for a recording whose stamps carry a zone: its hours are shown, and used if
        the model uses the hour.
    smoothing, adaptation : optional
        As `Recognizer.from_pretrained`.
    calibration, non_wear : optional
        In place of the model's ``data.calibration`` and ``data.non_wear``.
    on_progress : callable, optional
        Called with (done, total, what).

    Raises
    ------
    DataError, FeatureError, ModelFolderError
        If the recording or the model cannot be used; the message names the file.
    """
    model_dir = find_model(model_dir)
    recognizer = load_recognizer(
        model_dir,
        timezone=timezone,
        smoothing=smoothing,
        adaptation=adaptation,
        calibration=calibration,
        non_wear=non_wear,
    )
    return label_with(recognizer, model_dir, path, reader=reader, on_progress=on_progress)


def load_recognizer(
    model_dir: Path,
    *,
    timezone: str | None = None,
    smoothing: str | None = None,
    adaptation: Path | None = None,
    calibration: Calibrating | None = None,
    non_wear: Wearing | None = None,
) -> Recognizer:
    """Load the model that labels recordings with these options (parameters and errors as `label_file`)."""
    recognizer = Recognizer.from_pretrained(model_dir, smoothing=smoothing, adaptation=adaptation)
    return recognizer.in_zone(timezone).with_data(calibration=calibration, non_wear=non_wear)


def label_with(
    recognizer: Recognizer,
    model_dir: Path,
    path: Path,
    *,
    reader: Callable[[Path], tuple[pd.DataFrame, dict[str, Any]]] = read_recording,
    on_progress: OnProgress | None = None,
) -> LabelledFile:
    """Label a recording with a model that is loaded already (parameters and errors as `label_file`)."""
    recording, info = reader(path)
    reading = dict(info.get("reading", {}))
    idle_ns = reading.pop("idle_sleep", None)
    if idle_ns is not None:
        # There may be thousands, and the timeline has those that last.
        reading["n_idle_sleep"] = len(idle_ns)
    try:
        labelled = recognizer.label_recording(recording, on_progress, idle_ns=idle_ns)
    except (DataError, FeatureError) as error:
        raise type(error)(f"{path}: {error}") from error
    dropped = {name: labelled.counts[name] for name in (*UNUSABLE, "short_stretches")}
    name = printable(path.name[: -len(recording_suffix(path) or path.suffix) or None])
    facts = {key: value for key, value in info.items() if key != "warnings"} | {"reading": reading}
    extent = _extent(recording.index, labelled.timeline)
    # By the clock of the labels.
    facts |= {"start": str(extent[0]), "end": str(extent[1])}
    return LabelledFile(
        name=name,
        timeline=labelled.timeline,
        windows=labelled.windows,
        extent=extent,
        classes=recognizer.classes,
        recording_info={"name": name, **facts, "clock": labelled.clock, "dropped": dropped},
        model_info=_model_facts(recognizer, model_dir),
        counts=labelled.counts,
        warnings=[*info.get("warnings", []), *labelled.warnings, *_losses(labelled)],
        notices=_notices(recognizer, labelled.clock),
        signal=labelled.signal,
    )


def _extent(stamps: pd.Index[Any], timeline: pd.DataFrame) -> tuple[pd.Timestamp, pd.Timestamp]:
    zone = timeline["start"].dt.tz
    first, last = (stamp if zone is None else stamp.tz_convert(zone) for stamp in (stamps[0], stamps[-1]))
    return first, last


def _model_facts(recognizer: Recognizer, model_dir: Path) -> dict[str, Any]:
    data = recognizer.config.data
    summary = read_summary(model_dir)
    shipped = {} if summary is None else {"score": headline(summary), "licence": summary.licence}
    # Where a shipped model is installed says nothing of it.
    place = {} if model_dir in pretrained_folders().values() else {"folder": str(model_dir)}
    adapted = {} if recognizer.adaptation is None else {"adapted_to": adapted_to(recognizer)}
    return {
        "model": recognizer.config.experiment_name if summary is None else summary.name,
        **place,
        "window_s": data.window_size / data.sample_rate_hz,
        "hop_s": data.hop_size / data.sample_rate_hz,
        "smoothing": recognizer.smoothing,
        "classes": ", ".join(recognizer.classes),
        "trained_on": recognizer.trained_on_text,
        **adapted,
        **shipped,
    }


def adapted_to(recognizer: Recognizer) -> str:
    """Return in words the windows to which a recogniser was adapted."""
    adaptation = recognizer.adaptation
    if adaptation is None:
        return "nobody"
    return ", ".join(
        f"{name} {counted(n, 'window', 'windows')} ({adaptation.labelled_s[name]:.0f} s)"
        for name, n in adaptation.n_windows.items()
    )


def _losses(labelled: LabelledRecording) -> list[str]:
    """Return, in words, what of the recording could not be used, if that is worth a warning.

    The steps of the signal say it in any case.
    """
    counts = labelled.counts
    texts = {
        name: f"Samples left out, {what}"
        for name, what in UNUSABLE.items()
        if counts.get(name, 0) > _WORTH_A_WARNING * labelled.signal["n_samples"]
    }
    if counts["short_stretches"] > _WORTH_A_WARNING * counts["n_windows"]:
        texts["short_stretches"] = "Segments between gaps that are shorter than a window, not labelled"
    return [f"{text}: {counts[name]:,}." for name, text in texts.items()]


def _notices(recognizer: Recognizer, clock: str) -> list[str]:
    """Return what holds for every prediction: what the model cannot say."""
    closed = "The model knows only its own classes: any other movement was given one of their names."
    offline = "Labels were smoothed over whole segments, past and future: they are not real-time results."
    unknown = "This model cannot recognise windows unlike its training data: train it again for that."
    universal = "Hours and days are those of UTC: --timezone names the wearer's zone."
    holds = {
        universal: clock == "UTC",
        closed: True,
        unknown: recognizer.familiarity is None,
        offline: recognizer.smoothing == "hmm",
    }
    return [text for text, true in holds.items() if true]
