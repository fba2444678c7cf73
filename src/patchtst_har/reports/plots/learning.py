"""Learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from patchtst_har.reports.plots.style import RAW, SMOOTHED, TRUTH, add_grid, new_figure, settings, to_svg

History = Mapping[str, Mapping[str, Sequence[tuple[int, float]]]]

_PHASES = (("train", "training", RAW, "o"), ("val", "validation", SMOOTHED, "s"))


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
    with settings(name):
        figure, (left, right) = new_figure(9, 3.1, ncols=2)
        for axes, metric, title in ((left, "loss", "Loss"), (right, "macro_f1", "Macro F1")):
            _curves(axes, history, metric)
            axes.set_title(title)
        validated = history.get("val", {}).get("macro_f1", [])
        if validated:
            best = max(validated, key=lambda pair: pair[1])
            right.axvline(best[0], color=TRUTH, linewidth=0.9, linestyle=":")
            right.set_title(f"Macro F1 (best {best[1]:.3f}, epoch {best[0]})")
        handles, labels = left.get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc="outside lower center", ncols=2)
        return to_svg(figure, name, "Loss and macro F1 of training and validation, epoch by epoch")


def _curves(axes: Axes, history: History, metric: str) -> None:
    for phase, label, colour, marker in _PHASES:
        pairs = history.get(phase, {}).get(metric, [])
        if pairs:
            epochs, values = zip(*pairs, strict=True)
            axes.plot(epochs, values, marker=marker, markersize=3, linewidth=1.5, color=colour, label=label)
    axes.set_xlabel("Epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    add_grid(axes)
