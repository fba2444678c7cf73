"""Confusion matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba

from patchtst_har.evaluation.confusion import row_normalised
from patchtst_har.reports.plots.style import SMALL, SMOOTHED, new_figure, settings, to_svg

_MAX_CLASSES_WITH_COUNTS = 12
# A page shows a wider picture smaller, and its text with it.
_PAGE_WIDTH_IN = 9.7
# Nothing is transparent: a dark page stays dark there.
_SHADES = LinearSegmentedColormap.from_list("shades", [to_rgba(SMOOTHED, 0.0), to_rgba(SMOOTHED, 1.0)])
# Not the white of pages, which a dark page replaces.
_ON_DARK = "#FEFEFE"


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
    with settings(name):
        figure, grid = new_figure(
            side * columns + 0.5, side * rows, layout="compressed", nrows=rows, ncols=columns, squeeze=False
        )
        for k, (title, counts) in enumerate(matrices.items()):
            axes = grid.flat[k]
            _matrix(axes, np.asarray(counts), classes, first=k == 0 or not in_one_row)
            axes.set_title(title)
        return to_svg(figure, name, "Confusion matrices: " + ", ".join(matrices))


def _matrix(axes: Axes, counts: npt.NDArray[np.int64], classes: Sequence[str], *, first: bool) -> None:
    fractions = row_normalised(counts)
    axes.pcolormesh(
        np.nan_to_num(fractions), cmap=_SHADES, vmin=0, vmax=1, edgecolor="#E2E2E2", linewidth=0.7
    )
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
        axes.text(
            j + 0.5,
            i + 0.5,
            f"{100 * share:.0f} %\n{counts[i, j]:,}",
            ha="center",
            va="center",
            fontsize=SMALL,
            color=_ON_DARK if share > 0.6 else None,
        )
