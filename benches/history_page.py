"""The page of the benchmarks' history: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from history import Point, Series, judge, usual_speed
from patchtst_har.benchmark.changes import N_DEVIATIONS, THRESHOLD
from patchtst_har.records.feasibility import Change
from patchtst_har.reports.plots.style import log_time_axis, new_figure, settings, to_svg
from patchtst_har.reports.rendering import render
from patchtst_har.support.files import atomic_write_text
from patchtst_har.support.formatting import duration
from results_table import place_of, without_device
from runs import FINGERPRINT, Run

# Colours that the page's style sheet replaces, so that figures follow a dark page.
_INK, _SOFT, _GRID = "#010101", "#010102", "#010103"
_COLOURS = {"p50": "#010104", "p95": "#010105", "p99": "#010106", "slower": "#010107", "faster": "#010108"}
_VARIABLES = {_INK: "--ink", _SOFT: "--soft", _GRID: "--line"}
_VARIABLES |= {colour: f"--{name}" for name, colour in _COLOURS.items()}
_MARKERS = {"p50": "o", "p95": "s", "p99": "D"}
_STYLE: Any = {
    "text.color": _INK,
    "axes.edgecolor": _SOFT,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "grid.color": _GRID,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}
_MOST_TICKS = 3
# A wider range of times is drawn on a logarithmic axis.
_WIDE = 4.0


@dataclass(frozen=True)
class Mark:
    """A change of a benchmark."""

    commit: str
    name: str
    change: Change


@dataclass
class Card:
    """The figures of a benchmark, one for each device that it ran on."""

    name: str
    figures: list[Markup] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True)
class Machine:
    """A section of the page."""

    fingerprint: str
    runs: Sequence[Run]
    marks: Sequence[Mark]
    parts: Sequence[tuple[str, list[Card]]]

    @property
    def gpu(self) -> str | None:
        """The CUDA device."""
        return self.runs[-1].host.get("cuda_device")

    @property
    def title(self) -> str:
        """The processor and what else there is."""
        host = self.runs[-1].host
        return ", ".join(str(host[name]) for name in ("cpu", "isa", "cuda_device") if host.get(name))

    @property
    def facts(self) -> str:
        """What distinguishes the machine from others."""
        host = self.runs[-1].host
        return ", ".join(f"{name.replace('_', ' ')} {host.get(name) or 'none'}" for name in FINGERPRINT[3:])


def write_page(histories: Mapping[str, Sequence[Run]], path: Path) -> Path:
    """Write the page of all machines' runs; return its path."""
    machines = [_machine(number, name, runs) for number, (name, runs) in enumerate(histories.items())]
    limits = {"threshold": f"{100 * THRESHOLD:g}", "deviations": f"{N_DEVIATIONS:g}"}
    atomic_write_text(path, render("history.html.j2", Path(__file__).parent, machines=machines, **limits))
    return path


def _machine(number: int, fingerprint: str, runs: Sequence[Run]) -> Machine:
    series, speed = judge(runs), usual_speed(runs)
    devices = {name: timed.device for run in runs for name, timed in run.benchmarks.items()}
    cards: dict[tuple[str, str], Card] = {}
    for name in sorted(devices, key=lambda name: (devices[name], name)):
        card = _card(cards, name, devices[name])
        svg = _figure(f"m{number}-{len(cards)}-{devices[name]}", name, runs, series, speed)
        heading = Markup("<p class='note'>CUDA</p>") if devices[name] == "cuda" else Markup()
        card.figures.append(heading + Markup(svg))  # noqa: S704 - made here, text in it escaped
    for name in {name for run in runs for name in run.no_device} - devices.keys():
        _card(cards, name, "cuda").note = "CUDA: no device"
    parts: dict[str, list[Card]] = {}
    for part, name in sorted(cards, key=lambda key: (place_of(key[0]), key[1])):
        parts.setdefault(part, []).append(cards[part, name])
    return Machine(fingerprint, runs, list(_marks(runs, series)), list(parts.items()))


