"""Draw docs/way.svg: the way of a simulated recording to its timeline, computed by the shipped model."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from patchtst_har import Recognizer
from patchtst_har.data import cut_windows
from patchtst_har.features import compute_extended_statistics
from patchtst_har.smoothing import HMMSmoother
from patchtst_har.synthetic import daily_bout, recording

if TYPE_CHECKING:
    import pandas as pd

# Narrow enough that its letters can be read on a telephone.
WIDTH, LEFT, RIGHT = 360, 12, 348
AXES = ("#0072b2", "#d55e00", "#009e73")
CLASSES = {
    "lying": "#8172b2",
    "sitting": "#4c72b0",
    "standing": "#64b5cd",
    "walking": "#55a868",
    "stairs": "#ccb974",
    "running": "#c44e52",
}
INK, PALE, LINE = "#1c2733", "#5a6875", "#c3ccd5"
BOUTS = [("lying", 60.0), ("walking", 45.0), ("stairs", 35.0), ("standing", 30.0), ("sitting", 30.0)]
SEED = 15
# The window that is followed: the model takes it for standing, the smoother does not.
SHOWN = 7
ABOUT = (
    "The way of a recording: samples, windows, patches and features, encoder, class probabilities, "
    "hidden Markov model, timeline"
)


def text(
    x: float,
    y: float,
    words: str,
    *,
    size: int = 12,
    colour: str = INK,
    bold: bool = False,
    end: bool = False,
) -> str:
    """Return one line of text."""
    weight = ' font-weight="bold"' if bold else ""
    anchor = ' text-anchor="end"' if end else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}"{weight}{anchor}>{escape(words)}</text>'
    )


def rect(x: float, y: float, width: float, height: float, fill: str, stroke: str = "none") -> str:
    """Return a box."""
    size = f'width="{width:.1f}" height="{height:.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{fill}" stroke="{stroke}"/>'


def path(way: str, stroke: str) -> str:
    """Return lines."""
    return f'<path d="{way}" fill="none" stroke="{stroke}" stroke-width="1.3"/>'


def traces(samples: np.ndarray, x: float, width: float, middle: float, px_per_g: float) -> list[str]:
    """Return the three axes as lines, each sample of a few kept."""
    step = max(1, len(samples) // 400)
    places = x + width * np.arange(0, len(samples), step) / len(samples)
    lines = []
    for axis, colour in enumerate(AXES):
        heights = middle - px_per_g * samples[::step, axis]
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(places, heights, strict=True))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="0.8"/>')
    return lines


def arrow(y: float, words: str) -> list[str]:
    """Return an arrow down the left side, with what happens on the way."""
    head = path(f"M{LEFT + 8} {y} v20 m-4 -5 l4 5 l4 -5", PALE)
    return [head, text(LEFT + 20, y + 14, words, colour=PALE)]


def heading(y: float, name: str, what: str) -> list[str]:
    """Return the name of a stage, and beside it what it is."""
    return [text(LEFT, y, name, size=14, bold=True), text(RIGHT, y, what, size=11, colour=PALE, end=True)]


def bars(values: np.ndarray, x: float, width: float, bottom: float, height: float, colour: str) -> list[str]:
    """Return a bar for each value, by its rank among them."""
    ranks = np.argsort(np.argsort(values)) / max(1, len(values) - 1)
    step = width / len(values)
    return [
        rect(x + i * step, bottom - 2 - height * r, 0.7 * step, 2 + height * r, colour)
        for i, r in enumerate(ranks)
    ]


def columns(probabilities: np.ndarray, classes: tuple[str, ...], y: float, height: float) -> list[str]:
    """Return a column of stacked class probabilities for each window."""
    step = (RIGHT - LEFT) / len(probabilities)
    drawn = []
    for number, row in enumerate(probabilities):
        top = y
        for name, share in zip(classes, row, strict=True):
            drawn.append(rect(LEFT + number * step, top, step - 1, share * height, CLASSES[name]))
            top += share * height
    return drawn


def with_smoother(recognizer: Recognizer) -> Recognizer:
    """Return the recogniser with a smoother of made-up numbers: the shipped model has none."""
    size = len(recognizer.classes)
    stay, right = 0.8, 0.7
    transitions = np.full((size, size), (1 - stay) / (size - 1)) + np.eye(size) * (
        stay - (1 - stay) / (size - 1)
    )
    emissions = np.full((size, size), (1 - right) / (size - 1)) + np.eye(size) * (
        right - (1 - right) / (size - 1)
    )
    start = np.full(size, 1 / size)
    return recognizer.replace(
        smoother=HMMSmoother.from_parameters(start, transitions, emissions, n_classes=size, hop_s=10.0)
    )


def signal_part(samples: np.ndarray, windows: np.ndarray) -> list[str]:
    """Return the recording, and the windows that are cut from it."""
    step = (RIGHT - LEFT) / len(windows)
    drawn = heading(24, "Recording", "x, y, z of a wrist in g, any file")
    drawn += traces(samples, LEFT, RIGHT - LEFT, 62, 16)
    drawn += arrow(92, "unusable samples, gaps, non-wear out; calibrated if asked")
    drawn += heading(134, "Windows", "10 s at 100 Hz, in g")
    for number in range(len(windows)):
        drawn.append(
            rect(LEFT + number * step, 144, step - 2, 44, "#eef2f6", INK if number == SHOWN else LINE)
        )
    drawn += traces(windows.reshape(-1, 3), LEFT, RIGHT - LEFT, 168, 10)
    x = LEFT + (SHOWN + 0.5) * step
    return [*drawn, path(f"M{x:.1f} 188 L{LEFT} 214 M{x:.1f} 188 L{RIGHT} 214", LINE)]


def window_part(window: np.ndarray) -> list[str]:
    """Return what the network is given of one window, and the network."""
    values, half = compute_extended_statistics(window, 100.0, movement=True), (LEFT + RIGHT) / 2
    right, patch = half + 8, (half - 8 - LEFT) / 10
    drawn = [text(LEFT, 232, "Samples", size=14, bold=True), text(right, 232, "Features", size=14, bold=True)]
    drawn += [rect(LEFT + i * patch, 242, patch - 2, 50, "#eef2f6") for i in range(10)]
    drawn += traces(window, LEFT, half - 8 - LEFT, 268, 11)
    drawn += bars(values[:56], right, RIGHT - right, 264, 18, "#8c6bb1")
    drawn += bars(values[56:], right, RIGHT - right, 292, 18, "#b79bd0")
    drawn += [text(LEFT, 307, "patches, to tokens", size=11, colour=PALE)]
    drawn += [text(right, 307, "56 statistical, 171 of movement", size=11, colour=PALE)]
    drawn += [rect(LEFT, 330, RIGHT - LEFT, 46, "#e3eef7", "#4c72b0")]
    drawn += [path(f"M{x} 312 v18 m-4 -5 l4 5 l4 -5", PALE) for x in (90, 262)]
    drawn += [text(LEFT + 10, 350, "PatchTST encoder, branch, head", size=14, bold=True)]
    return [
        *drawn,
        text(LEFT + 10, 367, "rotary attention; one window alone; compiled", size=11, colour=PALE),
    ]


def decision_part(probabilities: np.ndarray, classes: tuple[str, ...], timeline: pd.DataFrame) -> list[str]:
    """Return the probabilities of each window, and the timeline after smoothing."""
    drawn = arrow(380, "softmax") + heading(422, "Class probabilities", "of each window")
    drawn += columns(probabilities, classes, 432, 52)
    drawn += arrow(490, "hidden Markov model over the windows")
    drawn += heading(532, "Timeline", "rows of start, end, class")
    begin = timeline["start"].min()
    px_per_s = (RIGHT - LEFT) / (timeline["end"].max() - begin).total_seconds()
    for row in timeline.itertuples():
        x, width = ((t - s).total_seconds() * px_per_s for t, s in ((row.start, begin), (row.end, row.start)))
        drawn.append(rect(LEFT + x, 542, width + 0.3, 26, CLASSES[row.label]))
    for number, (name, colour) in enumerate(CLASSES.items()):
        x, y = LEFT + number % 3 * 112, 578 + number // 3 * 18
        drawn += [rect(x, y, 12, 12, colour), text(x + 18, y + 11, name)]
    return drawn


def picture() -> str:
    """Return the SVG text."""
    recognizer = with_smoother(Recognizer.from_pretrained("wrist"))
    samples = recording(BOUTS, make=daily_bout, seed=SEED)
    cut = cut_windows(samples, recognizer.config.data)
    probabilities = recognizer.probabilities(recognizer.inputs(cut.windows, cut.start_ns))
    drawn = [
        *signal_part(samples[["x", "y", "z"]].to_numpy(), cut.windows),
        *window_part(cut.windows[SHOWN]),
        *decision_part(probabilities, recognizer.classes, recognizer.predict_recording(samples)),
        text(
            LEFT,
            630,
            "Then: days, bouts, report. Live, the same steps as samples come,",
            size=11,
            colour=PALE,
        ),
        text(LEFT, 645, "and the model decides from the windows so far.", size=11, colour=PALE),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} 660" role="img" aria-label="{ABOUT}" '
        f'font-family="sans-serif">{rect(0, 0, WIDTH, 660, "white")}{"".join(drawn)}</svg>\n'
    )


if __name__ == "__main__":
    Path(__file__).with_name("way.svg").write_text(picture(), encoding="utf-8")
