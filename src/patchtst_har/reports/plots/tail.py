"""Where the slow decisions are: the tail of the distribution, and when they happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from patchtst_har.records.measurement import OVERHEAD, ClosedLoop, Curve, OpenLoop, Percentiles
from patchtst_har.reports.plots.style import (
    BESIDE,
    PAGE,
    TRUTH,
    add_grid,
    class_colours,
    log_time_axis,
    new_figure,
    settings,
    to_svg,
)
from patchtst_har.support.formatting import duration

_DASHED = (0, (4, 2))
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
    colours = class_colours(list(loops))
    curves: list[tuple[str, Curve, Percentiles, Any, Any]] = [
        (label, loop.curve, loop.end_to_end, colours[label], "-") for label, loop in loops.items()
    ]
    many = f"{open_loop.workload}, {open_loop.n_streams} streams"
    curves.append((many, open_loop.curve, open_loop.from_schedule, TRUTH, _DASHED))
    with settings(name):
        figure, (body, tail) = new_figure(9.6, 4.1, ncols=2, width_ratios=(2, 3))
        for label, curve, times, colour, style in curves:
            style_of: dict[str, Any] = {"color": colour, "linestyle": style, "linewidth": 1.7}
            most = [(us, 100 * f) for us, f in zip(curve.us, curve.fraction, strict=True) if f <= _BODY]
            body.plot(*zip(*most, strict=True), label=label, **style_of)
            slower = [(us, 100 * (1 - f)) for us, f in zip(curve.us, curve.fraction, strict=True) if f < 1]
            tail.plot(*zip(*slower, strict=True), **style_of)
            tail.plot(times.max_us, 100 / times.n, "x", color=colour, markersize=6)
        _finish_body(body)
        _finish_tail(tail, deadlines_us)
        figure.legend(*body.get_legend_handles_labels(), loc="outside lower center", ncols=4)
        return to_svg(
            figure,
            name,
            "Distribution of the latency of each workload, and the share of decisions slower than a time, "
            "with the deadlines",
        )


def _finish_body(axes: Axes) -> None:
    axes.set(ylabel="% of decisions done", ylim=(0, 101))
    axes.set_title("Most decisions, up to p99")
    log_time_axis(axes)
    add_grid(axes, "y")


def _finish_tail(axes: Axes, deadlines_us: Sequence[float]) -> None:
    axes.set_yscale("log")
    for us in deadlines_us:
        axes.axvline(us, color="#B34700", linewidth=1.2, linestyle=":")
        axes.annotate(
            f"deadline {duration(us)}",
            (us, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-3, -4),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="top",
            color="#B34700",
            bbox={"facecolor": PAGE, "edgecolor": "none", "alpha": 0.85, "pad": 0.8},
        )
    axes.set(ylabel="% of decisions slower")
    axes.set_title("The tail (\u00d7: the slowest)")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    log_time_axis(axes)
    add_grid(axes, "y")


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
    colours = {**class_colours(stages), OVERHEAD: BESIDE}
    with settings(name):
        figure, rows = new_figure(9.6, 0.6 + 1.15 * len(loops), nrows=len(loops), sharey=True, squeeze=False)
        for axes, (label, loop) in zip(rows[:, 0], loops.items(), strict=True):
            _outliers_of(axes, loop, colours)
            axes.set_title(label)
        rows[-1, 0].set_xlabel("seconds since the start of this workload")
        handles = dict(
            pair
            for axes in rows[:, 0]
            for pair in zip(*reversed(axes.get_legend_handles_labels()), strict=True)
        )
        figure.legend(
            handles.values(),
            handles.keys(),
            loc="outside lower center",
            ncols=3,
            title="the slowest decisions, by the stage that took longest",
        )
        return to_svg(
            figure, name, "Slowest decisions of each workload over time, coloured by their slowest stage"
        )


def _slowest_part(stage: str) -> str:
    return "between the stages" if stage == OVERHEAD else stage


def _outliers_of(axes: Axes, loop: ClosedLoop, colours: Mapping[str, Any]) -> None:
    axes.plot(
        loop.timeline.at_s, loop.timeline.us, color="#9AA5B1", linewidth=1, label="all: slowest of each slice"
    )
    for stage, colour in colours.items():
        points = [(point.at_s, point.us) for point in loop.outliers if point.stage == stage]
        if points:
            x, y = zip(*points, strict=True)
            axes.plot(x, y, "o", color=colour, markersize=4.5, label=_slowest_part(stage))
    log_time_axis(axes, "y")
