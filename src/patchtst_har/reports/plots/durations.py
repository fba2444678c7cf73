"""Durations as text, and logarithmic axes of them."""

from __future__ import annotations

from typing import Literal

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from patchtst_har.reports.plots.style import add_grid


def duration(microseconds: float) -> str:
    """Return a duration in the unit that suits it."""
    for limit, unit in ((1e6, "s"), (1e3, "ms")):
        if microseconds >= limit:
            return f"{microseconds / limit:.3g} {unit}"
    return f"{microseconds:.3g} µs"


def log_time_axis(axes: Axes, which: Literal["x", "y"] = "x") -> None:
    """Make an axis in microseconds logarithmic, with durations at its ticks."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axes.set(**{f"{which}scale": "log"})
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    if high / low < 10:
        axes.set(**{f"{which}lim": (low / 1.8, high * 1.8)})
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    elif high / low < 100:
        axis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
    axis.set_minor_formatter(NullFormatter())
    add_grid(axes, which)
