"""The data dictionary: every column and key that is written of recordings, in one place.

`docs/data-dictionary.md` is made from it, and a test compares it with what is written. In names, CLASS stands
for each class of the model, and `*` for keys that depend on the file.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import NamedTuple


class Entry(NamedTuple):
    """One column of a table, or one key of a JSON document (joined with dots)."""

    name: str
    type: str
    unit: str
    meaning: str


_TIME = "ISO 8601, by the clock of the recording, with its offset from UTC if it has a zone"
_PER_DAY = "of the day"

LABELS = (
    Entry("start", "time", "", f"first moment of the row ({_TIME})"),
    Entry("end", "time", "", "the moment after its last"),
    Entry("label", "text", "", "class, or non_wear: nobody wore the sensor, or it slept"),
    Entry("probability", "number", "", "of the label, 0 to 1; empty for non_wear"),
)
WINDOWS = (
    Entry("start", "time", "", f"first moment of the window ({_TIME})"),
    Entry("end", "time", "", "the moment after its last sample"),
    Entry("label", "text", "", "class after smoothing, as in the timeline"),
    Entry("probability", "number", "", "of the label, as in the timeline"),
    Entry("enmo_mg", "number", "mg", "ENMO: mean of max(magnitude - 1 g, 0); empty for non_wear"),
    Entry("raw_label", "text", "", "class that the classifier finds most probable, for this window alone"),
    Entry("raw: CLASS", "number", "", "probability that the classifier gives the class; they add up to 1"),
    Entry("smoothed: CLASS", "number", "", "probability of the class after smoothing"),
    Entry("distance", "number", "", "from the windows that the model was trained on; only if it knows"),
    Entry("unfamiliar", "True or False", "", "whether the distance is beyond 1; only if the model knows"),
)
DAILY = (
    Entry("date", "date", "", "local calendar day, YYYY-MM-DD"),
    Entry("weekday", "text", "", "Monday to Sunday"),
    Entry("partial", "True or False", "", "the recording begins or ends within the day"),
    Entry("recorded_hours", "number", "h", f"{_PER_DAY}, between the first and the last sample"),
    Entry("wear_hours", "number", "h", f"{_PER_DAY}, with a class: all labelled time but non_wear"),
    Entry("non_wear_hours", "number", "h", f"{_PER_DAY}, labelled non_wear"),
    Entry("no_data_hours", "number", "h", "the rest of recorded_hours: gaps, parts too short for a window"),
    Entry("valid", "True or False", "", "wear_hours reaches --min-wear-hours"),
    Entry("enmo_mg", "number", "mg", "mean ENMO over worn time; empty without any"),
    Entry(
        "longest_inactive_min", "number", "min",
        "longest part of an inactive bout within the day; empty if no class is known to be inactive",
    ),
    Entry("minutes: CLASS", "number", "min", f"{_PER_DAY} with this class"),
)  # fmt: skip
BOUTS = (
    Entry("start", "time", "", f"first moment of the bout ({_TIME})"),
    Entry("end", "time", "", "the moment after its last"),
    Entry("label", "text", "", "its class"),
    Entry("minutes", "number", "min", "from start to end, breaks included"),
    Entry("share", "number", "", "of that time in which the label is the class, 0 to 1"),
    Entry("enmo_mg", "number", "mg", "mean ENMO from start to end"),
)


def _means(key: str, which: str) -> tuple[Entry, ...]:
    def entry(name: str, kind: str, unit: str, meaning: str) -> Entry:
        return Entry(f"days.{key}.{name}", kind, unit, meaning)

    return (
        Entry(f"days.{key}", "null", "", f"there is no such day: {which}"),
        entry("n_days", "whole number", "", f"days of which the following are means: {which}"),
        entry("wear_hours", "number", "h", "mean per day"),
        entry("non_wear_hours", "number", "h", "mean per day"),
        entry("no_data_hours", "number", "h", "mean per day"),
        entry("enmo_mg", "number or null", "mg", "mean of the days' enmo_mg"),
        entry("longest_inactive_min", "number or null", "min", "mean per day"),
        entry("minutes.CLASS", "number", "min", "mean per day"),
    )


def _step(name: str, what: str) -> tuple[Entry, ...]:
    return (
        Entry(f"signal.{name}.policy", "text", "", f"what was asked for: {what}"),
        Entry(f"signal.{name}.applied", "true or false", "", "whether it changed anything"),
        Entry(f"signal.{name}.reason", "text", "", "why not, if it could not be done"),
    )


SUMMARY = (
    Entry("recording.name", "text", "", "file name without its ending"),
    Entry("recording.source", "text", "", "path of the file"),
    Entry("recording.n_samples", "whole number", "", "samples read"),
    Entry("recording.start", "time", "", "stamp of the first sample, as in the file"),
    Entry("recording.end", "time", "", "stamp of the last sample"),
    Entry("recording.sample_rate_hz", "number or null", "Hz", "measured from the stamps"),
    Entry("recording.units", "text", "", "unit of the acceleration in the file"),
    Entry("recording.rest_magnitude_g", "number or null", "g", "median magnitude of quiet parts"),
    Entry("recording.rest_magnitude_basis", "text or null", "", "still, or all: of all samples"),
    Entry("recording.n_repeated_stamps", "whole number", "", "samples that share the stamp before"),
    Entry("recording.n_out_of_order", "whole number", "", "samples sorted or dropped"),
    Entry("recording.reading.*", "any", "", "how the file was read: its form, device, options"),
    Entry("recording.clock", "text", "", "UTC, the name of a zone, or local wall clock"),
    Entry("recording.dropped.n_nonfinite", "whole number", "", "samples left out: NaN or infinite"),
    Entry("recording.dropped.n_zero", "whole number", "", "samples left out: exactly (0, 0, 0)"),
    Entry("recording.dropped.n_out_of_range", "whole number", "", "samples left out: beyond 50 g"),
    Entry("recording.dropped.short_stretches", "whole number", "", "segments shorter than a window"),
    Entry("model.model", "text", "", "name of the model"),
    Entry("model.folder", "text", "", "its folder; not of a model that comes with the package"),
    Entry("model.window_s", "number", "s", "length of a window"),
    Entry("model.hop_s", "number", "s", "from the start of a window to that of the next"),
    Entry("model.smoothing", "text", "", "none, hmm, filter or lag:K"),
    Entry("model.classes", "text", "", "its classes, joined by commas"),
    Entry("model.trained_on", "text", "", "whom it was trained on"),
    Entry("model.adapted_to", "text", "", "labelled windows it was adapted to, if it was"),
    Entry("model.score", "text", "", "what is known of it on other people; only of a shipped model"),
    Entry("model.licence", "text", "", "only of a shipped model"),
    Entry("minutes.CLASS", "number", "min", "with this class, in the whole recording"),
    Entry("non_wear_minutes", "number", "min", "labelled non_wear"),
    Entry("n_windows", "whole number", "", "windows classified"),
    Entry("n_unfamiliar", "whole number or null", "", "unfamiliar ones; null if the model does not know"),
    Entry("warnings", "list of text", "", "what makes this recording doubtful"),
    Entry("notices", "list of text", "", "what holds for every recording that the model labels"),
    Entry("days.n_days", "whole number", "", "local calendar days with some of the recording"),
    Entry("days.n_valid", "whole number", "", "valid ones of them"),
    Entry("days.min_wear_hours", "number", "h", "wear that makes a day valid"),
    Entry("days.inactive_classes", "list of text", "", "classes that count as inactive"),
    Entry("days.inactive_reason", "text or null", "", "why there is none"),
    *_means("all", "all valid days"),
    *_means("weekday", "valid days from Monday to Friday"),
    *_means("weekend", "valid Saturdays and Sundays"),
    *(
        entry
        for least in (1, 5, 10, 30)
        for entry in (
            Entry(f"bouts.CLASS.{least}_min.n", "whole number", "", f"bouts of {least} min or more"),
            Entry(f"bouts.CLASS.{least}_min.minutes", "number", "min", "of these bouts together"),
        )
    ),
    Entry("origin", "null", "", "the recording was labelled alone"),
    Entry("origin.source.size", "whole number", "bytes", "of the file; only in a folder of many recordings"),
    Entry("origin.source.mtime_ns", "whole number", "ns", "when the file was last changed, since 1970"),
    Entry("origin.source.ends", "text", "", "SHA-256 of its first and last 64 KiB"),
    Entry("origin.settings", "text", "", "SHA-256 of model, options and version"),
    Entry("signal.sample_rate_hz", "number or null", "Hz", "measured, of usable samples"),
    Entry("signal.n_samples", "whole number", "", "of the recording"),
    Entry("signal.n_nonfinite", "whole number", "", "left out: NaN or infinite"),
    Entry("signal.n_zero", "whole number", "", "left out: exactly (0, 0, 0)"),
    Entry("signal.n_out_of_range", "whole number", "", "left out: beyond 50 g"),
    Entry("signal.n_repeated_stamps", "whole number", "", "samples that share the stamp before"),
    Entry("signal.repeated_s", "number", "s", "one value repeated for a minute or more"),
    Entry("signal.idle_zero_s", "number", "s", "exact zeros for a minute or more"),
    Entry("signal.n_gaps", "whole number", "", "pauses longer than data.max_gap_s"),
    Entry("signal.gaps_s", "number", "s", "of all gaps together"),
    *_step("non_wear", "auto or off"),
    Entry("signal.non_wear.non_wear_s", "number", "s", "time without wear"),
    Entry("signal.non_wear.idle_s", "number", "s", "idle sleep"),
    Entry("signal.non_wear.n_spans", "whole number", "", "spans without wear"),
    Entry("signal.non_wear.window_s", "number", "s", "the rule: span that is looked at"),
    Entry("signal.non_wear.step_s", "number", "s", "the rule: from one span to the next"),
    Entry("signal.non_wear.max_std_mg", "number", "mg", "the rule: standard deviation below this"),
    Entry("signal.non_wear.max_range_mg", "number", "mg", "the rule: or range below this"),
    Entry("signal.non_wear.min_axes", "whole number", "", "the rule: on so many axes"),
    Entry("signal.non_wear.min_filled", "number", "", "the rule: share of samples that must be there"),
    *_step("calibration", "auto, require or off"),
    Entry("signal.calibration.scale", "list of numbers", "", "factors of x, y, z"),
    Entry("signal.calibration.offset_g", "list of numbers", "g", "added to x, y, z after scaling"),
    Entry("signal.calibration.error_before_mg", "number or null", "mg", "error at rest before"),
    Entry("signal.calibration.error_after_mg", "number", "mg", "error at rest after"),
    Entry("signal.calibration.n_windows", "whole number", "", "windows at rest"),
    Entry("signal.calibration.window_s", "number", "s", "the method: length of a window"),
    Entry("signal.calibration.max_std_mg", "number", "mg", "the method: at rest below this"),
    Entry("signal.calibration.min_windows", "whole number", "", "the method: windows needed"),
    Entry("signal.calibration.sphere_mg", "number", "mg", "the method: orientations needed on each axis"),
    Entry("signal.calibration.max_error_mg", "number", "mg", "the method: largest error after"),
    Entry("signal.resampling.sample_rate_hz", "number", "Hz", "rate of the windows"),
    Entry("signal.resampling.method", "text", "", "interpolation"),
    Entry("signal.resampling.n_low_passed_segments", "whole number", "", "segments low-passed before"),
)  # fmt: skip


def _of_summary() -> tuple[Entry, ...]:
    """Return the columns of recordings.csv that are keys of the summary, joined with "_"."""
    return tuple(
        entry._replace(name=entry.name.replace(".", "_"), type=entry.type.removesuffix(" or null"))
        for entry in SUMMARY
        if entry.name.startswith(("days.", "bouts.")) and entry.type not in ("null", "list of text")
    )


RECORDINGS = (
    Entry("recording", "text", "", "name of the recording, as in the names of its files"),
    Entry("source", "text", "", "path of the file"),
    Entry("device_*", "any", "", "what the file says of its device"),
    Entry("start", "time", "", "time of the first sample, by the clock of the labels"),
    Entry("end", "time", "", "time of the last sample"),
    Entry("clock", "text", "", "UTC, the name of a zone, or local wall clock"),
    Entry("hours", "number", "h", "from start to end"),
    Entry("sample_rate_hz", "number", "Hz", "measured from the stamps"),
    Entry("rest_magnitude_g", "number", "g", "median magnitude of quiet parts"),
    Entry("wear_minutes", "number", "min", "with a class: all labelled time but non_wear"),
    Entry("non_wear_minutes", "number", "min", "labelled non_wear"),
    Entry("wear_share", "number", "", "wear_minutes of both, 0 to 1; empty if non-wear was not looked for"),
    Entry("minutes_CLASS", "number", "min", "with this class"),
    Entry("n_windows", "whole number", "", "windows classified"),
    Entry("n_unfamiliar", "whole number", "", "unfamiliar ones; empty if the model does not know"),
    Entry("unfamiliar_share", "number", "", "unfamiliar ones of all windows, 0 to 1"),
    Entry("calibration", "text", "", "applied, off, or not applied and why"),
    Entry("calibration_error_before_mg", "number", "mg", "error at rest before"),
    Entry("calibration_error_after_mg", "number", "mg", "error at rest after"),
    Entry("n_gaps", "whole number", "", "pauses longer than data.max_gap_s"),
    Entry("gaps_s", "number", "s", "of all gaps together"),
    Entry("n_warnings", "whole number", "", "warnings of this recording"),
    Entry("warnings", "text", "", "these warnings, joined by |"),
    *_of_summary(),
)
FAILURES = (
    Entry("recording", "text", "", "name of the recording; empty if it has none that can be used"),
    Entry("source", "text", "", "path of the file"),
    Entry("error", "text", "", "kind of error"),
    Entry("reason", "text", "", "why it was not labelled"),
)
TIMINGS = (
    Entry("recording", "text", "", "name of the recording"),
    Entry("seconds", "number", "s", "that a worker spent on it, from reading to written files"),
    Entry("cpu_seconds", "number", "s", "of processor time"),
    Entry("error", "text", "", "kind of error; empty if it was labelled"),
    Entry("ended", "time", "", "when it ended, UTC"),
)

TABLES: dict[str, tuple[Entry, ...]] = {
    "NAME_labels.csv": LABELS,
    "NAME_windows.csv": WINDOWS,
    "NAME_daily.csv": DAILY,
    "NAME_bouts.csv": BOUTS,
    "NAME_summary.json": SUMMARY,
    "recordings.csv": RECORDINGS,
    "daily.csv": (RECORDINGS[0], *DAILY),
    "failures.csv": FAILURES,
    "timings.csv": TIMINGS,
}


def write_dictionary(path: Path) -> None:
    """Write all entries as a CSV file: table, name, type, unit, meaning."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["table", *Entry._fields])
        writer.writerows([table, *entry] for table, entries in TABLES.items() for entry in entries)


def entry_of(name: str, table: str) -> Entry | None:
    """Return the entry that describes a column, or a key joined with dots; None if there is none."""
    return next((entry for entry in TABLES[table] if _matches(name, entry.name)), None)


def _matches(name: str, pattern: str) -> bool:
    parts = [".+" if part in ("CLASS", "*") else re.escape(part) for part in re.split(r"(CLASS|\*)", pattern)]
    return re.fullmatch("".join(parts), name) is not None
