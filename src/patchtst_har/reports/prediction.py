"""The report of one recording whose activities are predicted and not known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchtst_har.data.non_wear import NON_WEAR
from patchtst_har.data.times import iana_zone
from patchtst_har.errors import DataError
from patchtst_har.records.reading import ZONE, read_table, wall_clock
from patchtst_har.reports import plots
from patchtst_har.reports.days import (
    minutes_of_days,
    span_text,
    table_of_days,
    table_of_means,
    unworn_spans,
)
from patchtst_har.reports.plots.style import NARROW_IN
from patchtst_har.reports.plots.timeline import Extent
from patchtst_har.reports.rendering import facts, pictures, render, words
from patchtst_har.reports.signal import steps_in_words
from patchtst_har.summaries import SummaryRules, summarise
from patchtst_har.summaries.hours import hours_of_day
from patchtst_har.summaries.rows import is_unworn
from patchtst_har.support.files import atomic_write_text
from patchtst_har.support.formatting import readable

COLUMNS = ("start", "end", "label", "probability")
UNFAMILIAR, ENMO = "unfamiliar", "enmo_mg"
_TIMES = ("start", "end")
_DOUBTFUL = 0.5
_SHORT = pd.Timedelta(hours=6)
_TOO_SHORT_FOR_DAYS = pd.Timedelta(hours=1)
_DROPPED = {
    "n_nonfinite": "samples that are not numbers",
    "n_zero": "samples of exactly zero",
    "n_out_of_range": "samples beyond what a sensor measures",
    "short_stretches": "segments shorter than a window",
}


def render_prediction_report(
    timeline: pd.DataFrame | str | Path,
    out: str | Path,
    *,
    recording_info: Mapping[str, Any],
    model_info: Mapping[str, Any],
    classes: Sequence[str] | None = None,
    warnings: Sequence[str] = (),
    notices: Sequence[str] = (),
    signal: Mapping[str, Any] | None = None,
    rules: SummaryRules | None = None,
) -> Path:
    """Write the report of one person's predicted activities: one HTML file that needs nothing else.

    Parameters
    ----------
    timeline : DataFrame or path-like
        Columns ``start, end`` (times), ``label``, ``probability``; if they are known, ``unfamiliar`` (bool),
        which rows are unlike what the model was trained on, and ``enmo_mg``; rows do not overlap, time
        between rows is time without data. Rows of the label ``non_wear`` need no probability. Times with a
        zone are shown as wall-clock time. A path names such a CSV file, of which the ``clock`` below names
        the zone if it has several offsets from UTC.
    out : path-like
        The HTML file to write; its folder must exist.
    recording_info, model_info : mapping
        Facts to show, nested mappings flattened. Of `recording_info`, ``name`` is the title; ``start`` and
        ``end`` (ISO 8601) are the recording's extent, of which time without a row counts as unlabelled
        (default: the rows' extent); ``clock`` says what the times are ("UTC", "local wall clock", a zone);
        ``dropped`` maps a reason to a count. Of `model_info`, ``score`` is what is known of the model on
        other people.
    classes : sequence of str, optional
        Class names in the order of their colours; default: the labels that occur, sorted.
    warnings : sequence of str
        What the reader must know about this recording: shown in boxes.
    notices : sequence of str
        What holds for every recording: shown plainly.
    signal : mapping, optional
        What was done to the samples (`patchtst_har.data.signal_steps`).
    rules : SummaryRules, optional
        How days are counted.

    Returns
    -------
    pathlib.Path
        `out`.

    Raises
    ------
    DataError
        If the timeline has no row, lacks a column, overlaps, or has an impossible value, or ``start`` or
        ``end`` is not a time; nothing is written.
    """
    if not isinstance(timeline, pd.DataFrame):
        timeline = _from_file(Path(timeline), recording_info.get("clock"))
    frame, instants = _columns(timeline)
    _check(frame, instants)
    if classes is None:
        classes = sorted(set(frame["label"]) - {NON_WEAR})
    names = states_of(frame, classes)
    worn = frame[~is_unworn(frame)]
    unknown = sorted(set(frame["label"]) - set(names))
    if unknown:
        raise DataError(f"timeline: label {unknown[0]!r} is not one of the classes {', '.join(names)}")
    ends = _extent(instants, recording_info)
    summary = summarise(frame.assign(**instants), classes, extent=ends, rules=rules)
    extent = (ends[0].tz_localize(None), ends[1].tz_localize(None))
    minutes = minutes_of_days(summary)
    drawn: dict[str, Callable[..., str]] = {"days": _timeline(frame, names, extent)}
    if len(worn):
        drawn["probabilities"] = partial(plots.plot_probabilities, worn)
    if ends[1] - ends[0] >= _TOO_SHORT_FOR_DAYS:
        drawn["minutes"] = partial(plots.plot_daily_minutes, minutes)
    means = table_of_means(summary.days, classes)
    if means:
        drawn["hours"] = partial(plots.plot_hours, *hours_of_day(summary.rows, summary.daily), classes)
    html = render(
        "prediction.html.j2",
        title=str(recording_info.get("name", "Recording")),
        figures=_at_both_widths(drawn),
        facts=_facts(frame, instants, extent, ends[1] - ends[0]),
        clock=recording_info.get("clock"),
        time=table_of_days(minutes, len(classes)),
        means=means,
        days=summary.days,
        has_enmo=bool(summary.daily["enmo_mg"].notna().any()),
        unworn=unworn_spans(summary),
        recording=list(facts(_in_words(recording_info))),
        model=list(facts(model_info)),
        score=model_info.get("score"),
        warnings=list(warnings),
        notices=list(notices),
        signal=[
            (name, f"{effect}{how and f' ({how})'}") for name, effect, how in steps_in_words(signal or {})
        ],
        non_wear=NON_WEAR,
    )
    atomic_write_text(out, html)
    return Path(out)


def _at_both_widths(drawn: Mapping[str, Callable[..., str]]) -> dict[str, Any]:
    """Return each picture for a screen and, drawn anew, for a phone; the page shows one of them."""
    wide, narrow = (
        pictures({name: plot(name=name + suffix, **width) for name, plot in drawn.items()})
        for suffix, width in (("", {}), ("-narrow", {"width_in": NARROW_IN}))
    )
    return {name: (wide[name], narrow[name]) for name in drawn}


def states_of(timeline: pd.DataFrame, classes: Sequence[str]) -> tuple[str, ...]:
    """Return what the labels of a timeline can be: the model's classes, and `NON_WEAR` if it occurs."""
    occurs = NON_WEAR not in classes and bool((timeline["label"] == NON_WEAR).any())
    return (*classes, *((NON_WEAR,) if occurs else ()))


def _timeline(frame: pd.DataFrame, classes: Sequence[str], extent: Extent) -> Callable[..., str]:
    """Return what draws whole days below each other, but a short recording along its own time."""
    first, last = extent
    if last - first < _SHORT and first.date() == last.date():
        return partial(plots.plot_timelines, {"predicted": frame}, classes, extent=extent)
    return partial(plots.plot_days, frame, classes, extent=extent)


def _in_words(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts with the mapping ``dropped`` as one text: each reason that occurs, with its count."""
    if not isinstance(info.get("dropped"), Mapping):
        return dict(info)
    dropped = {_DROPPED.get(reason, words(reason)): n for reason, n in info["dropped"].items() if n}
    text = ", ".join(f"{readable(n)} {reason}" for reason, n in dropped.items())
    return {**info, "dropped": text or "nothing"}


def _extent(instants: pd.DataFrame, info: Mapping[str, Any]) -> Extent:
    """Return first and last moment of the recording by the clock of the timeline."""
    zone = instants["start"].dt.tz
    first, last = instants["start"].iloc[0], instants["end"].iloc[-1]
    if info.get("start") is not None:
        first = min(first, _stamp(info["start"], "start", zone))
    if info.get("end") is not None:
        last = max(last, _stamp(info["end"], "end", zone))
    return first, last


def _stamp(value: Any, name: str, zone: tzinfo | None) -> pd.Timestamp:
    stamp = pd.to_datetime(str(value), format="ISO8601", errors="coerce")
    if pd.isna(stamp):
        raise DataError(f"recording_info: {name}: not a time ({value!r})")
    stamp = stamp.as_unit("ns")
    if zone is None:
        return stamp.tz_localize(None)
    if stamp.tz is None:
        return stamp.tz_localize(zone, ambiguous=True, nonexistent="shift_forward")
    return stamp.tz_convert(zone)


def _columns(timeline: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the columns with wall-clock times, and the instants (clocks go back in autumn)."""
    missing = [name for name in COLUMNS if name not in timeline]
    if missing:
        raise DataError(f"timeline: lacks the column {', '.join(missing)}")
    known = [name for name in (*COLUMNS, UNFAMILIAR, ENMO) if name in timeline]
    frame = timeline[known].reset_index(drop=True)
    instants = frame[list(_TIMES)].copy()
    for name in _TIMES:
        if not pd.api.types.is_datetime64_any_dtype(frame[name]):
            raise DataError(f"timeline: column {name}: needs times, has {frame[name].dtype}")
        instants[name] = frame[name].dt.as_unit("ns")
        frame[name] = instants[name].dt.tz_localize(None)
    return frame, instants


def _from_file(path: Path, clock: Any) -> pd.DataFrame:
    """Return a timeline from a CSV file, its times in its zone if it has one."""
    texts = read_table(path, COLUMNS, ())
    if texts is None:
        raise DataError(f"{path}: no such file")
    try:
        frame = texts[list(COLUMNS)].replace({"probability": {"": "nan"}}).astype({"probability": float})
    except ValueError as error:
        raise DataError(f"{path}: column probability: not a number ({error})") from error
    offsets = pd.concat([texts[name].str.extract(f"({ZONE})")[0] for name in _TIMES]).dropna().unique()
    walls = {name: wall_clock(texts[name], f"{path}: column {name}") for name in _TIMES}
    if not len(offsets):
        return frame.assign(**walls)
    try:
        zone: tzinfo | None = iana_zone(str(clock))
    except DataError:
        if len(offsets) > 1:
            raise DataError(
                f"{path}: times have several offsets from UTC ({', '.join(sorted(offsets))}): the clock in "
                "recording_info must name their zone"
            ) from None
        zone = pd.Timestamp(texts["start"].iloc[0]).tz
    times = {
        name: pd.to_datetime(texts[name], format="ISO8601", utc=True).dt.tz_convert(zone) for name in _TIMES
    }
    return frame.assign(**times)


def _check(frame: pd.DataFrame, instants: pd.DataFrame) -> None:
    if frame.empty:
        raise DataError("timeline: has no row")
    absent = frame.isna()
    absent["probability"] &= ~is_unworn(frame)
    absent = absent.drop(columns=ENMO, errors="ignore")
    if absent.any(axis=None):
        row, column = np.argwhere(absent.to_numpy())[0]
        raise DataError(f"timeline: row {row} has no {COLUMNS[column]}")
    probability = frame["probability"].to_numpy(dtype=float)
    for problem, wrong in (
        ("ends before it starts", (instants["end"] <= instants["start"]).to_numpy()),
        ("has a probability outside 0 to 1", (probability < 0) | (probability > 1)),
        ("begins before the row above it ends", (instants["start"] < instants["end"].shift()).to_numpy()),
    ):
        if wrong.any():
            raise DataError(f"timeline: row {int(np.flatnonzero(wrong)[0])} {problem}")


def _facts(frame: pd.DataFrame, instants: pd.DataFrame, extent: Extent, span: pd.Timedelta) -> dict[str, Any]:
    lasted = (instants["end"] - instants["start"]).dt.total_seconds().to_numpy()
    worn = ~is_unworn(frame).to_numpy()
    frame, seconds, unworn = frame[worn], lasted[worn], lasted[~worn].sum()
    covered, whole = seconds.sum(), span.total_seconds()
    probability = frame["probability"].to_numpy(dtype=float)
    known = covered > 0
    strange = frame[UNFAMILIAR].to_numpy(dtype=bool) if UNFAMILIAR in frame and known else None
    return {
        "first": f"{extent[0]:%Y-%m-%d %H:%M}",
        "last": f"{extent[1]:%Y-%m-%d %H:%M}",
        "covered": span_text(covered),
        "non_wear": span_text(unworn) if unworn else None,
        "missing": span_text(whole - covered - unworn),
        "coverage": covered / whole,
        "mean_probability": float(np.average(probability, weights=seconds)) if known else None,
        "doubtful": float(seconds[probability < _DOUBTFUL].sum() / covered) if known else None,
        "doubtful_below": _DOUBTFUL,
        "unfamiliar": None if strange is None else float(seconds[strange].sum() / covered),
    }
