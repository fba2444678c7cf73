"""What `patchtst-har predict` writes next to the labels: `NAME_summary.json`."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from patchtst_har.records.run import Record


class SourceState(Record):
    """By what a source file is recognised without reading all of it; its place does not count."""

    size: int
    """Bytes."""
    mtime_ns: int
    """When it was last changed (ns since 1970)."""
    ends: str
    """SHA-256 of its first and last 64 KiB."""


class Origin(Record):
    """What a recording's files were made from, in a folder of many recordings."""

    source: SourceState
    settings: str
    """SHA-256 of model, options and version: that of `CohortSettings`."""


class BoutCount(Record):
    """Bouts of one class that last at least so long."""

    n: int
    minutes: float
    """Of all these bouts together, breaks in them included."""


class DayMeans(Record):
    """Means over some of the valid days; each day counts once."""

    n_days: int
    wear_hours: float
    non_wear_hours: float
    no_data_hours: float
    enmo_mg: float | None
    """Mean of the days' ENMO over worn time; None where it is not known."""
    longest_inactive_min: float | None
    """None where no class is known to be inactive."""
    minutes: dict[str, float]
    """Minutes per day of each class of the model."""


class Days(Record):
    """The local calendar days of a recording, and means over the valid ones; None where there is none."""

    n_days: int
    n_valid: int
    min_wear_hours: float
    """A day of so many hours of wear is valid."""
    inactive_classes: tuple[str, ...]
    inactive_reason: str | None = None
    """Why no class counts as inactive."""
    all: DayMeans | None
    weekday: DayMeans | None
    """Monday to Friday."""
    weekend: DayMeans | None
    """Saturday and Sunday."""


class PredictionSummary(Record):
    """One recording in figures: where it came from, how long each activity lasted, what makes it doubtful."""

    recording: dict[str, Any]
    """Facts of the file: among them its rate, its magnitude at rest and, in ``dropped``, unusable samples."""
    model: dict[str, Any]
    """Facts of the model: among them its smoothing, its classes and whom it was trained on."""
    minutes: dict[str, float]
    """Labelled minutes of each class of the model."""
    non_wear_minutes: float = 0.0
    """Minutes in which nobody wore the sensor or it slept; 0 also if that was not looked for (`signal`)."""
    n_windows: int
    n_unfamiliar: int | None = None
    """Windows that are far from all that the model was trained on; None if the model does not know."""
    warnings: tuple[str, ...]
    notices: tuple[str, ...]
    days: Days | None = None
    """None in files of earlier versions."""
    bouts: dict[str, dict[str, BoutCount]] = Field(default_factory=dict)
    """For each class, bouts of at least 1, 5, 10 and 30 minutes in the whole recording (``1_min``, ...)."""
    signal: dict[str, Any] = Field(default_factory=dict)
    """What was done to the samples before they were cut: counts, and each step with parameters and effect."""
    origin: Origin | None = None
    """Only in a folder of many recordings: by this, a later run sees that the recording is finished."""
