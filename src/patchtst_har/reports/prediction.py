"""The report of one recording whose activities are predicted and not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchtst_har.data.non_wear import NON_WEAR
from patchtst_har.errors import DataError
from patchtst_har.records.reading import ZONE, read_table, wall_clock
from patchtst_har.reports import plots
from patchtst_har.reports.plots.prediction import daily_minutes, unit_of_days
from patchtst_har.reports.plots.timeline import Extent
from patchtst_har.reports.rendering import facts, pictures, render, words
from patchtst_har.reports.signal import steps_in_words
from patchtst_har.support.files import atomic_write_text
from patchtst_har.support.formatting import readable

COLUMNS = ("start", "end", "label", "probability")
UNFAMILIAR = "unfamiliar"
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
) -> Path:
    """Write the report of one person's predicted activities: one HTML file that needs nothing else.

    Parameters
    ----------
    timeline : DataFrame or path-like
        Columns ``start, end`` (times), ``label``, ``probability``, and ``unfamiliar`` (bool) if it is known
        which rows are unlike what the model was trained on; rows do not overlap, time between rows is time
        without data. Rows of the label ``non_wear`` need no probability. Times with a zone are shown as
        wall-clock time. A path names such a CSV file.
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
    frame, instants = (
        _from_frame(timeline) if isinstance(timeline, pd.DataFrame) else _from_file(Path(timeline))
    )
    _check(frame, instants)
    if classes is None:
        classes = sorted(set(frame["label"]) - {NON_WEAR})
    names = states_of(frame, classes)
    worn = frame[_is_worn(frame)]
    unknown = sorted(set(frame["label"]) - set(names))
    if unknown:
        raise DataError(f"timeline: label {unknown[0]!r} is not one of the classes {', '.join(names)}")
    extent, span = _extent(frame, instants, recording_info)
    minutes = daily_minutes(frame, names)
    figures = {"days": _plot_timeline(frame, names, extent)}
    if len(worn):
        figures["probabilities"] = plots.plot_probabilities(worn)
    if span >= _TOO_SHORT_FOR_DAYS:
        figures["minutes"] = plots.plot_daily_minutes(minutes)
    html = render(
        "prediction.html.j2",
        title=str(recording_info.get("name", "Recording")),
        figures=pictures(figures),
        facts=_facts(frame, instants, extent, span),
        clock=recording_info.get("clock"),
        time=_table_of_days(minutes),
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


def states_of(timeline: pd.DataFrame, classes: Sequence[str]) -> tuple[str, ...]:
    """Return what the labels of a timeline can be: the model's classes, and `NON_WEAR` if it occurs."""
    occurs = NON_WEAR not in classes and bool((timeline["label"] == NON_WEAR).any())
    return (*classes, *((NON_WEAR,) if occurs else ()))


def _is_worn(frame: pd.DataFrame) -> pd.Series[bool]:
    """Return which rows are activities: not those of time without wear, which have no probability."""
    return (frame["label"] != NON_WEAR) | frame["probability"].notna()


def _table_of_days(minutes: pd.DataFrame) -> dict[str, Any]:
    """Return unit, head and rows of the time of each class on each day; the longer side goes downwards."""
    scale, unit, decimals = unit_of_days(minutes)
    table = (minutes / scale).rename(index=lambda day: f"{day:%a %d %b %Y}")
    corner, others = "Day", ("All", "All days")
    if len(table) <= len(table.columns):
        table, corner, others = table.T, "Activity", ("All days", "All")
    table[others[0]] = table.sum(axis=1)
    table.loc[others[1]] = table.sum()
    if len(minutes) == 1:
        table = table.loc[:, table.columns != "All days"]
    rows = [(str(name), [f"{value:,.{decimals}f}" for value in row]) for name, row in table.iterrows()]
    return {"unit": unit.lower(), "head": [corner, *map(str, table.columns)], "rows": rows}


def _plot_timeline(frame: pd.DataFrame, classes: Sequence[str], extent: Extent) -> str:
    """Draw whole days below each other, but a short recording along its own time."""
    first, last = extent
    if last - first < _SHORT and first.date() == last.date():
        return plots.plot_timelines({"predicted": frame}, classes, extent=extent)
    return plots.plot_days(frame, classes, extent=extent)


def _in_words(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts with the mapping ``dropped`` as one text: each reason that occurs, with its count."""
    if not isinstance(info.get("dropped"), Mapping):
        return dict(info)
    dropped = {_DROPPED.get(reason, words(reason)): n for reason, n in info["dropped"].items() if n}
    text = ", ".join(f"{readable(n)} {reason}" for reason, n in dropped.items())
    return {**info, "dropped": text or "nothing"}


def _extent(
    frame: pd.DataFrame, instants: pd.DataFrame, info: Mapping[str, Any]
) -> tuple[Extent, pd.Timedelta]:
    """Return first and last moment of the recording by the clock of the timeline, and the time between."""
    walls, absolute = [], []
    for name, row, further in (("start", 0, min), ("end", -1, max)):
        wall, instant = frame[name].iloc[row], instants[name].iloc[row]
        offset = wall - _utc(instant)
        if info.get(name) is not None:
            stamp = _stamp(info[name], name)
            if stamp.tz is None or instant.tz is None:
                wall = further(wall, stamp.tz_localize(None))
            else:
                wall = further(wall, _utc(stamp) + offset)
        walls.append(wall)
        absolute.append(wall - offset)
    return (walls[0], walls[1]), absolute[1] - absolute[0]


def _stamp(value: Any, name: str) -> pd.Timestamp:
    stamp = pd.to_datetime(str(value), format="ISO8601", errors="coerce")
    if pd.isna(stamp):
        raise DataError(f"recording_info: {name}: not a time ({value!r})")
    return stamp.as_unit("ns")


def _utc(instant: pd.Timestamp) -> pd.Timestamp:
    return (instant if instant.tz is None else instant.tz_convert("UTC")).tz_localize(None)


def _from_frame(timeline: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the columns with wall-clock times, and the instants (clocks go back in autumn)."""
    missing = [name for name in COLUMNS if name not in timeline]
    if missing:
        raise DataError(f"timeline: lacks the column {', '.join(missing)}")
    frame = timeline[[name for name in (*COLUMNS, UNFAMILIAR) if name in timeline]].reset_index(drop=True)
    instants = frame[list(_TIMES)].copy()
    for name in _TIMES:
        if not pd.api.types.is_datetime64_any_dtype(frame[name]):
            raise DataError(f"timeline: column {name}: needs times, has {frame[name].dtype}")
        frame[name] = frame[name].dt.tz_localize(None).astype("datetime64[ns]")
    return frame, instants


def _from_file(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    texts = read_table(path, COLUMNS, ())
    if texts is None:
        raise DataError(f"{path}: no such file")
    try:
        frame = texts[list(COLUMNS)].replace({"probability": {"": "nan"}}).astype({"probability": float})
    except ValueError as error:
        raise DataError(f"{path}: column probability: not a number ({error})") from error
    for name in _TIMES:
        frame[name] = wall_clock(texts[name], f"{path}: column {name}")
    instants = texts[list(_TIMES)].apply(pd.to_datetime, format="ISO8601", utc=True)
    zoned = texts["start"].str.contains(ZONE).any()
    return frame, instants if zoned else instants.apply(lambda times: times.dt.tz_localize(None))


def _check(frame: pd.DataFrame, instants: pd.DataFrame) -> None:
    if frame.empty:
        raise DataError("timeline: has no row")
    absent = frame.isna()
    absent["probability"] &= _is_worn(frame)
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
    worn = _is_worn(frame).to_numpy()
    frame, seconds, unworn = frame[worn], lasted[worn], lasted[~worn].sum()
    covered, whole = seconds.sum(), span.total_seconds()
    probability = frame["probability"].to_numpy(dtype=float)
    known = covered > 0
    strange = frame[UNFAMILIAR].to_numpy(dtype=bool) if UNFAMILIAR in frame and known else None
    return {
        "first": f"{extent[0]:%Y-%m-%d %H:%M}",
        "last": f"{extent[1]:%Y-%m-%d %H:%M}",
        "covered": _span(covered),
        "non_wear": _span(unworn) if unworn else None,
        "missing": _span(whole - covered - unworn),
        "coverage": covered / whole,
        "mean_probability": float(np.average(probability, weights=seconds)) if known else None,
        "doubtful": float(seconds[probability < _DOUBTFUL].sum() / covered) if known else None,
        "doubtful_below": _DOUBTFUL,
        "unfamiliar": None if strange is None else float(seconds[strange].sum() / covered),
    }


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s"
