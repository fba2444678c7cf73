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
    signal: dict[str, Any] = Field(default_factory=dict)
    """What was done to the samples before they were cut: counts, and each step with parameters and effect."""
    origin: Origin | None = None
    """Only in a folder of many recordings: by this, a later run sees that the recording is finished."""
