"""Scores person by person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from patchtst_har.reports.plots.style import RAW, SMOOTHED, add_grid, new_figure, settings, to_svg

_MAX_NAMES = 45


def plot_persons(
    raw: Sequence[Mapping[str, Any]],
    smoothed: Sequence[Mapping[str, Any]],
    *,
    score: str = "macro_f1",
    label: str = "Macro F1 of the person",
    name: str = "persons",
) -> str:
    """Draw each person's score before and after smoothing, sorted by the score after.

    Parameters
    ----------
    raw, smoothed : sequence of mapping
        Records with ``participant`` and `score`, of the same people.
    score, label : str
        Which score to draw, and its axis label.
    name : str
        Put before every id in the SVG.

    Returns
    -------
    str
        An SVG element. People without the score are left out.
    """
    before = {row["participant"]: row[score] for row in raw}
    known = [row for row in smoothed if row[score] is not None and before.get(row["participant"]) is not None]
    people = sorted(known, key=lambda row: (row[score], row["participant"]))
    x = np.arange(len(people))
    first = np.array([before[row["participant"]] for row in people])
    after = np.array([row[score] for row in people])
    with settings(name):
        figure, axes = new_figure(9, 3.1)
        axes.vlines(x, first, after, color="#B5B5B5", linewidth=1.2)
        axes.plot(x, first, "o", color=RAW, markersize=4, label="raw")
        axes.plot(x, after, "s", color=SMOOTHED, markersize=4, label="smoothed")
        if len(people):
            axes.axhline(float(np.median(after)), color=SMOOTHED, linewidth=0.9, linestyle=":")
        axes.set_ylabel(label)
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlim(-0.8, max(len(people) - 0.2, 0.8))
        _name_people(axes, [str(row["participant"]) for row in people])
        add_grid(axes, "y")
        figure.legend(loc="outside upper right", ncols=2)
        return to_svg(figure, name, f"{label}, raw and smoothed; people: {len(people)}")


def _name_people(axes: Any, people: list[str]) -> None:
    if len(people) > _MAX_NAMES:
        axes.set_xticks([])
        axes.set_xlabel(f"{len(people)} people, sorted; dotted: median after smoothing")
        return
    axes.set_xticks(
        range(len(people)), labels=people, rotation=60, ha="right", rotation_mode="anchor", fontsize=8
    )
    axes.set_xlabel("Held-out people, sorted; dotted: median after smoothing")
