"""Reliability diagram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from patchtst_har.records.run import Bin
from patchtst_har.reports.plots.style import RAW, SMOOTHED, TRUTH, add_grid, new_figure, settings, to_svg

MIN_WINDOWS = 10
_COLOURS = (RAW, SMOOTHED)
# The first is a ring: it shows around a point of the second that is the same.
_STYLES: Any = (
    {"marker": "o", "markersize": 7, "markerfacecolor": "none"},
    {"marker": "s", "markersize": 4, "linestyle": "--"},
)


def plot_reliability(bins: Mapping[str, Sequence[Bin]], *, name: str = "reliability") -> str:
    """Draw accuracy against confidence, and how many windows have which confidence.

    Parameters
    ----------
    bins : mapping of str to sequence of Bin
        Label to bins; at most two.
    name : str
        Put before every id in the SVG.

    Returns
    -------
    str
        An SVG element. Below the diagonal the model is too sure of itself; bins with fewer than 10 windows
        have no point.
    """
    with settings(name):
        figure, (left, right) = new_figure(9, 3.4, ncols=2)
        left.plot([0, 1], [0, 1], color=TRUTH, linewidth=0.9, linestyle=":")
        for k, ((label, rows), colour) in enumerate(zip(bins.items(), _COLOURS, strict=False)):
            filled = [row for row in rows if row.n >= MIN_WINDOWS]
            x, y = [row.confidence for row in filled], [row.accuracy for row in filled]
            left.plot(x, y, linewidth=1.4, color=colour, label=label, clip_on=False, **_STYLES[k])
            total = sum(row.n for row in rows)
            edges = [row.lower for row in rows] + [rows[-1].upper]
            shares = [100 * row.n / total for row in rows]
            # The first lies below as a surface, the second above as a line: both show where they coincide.
            look: dict[str, Any] = {"fill": True, "alpha": 0.45} if k == 0 else {"linewidth": 1.6}
            right.stairs(shares, edges, color=colour, **look)
        left.set(xlabel="Confidence", ylabel="Fraction correct", xlim=(0, 1), ylim=(0, 1), aspect="equal")
        left.set_title("Reliability")
        right.set(xlabel="Confidence", ylabel="% of windows", xlim=(-0.02, 1.02))
        right.set_title("Distribution of confidence")
        for axes in (left, right):
            add_grid(axes)
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
        return to_svg(figure, name, "Fraction correct against confidence; distribution of confidence")
