"""Scores as they are learned, by class, by participant, and against confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.ticker import MaxNLocator

from patchtst_har.evaluation.confusion import row_normalised
from patchtst_har.records.run import Bin, ParticipantScores
from patchtst_har.reports.plots import style

History = Mapping[str, Mapping[str, Sequence[tuple[int, float]]]]

_PHASES = (("train", "training", style.RAW, "o"), ("val", "validation", style.SMOOTHED, "s"))
_MAX_CLASSES_WITH_COUNTS = 12
# A page shows a wider picture smaller, and its text with it.
_PAGE_WIDTH_IN = 9.7
# Nothing is transparent: a dark page stays dark there.
_SHADES = LinearSegmentedColormap.from_list("shades", [to_rgba(style.SMOOTHED, a) for a in (0.0, 1.0)])
# Not the white of pages, which a dark page replaces.
_ON_DARK = "#FEFEFE"
_MAX_NAMES = 45
MIN_WINDOWS = 10
_COLOURS = (style.RAW, style.SMOOTHED)
# The first is a ring: it shows around a point of the second that is the same.
_STYLES: Any = (
    {"marker": "o", "markersize": 7, "markerfacecolor": "none"},
    {"marker": "s", "markersize": 4, "linestyle": "--"},
)


def plot_learning_curves(history: History, *, name: str = "learning") -> str:
    """Draw loss and macro F1 of training and validation per epoch.

    Parameters
    ----------
    history : mapping
        Phase (``train``, ``val``) to metric (``loss``, ``macro_f1``) to (epoch, value) pairs.
    name : str
        Put before every id in the SVG.

    Returns
    -------
    str
        An SVG element. The epoch of the best validation macro F1 is marked, and named in the title.
    """
    with style.settings(name):
        figure, (left, right) = style.new_figure(9, 3.1, ncols=2)
        for axes, metric, title in ((left, "loss", "Loss"), (right, "macro_f1", "Macro F1")):
            _curves(axes, history, metric)
            axes.set_title(title)
        validated = history.get("val", {}).get("macro_f1", [])
        if validated:
            best = max(validated, key=lambda pair: pair[1])
            right.axvline(best[0], color=style.TRUTH, linewidth=0.9, linestyle=":")
            right.set_title(f"Macro F1 (best {best[1]:.3f}, epoch {best[0]})")
        handles, labels = left.get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc="outside lower center", ncols=2)
        return style.to_svg(figure, name, "Loss and macro F1 of training and validation, epoch by epoch")


def _curves(axes: Axes, history: History, metric: str) -> None:
    for phase, label, colour, marker in _PHASES:
        pairs = history.get(phase, {}).get(metric, [])
        if pairs:
            epochs, values = zip(*pairs, strict=True)
            axes.plot(epochs, values, marker=marker, markersize=3, linewidth=1.5, color=colour, label=label)
    axes.set_xlabel("Epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    style.add_grid(axes)


def plot_confusions(
    matrices: Mapping[str, npt.ArrayLike], classes: Sequence[str], *, name: str = "confusion"
) -> str:
    """Draw confusion matrices: colour is the fraction of the true class, text adds the count.

    Parameters
    ----------
    matrices : mapping of str to array_like, shape (K, K)
        Title to counts; row: true class, column: predicted class.
    classes : sequence of str
        The K class names.
    name : str
        Put before every id in the SVG.

    Returns
    -------
    str
        An SVG element: the matrices side by side, or below each other where a page is too narrow.
    """
    side = min(max(3.4, 0.62 * len(classes) + 1.2), _PAGE_WIDTH_IN - 0.5)
    in_one_row = side * len(matrices) + 0.5 <= _PAGE_WIDTH_IN
    rows, columns = (1, len(matrices)) if in_one_row else (len(matrices), 1)
    with style.settings(name):
        figure, grid = style.new_figure(
            side * columns + 0.5, side * rows, layout="compressed", nrows=rows, ncols=columns, squeeze=False
        )
        for k, (title, counts) in enumerate(matrices.items()):
            axes = grid.flat[k]
            _matrix(axes, np.asarray(counts), classes, first=k == 0 or not in_one_row)
            axes.set_title(title)
        return style.to_svg(figure, name, "Confusion matrices: " + ", ".join(matrices))


def _matrix(axes: Axes, counts: npt.NDArray[np.int64], classes: Sequence[str], *, first: bool) -> None:
    fractions = row_normalised(counts)
    look: dict[str, Any] = {"cmap": _SHADES, "vmin": 0, "vmax": 1, "edgecolor": "#E2E2E2", "linewidth": 0.7}
    axes.pcolormesh(np.nan_to_num(fractions), **look)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    middle = np.arange(len(classes)) + 0.5
    axes.set_xticks(middle, labels=list(classes), rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(middle, labels=list(classes) if first else [])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("Predicted")
    if first:
        axes.set_ylabel("True")
    if len(classes) <= _MAX_CLASSES_WITH_COUNTS:
        _write_cells(axes, counts, fractions)


def _write_cells(axes: Axes, counts: npt.NDArray[np.int64], fractions: npt.NDArray[np.float64]) -> None:
    for i, j in np.argwhere(counts > 0):
        share = fractions[i, j]
        text, colour = f"{100 * share:.0f} %\n{counts[i, j]:,}", _ON_DARK if share > 0.6 else None
        axes.text(j + 0.5, i + 0.5, text, ha="center", va="center", fontsize=style.SMALL, color=colour)


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
    with style.settings(name):
        figure, axes = style.new_figure(9, 3.1)
        axes.vlines(x, first, after, color="#B5B5B5", linewidth=1.2)
        axes.plot(x, after, "s", color=style.SMOOTHED, markersize=4, label="smoothed")
        # A ring: it shows around a smoothed score that is the same.
        axes.plot(x, first, "o", color=style.RAW, markerfacecolor="none", markersize=7.5, label="raw")
        if known:
            axes.axhline(float(np.median(after)), color=style.SMOOTHED, linewidth=0.9, linestyle=":")
        axes.set_ylabel("Macro F1 of the participant")
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlim(-0.8, max(len(known) - 0.2, 0.8))
        named = len(known) <= _MAX_NAMES
        turned: dict[str, Any] = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"}
        axes.set_xticks(x if named else [], names if named else [], fontsize=style.SMALL, **turned)
        who = "Held-out participants" if named else f"{len(known)} participants"
        axes.set_xlabel(f"{who}, sorted; dotted: median after smoothing")
        style.add_grid(axes, "y")
        figure.legend(loc="outside upper right", ncols=2)
        what = "Macro F1 of each participant, raw and smoothed"
        return style.to_svg(figure, name, f"{what}; participants: {len(known)}")


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
    with style.settings(name):
        figure, (left, right) = style.new_figure(9, 3.4, ncols=2)
        left.plot([0, 1], [0, 1], color=style.TRUTH, linewidth=0.9, linestyle=":")
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
            style.add_grid(axes)
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
        return style.to_svg(figure, name, "Fraction correct against confidence; distribution of confidence")
