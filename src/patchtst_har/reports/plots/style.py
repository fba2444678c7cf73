"""Colours, figures without global state, and SVG text."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from patchtst_har.data.non_wear import NON_WEAR
from patchtst_har.support.formatting import duration

RAW, SMOOTHED, TRUTH = "#E69F00", "#0072B2", "#4D4D4D"
MISSING = "#F0F0F0"
STRANGE = "#1C2733"
# Time without wear: hatched, as nothing else is. Time without data is the paler.
UNWORN, _HATCH = "#D5DAE0", "#7C8894"
BESIDE = "#A9B2BC"
# Behind text that lies on lines. Backgrounds are #FFFFFF, and transparent in a page.
PAGE = "#FFFFFE"
_CLASS_COLOURS = (
    # Okabe & Ito's colour-blind safe set without yellow and black, then colours of Paul Tol's "muted" set.
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"),
    *("#332288", "#999933", "#882255", "#44AA99", "#6B6B6B"),
)
# What a page that may be dark replaces by a variable of its style sheet (`themed`).
_THEME = {
    PAGE.lower(): "page",
    "#1c2733": "ink",
    "#555555": "soft",
    "#8a8a8a": "axis",
    "#e2e2e2": "grid",
    "#f2f2f2": "tint",
    "#e6e6e6": "tint",
    "#ececec": "tint",
    "#eef1f4": "tint",
    "#b34700": "warn",
    TRUTH.lower(): "truth",
    MISSING.lower(): "missing",
    UNWORN.lower(): "unworn",
    _HATCH.lower(): "hatch",
    "#0072b2": "blue",
    "#332288": "indigo",
    "#882255": "wine",
    "#6b6b6b": "grey",
}
WIDE_IN, NARROW_IN = 9.0, 3.7
"""Widths of figures: in a page on a screen, and on a phone (355 pixels)."""
SMALL = 8.5
"""Smallest size of text (points): 11 pixels in a page, which shows pictures at their full size."""
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "text.color": "#1C2733",
    "axes.labelcolor": "#1C2733",
    "axes.edgecolor": "#8A8A8A",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#E2E2E2",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "path.simplify": False,
    "hatch.linewidth": 1.2,
    "text.parse_math": False,
}


def class_colours(classes: Sequence[str]) -> dict[str, Any]:
    """Return one colour a class, by its position: the same in every plot of one label set.

    `NON_WEAR` behind them is no class, and has a colour of its own.
    """
    if len(classes) > 1 and classes[-1] == NON_WEAR:
        return {**class_colours(classes[:-1]), NON_WEAR: UNWORN}
    if len(classes) <= len(_CLASS_COLOURS):
        return dict(zip(classes, _CLASS_COLOURS, strict=False))
    # The ends of the map are too dark for a dark page.
    shades = mpl.colormaps["turbo"](np.linspace(0.08, 0.92, len(classes)))
    return {name: mpl.colors.to_hex(shade) for name, shade in zip(classes, shades, strict=True)}


def look(colour: Any) -> dict[str, Any]:
    """Return how an area of a colour is filled: that of `NON_WEAR` is hatched."""
    if colour != UNWORN:
        return {"facecolor": colour}
    return {"facecolor": colour, "edgecolor": _HATCH, "hatch": "////"}


def settings(name: str) -> Any:
    """Return a context in which figures have this package's style, and ids derived from `name`."""
    return mpl.rc_context({**_SETTINGS, "svg.hashsalt": name})


def new_figure(
    width_in: float, height_in: float, *, layout: Any = "constrained", mosaic: Any = None, **grid: Any
) -> tuple[Figure, Any]:
    """Return a figure outside pyplot and its axes: of `mosaic` by name, of a `grid` of several an array."""
    figure = Figure(figsize=(width_in, height_in), layout=layout)
    FigureCanvasSVG(figure)
    return figure, figure.subplot_mosaic(mosaic, **grid) if mosaic else figure.subplots(**grid)


def add_grid(axes: Axes, axis: Any = "both") -> None:
    """Draw a light grid along `axis`."""
    axes.grid(visible=True, axis=axis)


