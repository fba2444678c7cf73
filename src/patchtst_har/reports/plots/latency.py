"""Latency of stages and of the whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes

from patchtst_har.records.measurement import ClosedLoop, Percentiles
from patchtst_har.reports.plots import style
from patchtst_har.support.formatting import duration

# Of three sizes, the larger ones open: all show where they are the same.
_MARKS: Any = (
    ("p50", {"marker": "o", "markersize": 10, "markerfacecolor": "none", "color": style.SMOOTHED}),
    ("p95", {"marker": "s", "markersize": 6.5, "markerfacecolor": "none", "color": style.RAW}),
    ("p99", {"marker": "D", "markersize": 3.5, "color": "#D55E00"}),
)


def plot_latency(loop: ClosedLoop, *, name: str = "latency") -> str:
    """Draw percentiles of each stage, and the distribution of the end-to-end time.

    Parameters
    ----------
    loop : ClosedLoop
        One stream, window after window.
    name : str
        Put before every id in the SVG.

    Returns
    -------
    str
        An SVG element; time on logarithmic axes, percentiles without enough samples left out.
    """
    rows = loop.parts()
    with style.settings(name):
        figure, (left, right) = style.new_figure(
            9, max(2.9, 0.36 * len(rows) + 1.3), ncols=2, width_ratios=(3, 2)
        )
        _stages(left, rows)
        _distribution(right, loop)
        what = "Latency percentiles by stage, and distribution of the end-to-end latency"
        return style.to_svg(figure, name, what)


def _stages(axes: Axes, rows: Mapping[str, Percentiles]) -> None:
    for y, row in enumerate(rows.values()):
        known = [us for key, *_ in _MARKS if (us := row.value(key)) is not None]
        axes.plot([min(known), max(known)], [y, y], color="#B5B5B5", linewidth=2, zorder=1)
    for key, look in _MARKS:
        pairs = [(us, y) for y, row in enumerate(rows.values()) if (us := row.value(key)) is not None]
        if pairs:
            axes.plot(*zip(*pairs, strict=True), linestyle="none", label=key, **look)
    style.label_rows(axes, list(rows))
    axes.get_yticklabels()[-1].set_fontweight("bold")
    axes.set_title("By stage")
    style.log_time_axis(axes)
    axes.legend(loc="upper left", bbox_to_anchor=(0.3, 1.14), ncols=3)


def _distribution(axes: Axes, loop: ClosedLoop) -> None:
    axes.plot(loop.curve.us, [100 * f for f in loop.curve.fraction], color=style.SMOOTHED, linewidth=1.7)
    p95 = loop.end_to_end.p95_us
    if p95 is not None:
        axes.plot([p95, p95], [0, 95], color=style.TRUTH, linewidth=0.9, linestyle=":")
        style.add_note(axes, f"p95 {duration(p95)}", (p95, 95), (-6, -4), ha="right", va="top")
    axes.set(ylabel="% of windows", ylim=(0, 101))
    axes.set_title("End to end")
    style.log_time_axis(axes)
