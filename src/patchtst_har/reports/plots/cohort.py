"""Plots of many recordings at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from patchtst_har.reports.plots import style

_LEVELS = (5, 25, 50, 75, 95)


def plot_shares(shares: Mapping[str, NDArray[np.float64]], *, name: str = "shares") -> str:
    """Draw how the share of each class in the time worn is distributed over recordings.

    Parameters
    ----------
    shares : mapping of str to ndarray, shape (n,)
        Of each class, the fraction of each recording's labelled time.
    name : str
        Put before every id in the SVG.

    Returns
    -------
    str
        An SVG element: a line from the 5th to the 95th percentile, a bar over the middle half, the median.
    """
    classes = list(shares)
    with style.settings(name):
        figure, axes = style.new_figure(9, 0.42 * len(classes) + 0.9)
        for y, (label, colour) in enumerate(style.class_colours(classes).items()):
            low, first, middle, third, high = 100 * np.percentile(shares[label], _LEVELS)
            axes.plot([low, high], [y, y], color=colour, linewidth=2, solid_capstyle="butt")
            axes.barh(y, third - first, left=first, height=0.5, color=colour)
            axes.plot([middle, middle], [y - 0.38, y + 0.38], color=style.STRANGE, linewidth=2)
        style.label_rows(axes, classes, 0.6)
        axes.set(xlabel="% of the time worn", xlim=(0, 100))
        style.add_grid(axes, "x")
        return style.to_svg(figure, name, "Share of each activity over all recordings")


def plot_histogram(values: NDArray[np.float64], label: str, *, limits: tuple[float, float], name: str) -> str:
    """Draw how many recordings have which value.

    Parameters
    ----------
    values : ndarray, shape (n,)
        One of each recording.
    label : str
        Of the axis.
    limits : pair of float
        Of the axis.
    name : str
        Put before every id in the SVG.

    Returns
    -------
    str
        An SVG element.
    """
    with style.settings(name):
        figure, axes = style.new_figure(9, 2.3)
        axes.hist(values, bins=np.linspace(*limits, 31).tolist(), color=style.SMOOTHED, alpha=0.85)
        axes.set(xlabel=label, ylabel="Recordings", xlim=limits)
        axes.yaxis.get_major_locator().set_params(integer=True)
        style.add_grid(axes, "y")
        return style.to_svg(figure, name, f"{label}, over all recordings")
