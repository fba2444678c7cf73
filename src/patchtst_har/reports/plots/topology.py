"""From one window to its topological features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes

from patchtst_har.records.run import TopologyExample
from patchtst_har.reports.plots import style

_LAYOUT = [["series"] * 3, ["cloud", "diagram", "features"]]


def plot_topology(example: TopologyExample, *, name: str = "topology") -> str:
    """Draw the magnitude of a window, its delay embedding, its persistence diagram and its features.

    Parameters
    ----------
    example : TopologyExample
        See `patchtst_har.benchmark.topology_example`.
    name : str
        Put before every id in the SVG.

    Returns
    -------
    str
        An SVG element.
    """
    with style.settings(name):
        sizes = {"height_ratios": (1, 2.6), "width_ratios": (3.2, 3, 2.3)}
        solid = {"cloud": {"projection": "3d"}}
        figure, axes = style.new_figure(9, 6.6, mosaic=_LAYOUT, **sizes, per_subplot_kw=solid)
        _series(axes["series"], example)
        _cloud(axes["cloud"], example.points)
        _diagram(axes["diagram"], example)
        _features(axes["features"], example.features)
        return style.to_svg(figure, name, _description(example))


def _series(axes: Axes, example: TopologyExample) -> None:
    magnitude, rate_hz = example.magnitude, example.sample_rate_hz
    axes.plot(np.arange(len(magnitude)) / rate_hz, magnitude, color=style.TRUTH, linewidth=0.8)
    kept = np.arange(len(example.series)) * example.factor / rate_hz
    mean = float(np.mean(magnitude))
    axes.plot(kept, np.add(example.series, mean), ".", color=style.SMOOTHED, markersize=4)
    axes.set(xlabel="s", ylabel="g", xlim=(0, len(magnitude) / rate_hz))
    axes.set_title(f"Magnitude of one window of {example.label} (dots: filtered and decimated)")
    style.add_grid(axes, "y")


def _cloud(axes: Any, points: Sequence[Sequence[float]]) -> None:
    """Draw the first three coordinates; missing ones are 0."""
    x, y, z = np.array([[*point, 0.0, 0.0][:3] for point in points], np.float64).reshape(-1, 3).T
    axes.plot(x, y, z, color="#B5B5B5", linewidth=0.4)
    # The ends of the map are lost on a dark or a white page.
    shades = colormaps["viridis"](np.linspace(0.25, 0.85, len(x)))
    axes.scatter(x, y, z, c=shades, s=9, depthshade=False)
    axes.set_title("Delay embedding (g)")
    axes.tick_params(labelsize=style.SMALL, pad=-2)
    axes.set_anchor("N")


def _diagram(axes: Axes, example: TopologyExample) -> None:
    limit = 1.05 * (example.radius or 1.0)
    axes.plot([0, limit], [0, limit], color="#8A8A8A", linewidth=0.8)
    axes.axhline(example.radius, color=style.TRUTH, linewidth=0.8, linestyle=":")
    axes.annotate("enclosing radius", (limit, example.radius), ha="right", va="bottom", fontsize=style.SMALL)
    looks = {"h0": ("H0: pieces", "o", style.SMOOTHED), "h1": ("H1: loops", "^", style.RAW)}
    for key, (label, marker, colour) in looks.items():
        births, deaths = np.array(getattr(example, key), np.float64).reshape(-1, 2).T
        axes.plot(births, deaths, marker, color=colour, markersize=4.5, alpha=0.7, label=label)
    axes.set(xlabel="birth (g)", ylabel="death (g)", xlim=(-0.03 * limit, limit), ylim=(0, 1.06 * limit))
    axes.set_box_aspect(1)
    axes.set_anchor("N")
    axes.set_title("Persistence")
    axes.legend(loc="lower right")


def _features(axes: Axes, features: Mapping[str, float]) -> None:
    axes.set_axis_off()
    axes.set_title("Features")
    step = 1 / max(len(features), 1)
    for row, (feature, value) in enumerate(features.items()):
        y = 1 - (row + 0.5) * step
        axes.text(0, y, feature, transform=axes.transAxes, va="center", fontsize=8.5)
        axes.text(1, y, f"{value:.3g}", transform=axes.transAxes, va="center", ha="right", fontsize=8.5)


def _description(example: TopologyExample) -> str:
    return (
        f"One window of {example.label}: its magnitude over time; the {len(example.points)} points of "
        f"its delay embedding; the persistence diagram with {len(example.h0)} bars of H0 and "
        f"{len(example.h1)} of H1, the longest loop living "
        f"{example.features['h1_life_1']:.3g} g; and its {len(example.features)} topological features"
    )
