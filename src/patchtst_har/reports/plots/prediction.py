"""Plots of one person's predictions, of which the truth is not known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

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
LEFT_OUT = "Days without any activity are left out"


def plot_days(
    timeline: pd.DataFrame,
    classes: Sequence[str],
    *,
    extent: Extent | None = None,
    name: str = "days",
    width_in: float = style.WIDE_IN,
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
    width_in : float
        Width in inches.

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
        height_in = 0.42 * len(days) + 0.6 + legend_height_in(classes, width_in, unfamiliar=shown)
        figure, axes = style.new_figure(width_in, height_in)
        for y, day in enumerate(days):
            x0, runs = days_of(day), pieces[pieces["day"] == day]
            span = tuple((days_of(t) - x0) * 24 for t in (max(begin, day), min(end, day + _DAY)))
            draw_runs(axes, runs, classes, y, x0=x0, scale=24, span=span)
            draw_unfamiliar(axes, strange[strange["day"] == day], y, x0=x0, scale=24)
        if len(days) < len(whole):
            axes.set_xlabel(LEFT_OUT)
        style.label_rows(axes, [f"{day:%a %d %b}" for day in days], 0.45)
        _hours_axis(axes, width_in)
        style.add_grid(axes, "x")
        bare(axes)
        add_class_legend(axes, classes, width_in, unfamiliar=shown)
        return style.to_svg(figure, name, f"Activities over {len(days)} days, one row per day")


def unit_of_days(minutes: pd.DataFrame) -> tuple[float, str, int]:
    """Return the unit that suits the longest day: its minutes, its name, and decimals to be shown with it."""
    longest = minutes.sum(axis=1).max()
    return next(row for row in _UNITS_MIN if longest > 3 * row[0] or row == _UNITS_MIN[-1])


def shown_days(minutes: pd.DataFrame, n_classes: int) -> NDArray[np.bool_]:
    """Return which days are shown: all of up to 62, else those with an activity, at least one day."""
    shown = np.ones(len(minutes), bool)
    if len(minutes) > _MAX_DAYS_WITHOUT_GAPS:
        shown = minutes.iloc[:, :n_classes].to_numpy().sum(axis=1) > 0
        shown[0] |= not shown.any()
    return shown


def plot_daily_minutes(
    minutes: pd.DataFrame, *, name: str = "minutes", width_in: float = style.WIDE_IN
) -> str:
    """Draw each day as one stacked bar, in the unit that suits the longest day.

    Parameters
    ----------
    minutes : DataFrame
        Row: day; columns: states in the order of their colours, the last is time without data.
    name : str
        Put before every id in the SVG.
    width_in : float
        Width in inches.

    Returns
    -------
    str
        An SVG element. Beyond 62 days, days without any activity are left out, and the plot says so.
    """
    states = [str(column) for column in minutes.columns[:-1]]
    # Numbered: a class may be called as time without data is.
    numbers = [str(number) for number in range(len(minutes.columns))]
    unworn = [style.UNWORN] if states[-1] == NON_WEAR else []
    shades = style.class_colours(states[: len(states) - len(unworn)]).values()
    colours = dict(zip(numbers, [*shades, *unworn, style.MISSING], strict=True))
    n_days, longest = len(minutes), minutes.sum(axis=1).max()
    minutes = minutes[shown_days(minutes, len(states) - len(unworn))]
    with style.settings(name):
        figure, axes = style.new_figure(width_in, 0.42 * len(minutes) + 0.9)
        scale, unit, _ = unit_of_days(minutes)
        parts = dict(zip(numbers, (minutes / scale).to_numpy().T, strict=True))
        style.stack_bars(axes, parts, colours, 0.7)
        style.label_rows(axes, [f"{pd.Timestamp(day):%a %d %b}" for day in minutes.index])
        axes.set_xlabel(unit + f". {LEFT_OUT}" * (len(minutes) < n_days))
        if longest > _WHOLE_DAY_MIN / 4:
            step = 3 if width_in == style.WIDE_IN else 6
            axes.set_xlim(0, max(24, longest / 60))
            axes.set_xticks(range(0, 25, step))
        style.add_grid(axes, "x")
        bare(axes)
        return style.to_svg(figure, name, "Time of each activity, day by day")


def plot_hours(
    shares: NDArray[np.float64],
    enmo_mg: NDArray[np.float64],
    classes: Sequence[str],
    *,
    name: str = "hours",
    width_in: float = style.WIDE_IN,
) -> str:
    """Draw what the worn time of each hour of the day consists of, and its mean ENMO below.

    Parameters
    ----------
    shares : ndarray, shape (24, K)
        Share of each class, 0 to 1; NaN for an hour without wear.
    enmo_mg : ndarray, shape (24,)
        In mg; all NaN: no curve.
    classes : sequence of str, length K
        In the order of their colours.
    name : str
        Put before every id in the SVG.
    width_in : float
        Width in inches.

    Returns
    -------
    str
        An SVG element.
    """
    known = bool(np.isfinite(enmo_mg).any())
    with style.settings(name):
        mosaic = [["shares"], ["enmo"]] if known else [["shares"]]
        ratios = {"height_ratios": [1.5, 1]} if known else {}
        figure, axes = style.new_figure(width_in, 3.9 if known else 2.5, mosaic=mosaic, sharex=True, **ratios)
        ends = 100 * np.cumsum(np.nan_to_num(shares), axis=1)
        for k, colour in enumerate(style.class_colours(classes).values()):
            below = ends[:, k - 1] if k else 0
            axes["shares"].stairs(
                ends[:, k], range(25), baseline=below, fill=True, linewidth=0, **style.look(colour)
            )
        axes["shares"].set(ylabel="% of worn time", ylim=(0, 100))
        if known:
            axes["enmo"].step(np.arange(25), np.append(enmo_mg, enmo_mg[-1]), where="post", color=style.TRUTH)
            axes["enmo"].set(ylabel="ENMO (mg)", ylim=(0, None))
            style.add_grid(axes["enmo"], "y")
        _hours_axis(axes["enmo" if known else "shares"], width_in)
        return style.to_svg(figure, name, "Activities and ENMO by hour of the day")


def _hours_axis(axes: Axes, width_in: float) -> None:
    hours = range(0, 25, 3 if width_in == style.WIDE_IN else 6)
    axes.set_xticks(hours, labels=[f"{hour:02d}:00" for hour in hours])
    axes.set_xlim(0, 24)


def plot_probabilities(
    timeline: pd.DataFrame, *, name: str = "probabilities", width_in: float = style.WIDE_IN
) -> str:
    """Draw how much time was labelled with which probability.

    Parameters
    ----------
    timeline : DataFrame
        Columns ``start, end`` (datetime64), ``probability``.
    name : str
        Put before every id in the SVG.
    width_in : float
        Width in inches.

    Returns
    -------
    str
        An SVG element.
    """
    seconds = (timeline["end"] - timeline["start"]).dt.total_seconds().to_numpy()
    edges = np.linspace(0, 1, 21)
    share, _ = np.histogram(timeline["probability"].to_numpy(), bins=edges, weights=seconds)
    with style.settings(name):
        figure, axes = style.new_figure(width_in, 2.5)
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
