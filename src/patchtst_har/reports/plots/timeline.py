"""Activities over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path

from patchtst_har.reports.plots.style import MISSING, class_colours, label_rows, new_figure, settings, to_svg

_NS_PER_DAY = 86_400e9
_NO_DATA = "no data"

Extent = tuple[pd.Timestamp, pd.Timestamp]


def plot_timelines(
    timelines: Mapping[str, pd.DataFrame],
    classes: Sequence[str],
    *,
    title: str = "",
    extent: Extent | None = None,
    name: str = "timeline",
) -> str:
    """Draw timelines one above the other on a common time axis; grey is time without data.

    Parameters
    ----------
    timelines : mapping of str to DataFrame
        Row label to columns ``start, end`` (datetime64) and ``label``.
    classes : sequence of str
        Class names in the order of their colours.
    title : str
        Above the plot.
    extent : pair of Timestamp, optional
        First and last moment of the recording, drawn grey where it has no label; default: those of the rows.
    name : str
        Put before every id in the SVG.

    Returns
    -------
    str
        An SVG element.
    """
    begin, end = extent or (
        min(frame["start"].min() for frame in timelines.values()),
        max(frame["end"].max() for frame in timelines.values()),
    )
    span = (days_of(begin), days_of(end)) if extent else None
    with settings(name):
        figure, axes = new_figure(9, 0.52 * len(timelines) + 0.8 + legend_height_in(classes))
        for y, frame in enumerate(timelines.values()):
            draw_runs(axes, merge_runs(frame), classes, y, span=span)
        label_rows(axes, list(timelines), 0.45)
        axes.set_xlim(days_of(begin), days_of(end))
        locator = AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        bare(axes)
        axes.set_title(title)
        add_class_legend(axes, classes)
        return to_svg(figure, name, f"Activities over time: {', '.join(timelines)}")


def merge_runs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each run of touching rows (in time order) with one label: start, end, label."""
    if frame.empty:
        return frame[["start", "end", "label"]]
    new = (frame["label"] != frame["label"].shift()) | (frame["start"] != frame["end"].shift())
    runs = frame.groupby(new.cumsum().to_numpy(), sort=False)
    return runs.agg(start=("start", "first"), end=("end", "last"), label=("label", "first"))


def days_of(times: Any) -> Any:
    """Return times as matplotlib dates (days since 1970), whatever their unit."""
    if isinstance(times, pd.Timestamp):
        return times.as_unit("ns").value / _NS_PER_DAY
    return pd.DatetimeIndex(times).as_unit("ns").asi8 / _NS_PER_DAY


def draw_runs(
    axes: Axes,
    runs: pd.DataFrame,
    classes: Sequence[str],
    y: float,
    *,
    x0: float = 0.0,
    scale: float = 1.0,
    span: tuple[float, float] | None = None,
) -> None:
    """Draw runs as bars around `y`, x = (days - x0) * scale, on grey over `span` (in x): one path a class."""
    left, right = ((days_of(runs[name]) - x0) * scale for name in ("start", "end"))
    first, last = span or (left.min(), right.max())
    axes.add_patch(_bars(np.array([first]), np.array([last]), y, 0.36, MISSING))
    for label, colour in class_colours(classes).items():
        chosen = (runs["label"] == label).to_numpy()
        if chosen.any():
            axes.add_patch(_bars(left[chosen], right[chosen], y, 0.36, colour))


def bare(axes: Axes) -> None:
    """Leave only the time axis."""
    axes.tick_params(axis="y", length=0)
    axes.spines[["left"]].set_visible(False)


def legend_columns(classes: Sequence[str]) -> int:
    """Return how many entries of the class legend fit side by side in a figure 9 inches wide."""
    longest = max(len(name) for name in (*classes, _NO_DATA))
    return max(1, min(len(classes) + 1, int(8.8 / (0.075 * longest + 0.6))))


def legend_height_in(classes: Sequence[str]) -> float:
    """Return the height of the class legend in inches."""
    return 0.2 * math.ceil((len(classes) + 1) / legend_columns(classes)) + 0.15


def add_class_legend(axes: Axes, classes: Sequence[str]) -> None:
    """Name the classes, and the grey of missing time, below the axes."""
    patches = [Patch(color=colour, label=label) for label, colour in class_colours(classes).items()]
    patches.append(Patch(color=MISSING, label=_NO_DATA))
    axes.figure.legend(handles=patches, loc="outside lower center", ncols=legend_columns(classes))


def _bars(left: Any, right: Any, y: float, half: float, colour: Any) -> PathPatch:
    x = np.stack([left, right, right, left], axis=1)
    corners = np.stack([x, np.broadcast_to([y - half, y - half, y + half, y + half], x.shape)], axis=2)
    path = Path.make_compound_path_from_polys(corners)
    return PathPatch(path, facecolor=colour, linewidth=0)
