"""Several runs in one picture: how each learned, and what one gains on another."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from patchtst_har.records.run import Interval
from patchtst_har.reports.plots import style
from patchtst_har.reports.plots.scores import History

_PANELS = (
    ("train", "loss", "Loss in training"),
    ("val", "loss", "Loss in validation"),
    ("val", "macro_f1", "Macro F1 in validation"),
)
_MAX_NAMES = 45
# Curves that lie on each other still show.
_MARKERS = "os^Dv"


def plot_runs(histories: Mapping[str, History], *, name: str = "curves") -> str:
    """Draw the learning curves of several runs over each other.

    Parameters
    ----------
    histories : mapping
        What each run is called, to phase, metric and (epoch, value) pairs; what a run lacks is not drawn.
    name : str
        Put before every id in the SVG.

    Returns
    -------
    str
        An SVG element.
    """
    with style.settings(name):
        n_rows = -(-len(histories) // 3)
        figure, panels = style.new_figure(9.5, 3.2 + 0.2 * n_rows, ncols=len(_PANELS))
        colours = style.class_colours(list(histories))
        markers = dict(zip(histories, cycle(_MARKERS), strict=False))
        lines: dict[str, Any] = {}
        for axes, (phase, metric, title) in zip(panels, _PANELS, strict=True):
            for label, history in histories.items():
                pairs = history.get(phase, {}).get(metric, [])
                if pairs:
                    look = {
                        "marker": markers[label],
                        "markersize": 4,
                        "linewidth": 1.5,
                        "color": colours[label],
                    }
                    lines[label] = axes.plot(*zip(*pairs, strict=True), **look)[0]
            axes.set(title=title, xlabel="Epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            style.add_grid(axes)
        if lines:
            figure.legend(list(lines.values()), list(lines), loc="outside lower center", ncols=3)
        return style.to_svg(figure, name, "Learning curves of " + ", ".join(histories))


def plot_differences(differences: Mapping[str, float], mean: Interval, *, name: str = "differences") -> str:
    """Draw what one run gains on another for each participant, and the mean with its interval.

    Parameters
    ----------
    differences : mapping of str to float
        Participant to difference of macro F1.
    mean : Interval
        Their mean; bounds may be None.
    name : str
        Put before every id in the SVG.

    Returns
    -------
    str
        An SVG element: participants in order of their difference.
    """
    with style.settings(name):
        named = len(differences) <= _MAX_NAMES
        figure, axes = style.new_figure(9, 3.2 if named else 2.8)
        people = sorted(differences, key=lambda person: differences[person])
        values = np.array([differences[person] for person in people])
        x = np.arange(len(people))
        if mean.low is not None and mean.high is not None:
            axes.axhspan(mean.low, mean.high, color=style.MISSING, zorder=0)
        if mean.estimate is not None:
            axes.axhline(mean.estimate, color=style.TRUTH, linewidth=0.9, linestyle=":")
        axes.vlines(x, 0, values, color=style.BESIDE, linewidth=1.2)
        for better, colour, marker in ((True, style.SMOOTHED, "^"), (False, style.RAW, "v")):
            of_these = values > 0 if better else values < 0
            axes.plot(x[of_these], values[of_these], marker, markersize=6, color=colour)
        equal = values == 0
        axes.plot(x[equal], values[equal], "o", markersize=5, color=style.TRUTH)
        axes.axhline(0, color=style.STRANGE, linewidth=0.8)
        turned: dict[str, Any] = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"}
        axes.set_xticks(x if named else [], people if named else [], fontsize=style.SMALL, **turned)
        axes.set(ylabel="Difference of macro F1", xlim=(-0.6, max(len(people) - 0.4, 0.8)))
        axes.set_xlabel(
            "Participants held out in both, sorted" if named else f"{len(people)} participants, sorted"
        )
        style.add_grid(axes, "y")
        return style.to_svg(figure, name, f"Differences of macro F1; participants: {len(people)}")
