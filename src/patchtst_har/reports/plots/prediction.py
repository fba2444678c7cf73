"""Plots of one person's predictions, of which the truth is not known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from patchtst_har.data.non_wear import NON_WEAR
from patchtst_har.reports.plots import style
from patchtst_har.reports.plots.timeline import (
    Extent,
    add_class_legend,
    bare,
    days_of,
    draw_runs,
    draw_unfamiliar,
    legend_height_in,
    merge_runs,
    unfamiliar_runs,
)

_DAY = pd.Timedelta(days=1)
_UNITS_MIN = ((60, "Hours", 2), (1, "Minutes", 1), (1 / 60, "Seconds", 0))
_WHOLE_DAY_MIN = 1440
_MAX_DAYS_WITHOUT_GAPS = 62
_LEFT_OUT = "Days without any activity are left out"


def plot_days(
    timeline: pd.DataFrame, classes: Sequence[str], *, extent: Extent | None = None, name: str = "days"
) -> str:
    """Draw a timeline with one row a calendar day, midnight to midnight.

    Parameters
    ----------
    timeline : DataFrame
        Columns ``start, end`` (datetime64), ``label`` and, if known, ``unfamiliar`` (bool).
    classes : sequence of str
        Class names in the order of their colours.
    extent : pair of Timestamp, optional
        First and last moment of the recording, drawn grey where it has no label; default: those of the rows.
    name : str
        Put before every id in the SVG.

    Returns
    -------
    str
        An SVG element. Beyond 62 days, days without any activity are left out, and the plot says so.
    """
    pieces, strange = map(split_at_midnight, (merge_runs(timeline), unfamiliar_runs(timeline)))
    shown = len(strange) > 0
    begin, end = extent or (timeline["start"].min(), timeline["end"].max())
    whole = pd.date_range(begin.normalize(), (end - pd.Timedelta(1, "ns")).normalize(), freq="D")
    days = whole
    if len(whole) > _MAX_DAYS_WITHOUT_GAPS:
        # A device that nobody wears may record for years.
        active = pieces.loc[pieces["label"] != NON_WEAR, "day"].unique()
        days = pd.DatetimeIndex(sorted(active)) if len(active) else whole[:1]
    with style.settings(name):
        figure, axes = style.new_figure(
            9, 0.42 * len(days) + 0.6 + legend_height_in(classes, unfamiliar=shown)
        )
        for y, day in enumerate(days):
            x0, runs = days_of(day), pieces[pieces["day"] == day]
            span = tuple((days_of(t) - x0) * 24 for t in (max(begin, day), min(end, day + _DAY)))
            draw_runs(axes, runs, classes, y, x0=x0, scale=24, span=span)
            draw_unfamiliar(axes, strange[strange["day"] == day], y, x0=x0, scale=24)
        if len(days) < len(whole):
            axes.set_xlabel(_LEFT_OUT)
        style.label_rows(axes, [f"{day:%a %d %b}" for day in days], 0.45)
        axes.set_xticks(range(0, 25, 3), labels=[f"{hour:02d}:00" for hour in range(0, 25, 3)])
        axes.set_xlim(0, 24)
        style.add_grid(axes, "x")
        bare(axes)
        add_class_legend(axes, classes, unfamiliar=shown)
        return style.to_svg(figure, name, f"Activities over {len(days)} days, one row per day")


def unit_of_days(minutes: pd.DataFrame) -> tuple[float, str, int]:
    """Return the unit that suits the longest day: its minutes, its name, and decimals to be shown with it."""
    longest = minutes.sum(axis=1).max()
    return next(row for row in _UNITS_MIN if longest > 3 * row[0] or row == _UNITS_MIN[-1])


def plot_daily_minutes(minutes: pd.DataFrame, *, name: str = "minutes") -> str:
    """Draw the time of each class as one stacked bar a day, in the unit that suits the longest day.

    Parameters
    ----------
    minutes : DataFrame
        Row: day; column: class; see `daily_minutes`.
    name : str
        Put before every id in the SVG.

    Returns
    -------
    str
        An SVG element. Beyond 62 days, days without any activity are left out, and the plot says so.
    """
    classes = [str(column) for column in minutes.columns]
    n_days, longest = len(minutes), minutes.sum(axis=1).max()
    if n_days > _MAX_DAYS_WITHOUT_GAPS:
        active = minutes.drop(columns=NON_WEAR, errors="ignore").sum(axis=1) > 0
        minutes = minutes[active] if active.any() else minutes.iloc[:1]
    with style.settings(name):
        figure, axes = style.new_figure(9, 0.42 * len(minutes) + 1.3)
        scale, unit, _ = unit_of_days(minutes)
        style.stack_bars(axes, minutes / scale, style.class_colours(classes), 0.7)
        style.label_rows(axes, [f"{pd.Timestamp(day):%a %d %b}" for day in minutes.index])
        left_out = f". {_LEFT_OUT}" * (len(minutes) < n_days)
        axes.set_xlabel(f"{unit} with data{left_out}")
        if longest > _WHOLE_DAY_MIN / 4:
            axes.set_xlim(0, 24)
            axes.set_xticks(range(0, 25, 3))
        style.add_grid(axes, "x")
        bare(axes)
        return style.to_svg(figure, name, "Time of each activity, day by day")


def plot_probabilities(timeline: pd.DataFrame, *, name: str = "probabilities") -> str:
    """Draw how much time was labelled with which probability.

    Parameters
    ----------
    timeline : DataFrame
        Columns ``start, end`` (datetime64), ``probability``.
    name : str
        Put before every id in the SVG.

    Returns
    -------
    str
        An SVG element.
    """
    seconds = (timeline["end"] - timeline["start"]).dt.total_seconds().to_numpy()
    edges = np.linspace(0, 1, 21)
    share, _ = np.histogram(timeline["probability"].to_numpy(), bins=edges, weights=seconds)
    with style.settings(name):
        figure, axes = style.new_figure(9, 2.5)
        axes.stairs(100 * share / seconds.sum(), edges, fill=True, color=style.SMOOTHED, alpha=0.85)
        axes.set(xlabel="Probability of the label", ylabel="% of time", xlim=(0, 1))
        style.add_grid(axes, "y")
        return style.to_svg(figure, name, "Share of time by probability of the label")


def split_at_midnight(runs: pd.DataFrame) -> pd.DataFrame:
    """Cut runs so that none crosses midnight, and add the column ``day``.

    Parameters
    ----------
    runs : DataFrame
        Columns ``start, end, label``.

    Returns
    -------
    DataFrame
        Columns ``start, end, label, day``.
    """
    pieces = []
    for start, end, label in runs[["start", "end", "label"]].itertuples(index=False):
        while start < end:
            midnight = start.normalize() + _DAY
            pieces.append((start, min(end, midnight), label, start.normalize()))
            start = midnight
    return pd.DataFrame(pieces, columns=["start", "end", "label", "day"])


def daily_minutes(timeline: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Return the minutes of each class on each day.

    Parameters
    ----------
    timeline : DataFrame
        Columns ``start, end`` (datetime64), ``label``.
    classes : sequence of str
        The columns of the result.

    Returns
    -------
    DataFrame
        Row: day with any data; column: class; minutes.
    """
    pieces = split_at_midnight(merge_runs(timeline))
    minutes = (pieces["end"] - pieces["start"]).dt.total_seconds() / 60
    table = minutes.groupby([pieces["day"], pieces["label"]]).sum().unstack(fill_value=0)
    return table.reindex(columns=list(classes), fill_value=0.0).astype(float)
