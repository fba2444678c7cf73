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

from patchtst_har.reports.plots import style

_NS_PER_DAY = 86_400e9
NO_DATA = "no data"
UNFAMILIAR = "unlike the training data"

Extent = tuple[pd.Timestamp, pd.Timestamp]


def plot_timelines(
    timelines: Mapping[str, pd.DataFrame],
    classes: Sequence[str],
    *,
    title: str = "",
    extent: Extent | None = None,
    name: str = "timeline",
    width_in: float = style.WIDE_IN,
) -> str:
    """Draw timelines one above the other on a common time axis; grey is time without data.

    A line below a bar is time that is unlike what the model was trained on.

    Parameters
    ----------
    timelines : mapping of str to DataFrame
        Row label to columns ``start, end`` (datetime64), ``label`` and, if known, ``unfamiliar`` (bool).
    classes : sequence of str
        Class names in the order of their colours.
    title : str
        Above the plot.
    extent : pair of Timestamp, optional
        First and last moment of the recording, drawn grey where it has no label; default: those of the rows.
    name : str
        Put before every id in the SVG.
    width_in : float
        Width in inches.

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
    strange = [unfamiliar_runs(frame) for frame in timelines.values()]
    shown = any(map(len, strange))
    with style.settings(name):
        height_in = 0.52 * len(timelines) + 0.8 + legend_height_in(classes, width_in, unfamiliar=shown)
        figure, axes = style.new_figure(width_in, height_in)
        for y, (frame, runs) in enumerate(zip(timelines.values(), strange, strict=True)):
            draw_runs(axes, merge_runs(frame), classes, y, span=span)
            draw_unfamiliar(axes, runs, y)
        style.label_rows(axes, list(timelines), 0.45)
        axes.set_xlim(days_of(begin), days_of(end))
        fewest, most = (4, 9) if width_in == style.WIDE_IN else (2, 5)
        locator = AutoDateLocator(minticks=fewest, maxticks=most)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        bare(axes)
        axes.set_title(title)
        add_class_legend(axes, classes, width_in, unfamiliar=shown)
        return style.to_svg(figure, name, f"Activities over time: {', '.join(timelines)}")


def merge_runs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each run of touching rows (in time order) with one label: start, end, label."""
    if frame.empty:
        return frame[["start", "end", "label"]]
    new = (frame["label"] != frame["label"].shift()) | (frame["start"] != frame["end"].shift())
    runs = frame.groupby(new.cumsum().to_numpy(), sort=False)
    return runs.agg(start=("start", "first"), end=("end", "last"), label=("label", "first"))


def unfamiliar_runs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of rows that are unfamiliar, as `merge_runs`; none where the frame does not say."""
    chosen = frame[frame["unfamiliar"]] if "unfamiliar" in frame else frame[:0]
    return merge_runs(chosen.assign(label=UNFAMILIAR))


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
    # As artists, not patches: the limits of the axes are set, and need not be found from thousands of runs.
    axes.add_artist(_bars(np.array([first]), np.array([last]), y, 0.36, style.MISSING))
    for label, colour in style.class_colours(classes).items():
        chosen = (runs["label"] == label).to_numpy()
        if chosen.any():
            axes.add_artist(_bars(left[chosen], right[chosen], y, 0.36, colour))


def draw_unfamiliar(axes: Axes, runs: pd.DataFrame, y: float, *, x0: float = 0.0, scale: float = 1.0) -> None:
    """Draw a line below the bars of `draw_runs` (for the same `y`, `x0`, `scale`) where these runs are."""
    if len(runs):
        left, right = ((days_of(runs[name]) - x0) * scale for name in ("start", "end"))
        axes.add_artist(_bars(left, right, y + 0.42, 0.03, style.STRANGE))


def bare(axes: Axes) -> None:
    """Leave only the time axis."""
    axes.tick_params(axis="y", length=0)
    axes.spines[["left"]].set_visible(False)


def legend_columns(
    classes: Sequence[str], width_in: float = style.WIDE_IN, *, unfamiliar: bool = False
) -> int:
    """Return how many entries of the class legend fit side by side in a figure of this width."""
    entries = _legend(classes, unfamiliar=unfamiliar)
    longest = max(len(label) for label, _ in entries)
    return max(1, min(len(entries), int((width_in - 0.2) / (0.075 * longest + 0.6))))


def legend_height_in(
    classes: Sequence[str], width_in: float = style.WIDE_IN, *, unfamiliar: bool = False
) -> float:
    """Return the height of the class legend in inches."""
    n_columns = legend_columns(classes, width_in, unfamiliar=unfamiliar)
    return 0.2 * math.ceil(len(_legend(classes, unfamiliar=unfamiliar)) / n_columns) + 0.15


def add_class_legend(
    axes: Axes, classes: Sequence[str], width_in: float = style.WIDE_IN, *, unfamiliar: bool = False
) -> None:
    """Name the classes, the grey of missing time and, if it is shown, the line of unfamiliar time."""
    entries = _legend(classes, unfamiliar=unfamiliar)
    patches = [Patch(label=label, linewidth=0, **style.look(colour)) for label, colour in entries]
    n_columns = legend_columns(classes, width_in, unfamiliar=unfamiliar)
    axes.figure.legend(handles=patches, loc="outside lower center", ncols=n_columns)


def _legend(classes: Sequence[str], *, unfamiliar: bool) -> list[tuple[str, Any]]:
    """Return label and colour of each entry."""
    colours = style.class_colours(classes)
    others = [(NO_DATA, style.MISSING), *([(UNFAMILIAR, style.STRANGE)] if unfamiliar else [])]
    return [*((name, colours[name]) for name in classes), *others]


def _bars(left: Any, right: Any, y: float, half: float, colour: Any) -> PathPatch:
    x = np.stack([left, right, right, left], axis=1)
    corners = np.stack([x, np.broadcast_to([y - half, y - half, y + half, y + half], x.shape)], axis=2)
    path = Path.make_compound_path_from_polys(corners)
    return PathPatch(path, linewidth=0, **style.look(colour))
