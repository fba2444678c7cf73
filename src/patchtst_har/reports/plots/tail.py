"""Where the slow decisions are: the tail of the distribution, and when they happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from patchtst_har.records.measurement import OVERHEAD, ClosedLoop, Curve, OpenLoop, Percentiles
from patchtst_har.reports.plots import style
from patchtst_har.support.formatting import duration

_DASHED = (0, (4, 2))
_BOX = {"facecolor": style.PAGE, "edgecolor": "none", "alpha": 0.85, "pad": 0.8}
# The axis of the body would stretch to the very slowest decision, and show only that.
_BODY = 0.99


def plot_distributions(
    loops: Mapping[str, ClosedLoop], open_loop: OpenLoop, deadlines_us: Sequence[float]
) -> str:
    """Draw the distribution of latency of every workload twice: its body, and its tail with the deadlines.

    Parameters
    ----------
    loops : mapping of str to ClosedLoop
        One stream on each workload.
    open_loop : OpenLoop
        Many streams, drawn dashed.
    deadlines_us : sequence of float
        Vertical lines.

    Returns
    -------
    str
        An SVG element; logarithmic time axes, the share of slower decisions in the tail logarithmic too.
    """
    name = "distributions"
    colours = style.class_colours(list(loops))
    curves: list[tuple[str, Curve, Percentiles, Any, Any]] = [
        (label, loop.curve, loop.end_to_end, colours[label], "-") for label, loop in loops.items()
    ]
    many = f"{open_loop.workload}, {open_loop.n_streams} streams"
    curves.append((many, open_loop.curve, open_loop.from_schedule, style.TRUTH, _DASHED))
    with style.settings(name):
        figure, (body, tail) = style.new_figure(9.6, 4.1, ncols=2, width_ratios=(2, 3))
        for label, curve, times, colour, line in curves:
            style_of: dict[str, Any] = {"color": colour, "linestyle": line, "linewidth": 1.7}
            us, fraction = np.array(curve.us), np.array(curve.fraction)
            most, slower = fraction <= _BODY, fraction < 1
            body.plot(us[most], 100 * fraction[most], label=label, **style_of)
            tail.plot(us[slower], 100 * (1 - fraction[slower]), **style_of)
            tail.plot(times.max_us, 100 / times.n, "x", color=colour, markersize=6)
        _finish_body(body)
        _finish_tail(tail, deadlines_us)
        figure.legend(*body.get_legend_handles_labels(), loc="outside lower center", ncols=4)
        what = "Distribution of the latency of each workload, and the share of decisions slower than a time"
        return style.to_svg(figure, name, f"{what}, with the deadlines")


def _finish_body(axes: Axes) -> None:
    axes.set(ylabel="% of decisions done", ylim=(0, 101))
    axes.set_title("Most decisions, up to p99")
    style.log_time_axis(axes)
    style.add_grid(axes, "y")


def _finish_tail(axes: Axes, deadlines_us: Sequence[float]) -> None:
    axes.set_yscale("log")
    for us in deadlines_us:
        axes.axvline(us, color="#B34700", linewidth=1.2, linestyle=":")
        look = {"rotation": 90, "ha": "right", "va": "top", "color": "#B34700", "bbox": _BOX}
        at_top = ("data", "axes fraction")
        style.add_note(axes, f"deadline {duration(us)}", (us, 1.0), (-3, -4), xycoords=at_top, **look)
    axes.set(ylabel="% of decisions slower")
    axes.set_title("The tail (\u00d7: the slowest)")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    style.log_time_axis(axes)
    style.add_grid(axes, "y")


def plot_outliers(loops: Mapping[str, ClosedLoop]) -> str:
    """Draw the slowest decision of each slice of the closed loops, and the slowest of all by their stage.

    Parameters
    ----------
    loops : mapping of str to ClosedLoop
        One stream on each workload; a row each.

    Returns
    -------
    str
        An SVG element; time on a common logarithmic axis.
    """
    name = "outliers"
    stages = list(dict.fromkeys(stage.name for loop in loops.values() for stage in loop.stages))
    colours = {**style.class_colours(stages), OVERHEAD: style.BESIDE}
    with style.settings(name):
        figure, rows = style.new_figure(
            9.6, 0.6 + 1.15 * len(loops), nrows=len(loops), sharey=True, squeeze=False
        )
        for axes, (label, loop) in zip(rows[:, 0], loops.items(), strict=True):
            _outliers_of(axes, loop, colours)
            axes.set_title(label)
        rows[-1, 0].set_xlabel("seconds since the start of this workload")
        shown: dict[str, Any] = {}
        for axes in rows[:, 0]:
            handles, labels = axes.get_legend_handles_labels()
            shown |= dict(zip(labels, handles, strict=True))
        title = "the slowest decisions, by the stage that took longest"
        figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=3, title=title)
        what = "Slowest decisions of each workload over time, coloured by their slowest stage"
        return style.to_svg(figure, name, what)


def _outliers_of(axes: Axes, loop: ClosedLoop, colours: Mapping[str, Any]) -> None:
    line, label = loop.timeline, "all: slowest of each slice"
    axes.plot(line.at_s, line.us, color="#9AA5B1", linewidth=1, label=label)
    for stage, colour in colours.items():
        points = [(point.at_s, point.us) for point in loop.outliers if point.stage == stage]
        if points:
            label = "between the stages" if stage == OVERHEAD else stage
            axes.plot(*zip(*points, strict=True), "o", color=colour, markersize=4.5, label=label)
    style.log_time_axis(axes, "y")
