"""The report of one recording whose activities are predicted and not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from patchtst_har.errors import DataError
from patchtst_har.evaluation import plots
from patchtst_har.evaluation.plots.prediction import daily_minutes
from patchtst_har.evaluation.reading import read_table, wall_clock
from patchtst_har.evaluation.rendering import flatten, render
from patchtst_har.files import atomic_write_text

COLUMNS = ("start", "end", "label", "probability")
_TIMES = ("start", "end")
_DOUBTFUL = 0.5
_SHORT = pd.Timedelta(hours=6)


def render_prediction_report(
    timeline: pd.DataFrame | str | Path,
    out: str | Path,
    *,
    recording_info: Mapping[str, Any],
    model_info: Mapping[str, Any],
    classes: Sequence[str] | None = None,
    warnings: Sequence[str] = (),
) -> Path:
    """Write the report of one person's predicted activities: one HTML file that needs nothing else.

    Parameters
    ----------
    timeline : DataFrame or path-like
        Columns ``start, end`` (times), ``label``, ``probability``; rows do not overlap, time between rows is
        time without data. Times with a zone are shown as wall-clock time. A path names such a CSV file.
    out : path-like
        The HTML file to write; its folder must exist.
    recording_info, model_info : mapping
        Facts to show, nested mappings flattened; ``recording_info["name"]``, if given, is the title.
    classes : sequence of str, optional
        Class names in the order of their colours; default: the labels that occur, sorted.
    warnings : sequence of str
        What the reader must know about this recording.

    Returns
    -------
    pathlib.Path
        `out`.

    Raises
    ------
    DataError
        If the timeline has no row, lacks a column, overlaps, or has an impossible value; nothing is written.
    """
    frame, instants = (
        _from_frame(timeline) if isinstance(timeline, pd.DataFrame) else _from_file(Path(timeline))
    )
    _check(frame, instants)
    names = tuple(sorted(frame["label"].unique()) if classes is None else classes)
    unknown = sorted(set(frame["label"]) - set(names))
    if unknown:
        raise DataError(f"timeline: label {unknown[0]!r} is not one of the classes {', '.join(names)}")
    minutes = daily_minutes(frame, names)
    figures = {
        "days": _plot_timeline(frame, names),
        "minutes": plots.plot_daily_minutes(minutes),
        "probabilities": plots.plot_probabilities(frame),
    }
    html = render(
        "prediction.html.j2",
        title=str(recording_info.get("name", "Recording")),
        figures={name: Markup(svg) for name, svg in figures.items()},  # noqa: S704 - made here, text escaped
        facts=_facts(frame, instants),
        days=[(f"{day:%a %d %b %Y}", row.tolist()) for day, row in minutes.iterrows()],
        totals=minutes.sum().tolist(),
        classes=names,
        recording=list(flatten(recording_info)),
        model=list(flatten(model_info)),
        warnings=list(warnings),
    )
    atomic_write_text(out, html)
    return Path(out)


def _plot_timeline(frame: pd.DataFrame, classes: Sequence[str]) -> str:
    """Draw whole days below each other, but a short recording along its own time."""
    first, last = frame["start"].iloc[0], frame["end"].iloc[-1]
    if last - first < _SHORT and first.date() == last.date():
        return plots.plot_timelines({"predicted": frame}, classes)
    return plots.plot_days(frame, classes)


def _from_frame(timeline: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the columns with wall-clock times, and the instants (clocks go back in autumn)."""
    missing = [name for name in COLUMNS if name not in timeline]
    if missing:
        raise DataError(f"timeline: lacks the column {', '.join(missing)}")
    frame = timeline[list(COLUMNS)].reset_index(drop=True)
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
        frame = texts[list(COLUMNS)].astype({"probability": float})
    except ValueError as error:
        raise DataError(f"{path}: column probability: not a number ({error})") from error
    for name in _TIMES:
        frame[name] = wall_clock(texts[name], f"{path}: column {name}")
    return frame, texts[list(_TIMES)].apply(pd.to_datetime, format="ISO8601", utc=True)


def _check(frame: pd.DataFrame, instants: pd.DataFrame) -> None:
    if frame.empty:
        raise DataError("timeline: has no row")
    if frame.isna().any(axis=None):
        row, column = np.argwhere(frame.isna().to_numpy())[0]
        raise DataError(f"timeline: row {row} has no {COLUMNS[column]}")
    probability = frame["probability"].to_numpy(dtype=float)
    for problem, wrong in (
        ("ends before it starts", (instants["end"] <= instants["start"]).to_numpy()),
        ("has a probability outside 0 to 1", ~((probability >= 0) & (probability <= 1))),
        ("begins before the row above it ends", (instants["start"] < instants["end"].shift()).to_numpy()),
    ):
        if wrong.any():
            raise DataError(f"timeline: row {int(np.flatnonzero(wrong)[0])} {problem}")


def _facts(frame: pd.DataFrame, instants: pd.DataFrame) -> dict[str, Any]:
    seconds = (instants["end"] - instants["start"]).dt.total_seconds().to_numpy()
    covered, span = seconds.sum(), (instants["end"].iloc[-1] - instants["start"].iloc[0]).total_seconds()
    probability = frame["probability"].to_numpy(dtype=float)
    return {
        "first": f"{frame['start'].iloc[0]:%Y-%m-%d %H:%M}",
        "last": f"{frame['end'].iloc[-1]:%Y-%m-%d %H:%M}",
        "covered": _span(covered),
        "missing": _span(span - covered),
        "coverage": covered / span,
        "mean_probability": float(np.average(probability, weights=seconds)),
        "doubtful": float(seconds[probability < _DOUBTFUL].sum() / covered),
        "doubtful_below": _DOUBTFUL,
    }


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s"
