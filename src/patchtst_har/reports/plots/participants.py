"""Scores of each participant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from patchtst_har.records.run import ParticipantScores
from patchtst_har.reports.plots.style import RAW, SMALL, SMOOTHED, add_grid, new_figure, settings, to_svg

_MAX_NAMES = 45


def plot_participants(
    raw: Sequence[ParticipantScores], smoothed: Sequence[ParticipantScores], *, name: str = "participants"
) -> str:
    """Draw the macro F1 of each participant before and after smoothing, sorted by that after.

    Parameters
    ----------
    raw, smoothed : sequence of ParticipantScores
        Scores of the same participants.
    name : str
        Put before every id in the SVG.

    Returns
    -------
    str
        An SVG element. Participants without the score are left out.
    """
    before = {row.participant: row.macro_f1 for row in raw}
    known = sorted(
        (row.macro_f1, row.participant, before[row.participant])
        for row in smoothed
        if row.macro_f1 is not None and before.get(row.participant) is not None
    )
    x = np.arange(len(known))
    after, names, first = zip(*known, strict=True) if known else ((), (), ())
    with settings(name):
        figure, axes = new_figure(9, 3.1)
        axes.vlines(x, first, after, color="#B5B5B5", linewidth=1.2)
        axes.plot(x, after, "s", color=SMOOTHED, markersize=4, label="smoothed")
        # A ring: it shows around a smoothed score that is the same.
        axes.plot(x, first, "o", color=RAW, markerfacecolor="none", markersize=7.5, label="raw")
        if known:
            axes.axhline(float(np.median(after)), color=SMOOTHED, linewidth=0.9, linestyle=":")
        axes.set_ylabel("Macro F1 of the participant")
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlim(-0.8, max(len(known) - 0.2, 0.8))
        named = len(known) <= _MAX_NAMES
        axes.set_xticks(
            x if named else [],
            names if named else [],
            rotation=60,
            ha="right",
            rotation_mode="anchor",
            fontsize=SMALL,
        )
        who = "Held-out participants" if named else f"{len(known)} participants"
        axes.set_xlabel(f"{who}, sorted; dotted: median after smoothing")
        add_grid(axes, "y")
        figure.legend(loc="outside upper right", ncols=2)
        what = "Macro F1 of each participant, raw and smoothed"
        return to_svg(figure, name, f"{what}; participants: {len(known)}")
