"""What a search tried, and which settings mattered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

from patchtst_har.records.search import TrialRecord
from patchtst_har.reports.plots import style


def plot_history(trials: Sequence[TrialRecord], *, name: str = "history") -> str:
    """Draw the score of every trial, the best one so far, and where others were stopped.

    Parameters
    ----------
    trials : sequence of TrialRecord
        Those without a score or an epoch are not drawn.
    name : str
        Put before every id in the SVG.

    Returns
    -------
    str
        An SVG element.
    """
    with style.settings(name):
        figure, axes = style.new_figure(9, 3.3)
        scored = [(trial.number, trial.score) for trial in trials if trial.score is not None]
        pruned = [
            (trial.number, trial.epochs[-1][1])
            for trial in trials
            if trial.state == "pruned" and trial.epochs
        ]
        if pruned:
            look = {"color": style.RAW, "markersize": 5, "label": "stopped early, its last epoch"}
            axes.plot(*zip(*pruned, strict=True), "x", **look)
        if scored:
            numbers, values = (np.array(column) for column in zip(*scored, strict=True))
            axes.plot(numbers, values, "o", markersize=4, color=style.SMOOTHED, label="trial")
            best = np.maximum.accumulate(values)
            axes.step(numbers, best, where="post", color=style.TRUTH, linewidth=1.2, label="best so far")
        axes.set(xlabel="Trial", ylabel="Macro F1 in validation")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        style.add_grid(axes)
        if scored or pruned:
            figure.legend(loc="outside lower center", ncols=3)
        return style.to_svg(figure, name, f"Scores of trials: {len(scored)}, stopped early: {len(pruned)}")


def plot_importance(importance: Mapping[str, float], *, name: str = "importance") -> str:
    """Draw the share of each field in the variance of the scores.

    Parameters
    ----------
    importance : mapping of str to float
        Path of a field to its share.
    name : str
        Put before every id in the SVG.

    Returns
    -------
    str
        An SVG element: the largest share at the top.
    """
    with style.settings(name):
        figure, axes = style.new_figure(9, 1.0 + 0.3 * len(importance))
        fields = sorted(importance, key=lambda field: importance[field], reverse=True)
        shares = [100 * importance[field] for field in fields]
        axes.barh(range(len(fields)), shares, height=0.6, color=style.SMOOTHED)
        for row, share in enumerate(shares):
            style.add_note(axes, f"{share:.0f} %", (share, row), (4, -3), fontsize=style.SMALL)
        style.label_rows(axes, fields)
        axes.set(xlabel="% of the variance of the scores", xlim=(0, max(shares) * 1.12))
        style.add_grid(axes, "x")
        return style.to_svg(figure, name, "Importance of " + ", ".join(fields))