def add_note(axes: Axes, text: str, at: tuple[float, float], offset: tuple[int, int], **look: Any) -> None:
    """Write text at a place, shifted by `offset` points."""
    axes.annotate(text, at, xytext=offset, textcoords="offset points", **look)


def label_rows(axes: Axes, labels: Sequence[str], margin: float = 0.5) -> None:
    """Name the rows at y = 0, 1, ..., the first at the top, with a margin above and below."""
    axes.set_yticks(range(len(labels)), labels=list(labels))
    axes.set_ylim(len(labels) - 1 + margin, -margin)


def stack_bars(axes: Axes, parts: Any, colours: Mapping[str, Any], height: float) -> Any:
    """Draw bars row below row; parts[label] holds the lengths of one part in all rows. Return the ends."""
    ends: Any = 0.0
    for label, colour in colours.items():
        widths = np.asarray(parts[label], dtype=float)
        axes.barh(
            range(len(widths)), widths, left=ends, height=height, label=label, linewidth=0, **look(colour)
        )
        ends = ends + widths
    return ends


def log_time_axis(axes: Axes, which: Literal["x", "y"] = "x") -> None:
    """Make an axis in microseconds logarithmic, with durations at its ticks."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axes.set(**{f"{which}scale": "log"})
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    if high / low < 10:
        axes.set(**{f"{which}lim": (low / 1.8, high * 1.8)})
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    elif high / low < 100:
        axis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
    axis.set_minor_formatter(NullFormatter())
    add_grid(axes, which)


def to_svg(figure: Figure, name: str, description: str) -> str:
    """Return the figure as an SVG element that can stand in an HTML page with others.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Made within `settings(name)`; call this within it too.
    name : str
        Put before every id, so that ids of two plots in one page differ.
    description : str
        What is to be seen, for readers who cannot see it.

    Returns
    -------
    str
        An ``<svg>`` element with a view box and no fixed size; equal figures give equal text.
    """
    buffer = io.StringIO()
    # `savefig` draws twice where there is a layout to be made: for the layout, and again for the file.
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = _number_ids(text, name)
    # The style sheet of an inline SVG would apply to the whole page.
    text = re.sub(r"<style type=\"text/css\">.*?</style>", "", text, flags=re.DOTALL)
    return _retitle(text, description)


def themed(svg: str) -> str:
    """Return a picture whose neutral and dark colours are variables of the page that it stands in."""

    def variable(match: re.Match[str]) -> str:
        if match[2] == "#ffffff":
            return f"{match[1]}: none"
        name = _THEME.get(match[2])
        return match[0] if name is None else f"{match[1]}: var(--{name})"

    # Patterns have attributes, which know no variables.
    svg = re.sub(r'\bfill="(#[0-9a-f]{6})"', r'style="fill: \1"', svg)
    return re.sub(r"\b(fill|stroke): (#[0-9a-f]{6})\b", variable, svg)


def _number_ids(text: str, name: str) -> str:
    """Put `name` before every id, and numbers in place of hashes.

    matplotlib hashes coordinates, whose last bits vary with the solver of the layout.
    """
    found = dict.fromkeys(re.findall(r'\bid="([^"]+)"', text))
    numbered = {
        old: f"{name}-{number if re.search('[0-9a-f]{10}$', old) else old}"
        for number, old in enumerate(found, 1)
    }
    reference = r'(\bid="|\bxlink:href="#|\burl\(#)([^")]+)'
    return re.sub(reference, lambda match: match[1] + numbered[match[2]], text)


def _retitle(text: str, description: str) -> str:
    """Replace the fixed size by a width in pixels of the page, and add the description."""
    head, rest = text.split(">", 1)
    width = float(re.search(r'\bwidth="([0-9.]+)pt"', head)[1])  # type: ignore[index]
    head = re.sub(r'\s(?:width|height)="[^"]*"', "", head)
    label = escape(description, quote=True)
    # No page may shrink it: its text would become too small to read.
    style = f"width:{width * 4 / 3:.0f}px;height:auto;stroke-linejoin:round"
    return f'{head} role="img" aria-label="{label}" style="{style}">{rest}'