def _card(cards: dict[tuple[str, str], Card], name: str, device: str) -> Card:
    """Return the card of a benchmark: the same for its CPU and its CUDA variant."""
    key = without_device(name, device)
    return cards.setdefault(key, Card(key[1]))


def _marks(runs: Sequence[Run], series: Series) -> Iterator[Mark]:
    """Yield the changes, the newest first."""
    for number in reversed(range(len(runs))):
        for (name, _), points in series.items():
            point = points[number]
            if point is not None and point.changed and point.change is not None:
                yield Mark(_commit(runs[number]), name.removeprefix("benches/bench_"), point.change)


def _commit(run: Run) -> str:
    return run.commit[:7] + "*" * run.dirty


def _figure(identity: str, name: str, runs: Sequence[Run], series: Series, speed: float) -> str:
    with settings(identity), mpl.rc_context(_STYLE):
        figure, axes = new_figure(3.25, 2.0)
        drawn: list[float] = []
        judged: dict[str, list[Point | None]] = {
            percentile: points for (own, percentile), points in series.items() if own == name
        }
        for percentile, marker in _MARKERS.items():
            values = [_value_us(run, name, percentile, speed) for run in runs]
            drawn += [value for value in values if not np.isnan(value)]
            (line,) = axes.plot(
                values, marker=marker, color=_COLOURS[percentile], markersize=3, linewidth=1.2
            )
            line.set_gid(f"{percentile}-line")
            _judged(axes, percentile, judged.get(percentile, []))
        _arrange(axes, runs, min(drawn), max(drawn))
        svg = to_svg(figure, identity, f"p50, p95 and p99 of {name} over {len(runs)} runs")
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return svg


def _value_us(run: Run, name: str, percentile: str, speed: float) -> float:
    timed = run.benchmarks.get(name)
    value = None if timed is None else timed.value(percentile)
    return np.nan if timed is None or value is None else value * float(np.exp(speed - timed.log_speed))


def _judged(axes: Axes, percentile: str, points: Sequence[Point | None]) -> None:
    """Shade where noise alone leaves the times, and mark what left it."""
    nan = float("nan")
    low = [nan if point is None or point.low_us is None else point.low_us for point in points]
    high = [nan if point is None or point.high_us is None else point.high_us for point in points]
    if points:
        colour = _COLOURS[percentile]
        axes.fill_between(range(len(points)), low, high, color=colour, alpha=0.15, linewidth=0, step="mid")
    for number, point in enumerate(points):
        _mark(axes, percentile, number, point)


def _mark(axes: Axes, percentile: str, number: int, point: Point | None) -> None:
    if point is None or not point.changed or point.change is None:
        return
    outcome = point.change.outcome
    (mark,) = axes.plot(
        number,
        point.us,
        "^" if outcome == "slower" else "v",
        color=_COLOURS[outcome],
        markersize=9,
        zorder=5,
    )
    mark.set_gid(f"{percentile}-{number}-{outcome}")
    axes.annotate(
        f"{100 * (point.change.ratio - 1):+.0f} %",
        (number, point.us),
        # One below, the other above, where both changed at once.
        xytext=(0, -16 if percentile == "p50" else 8),
        textcoords="offset points",
        ha="center",
        color=_COLOURS[outcome],
        fontweight="bold",
    )


def _arrange(axes: Axes, runs: Sequence[Run], low: float, high: float) -> None:
    """Put commits and durations at the axes."""
    n = len(runs)
    axes.set_xlim(-0.5, n - 0.5)
    ticks = sorted({round(place) for place in np.linspace(0, n - 1, min(n, _MOST_TICKS))})
    axes.set_xticks(ticks, labels=[_commit(runs[tick]) for tick in ticks])
    if high / low > _WIDE:
        axes.set_ylim(low / 1.3, high * 1.5)
        log_time_axis(axes, "y")
        return
    margin = max(0.25 * (high - low), 0.1 * high)
    axes.set_ylim(max(low - margin, 0), high + 1.4 * margin)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
    axes.grid(visible=True, axis="y")
