"""What a decision's time consists of, how many streams a core carries, and what changed since a saved run."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from patchtst_har.records.feasibility import Change
from patchtst_har.records.measurement import Capacity, ClosedLoop
from patchtst_har.reports.plots import style
from patchtst_har.support.formatting import duration

_BESIDE_STAGES = "between the stages"
_SLOWER, _FASTER = "#D55E00", "#009E73"


def plot_mean_stages(loops: Mapping[str, ClosedLoop]) -> str:
    """Draw the mean time of each stage of each workload as one bar: means add up, percentiles do not.

    Parameters
    ----------
    loops : mapping of str to ClosedLoop
        One stream on each workload; a bar each.

    Returns
    -------
    str
        An SVG element.
    """
    name = "stages"
    stages = list(dict.fromkeys(stage.name for loop in loops.values() for stage in loop.stages))
    colours = {**style.class_colours(stages), _BESIDE_STAGES: style.BESIDE}
    with style.settings(name):
        figure, axes = style.new_figure(9.6, 1.3 + 0.42 * len(loops))
        means = {stage: [_mean(loop, stage) for loop in loops.values()] for stage in colours}
        totals = style.stack_bars(axes, means, colours, 0.62)
        for row, total in enumerate(totals):
            style.add_note(axes, duration(total), (total, row), (5, 0), va="center")
        axes.set_yticks(range(len(loops)), labels=list(loops))
        axes.invert_yaxis()
        axes.set_xlim(0, 1.12 * max(totals))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(value) if value else "0"))
        style.add_grid(axes, "x")
        figure.legend(loc="outside lower center", ncols=5)
        return style.to_svg(figure, name, "Mean time of each stage of a decision, by workload")


def _mean(loop: ClosedLoop, stage: str) -> float:
    if stage == _BESIDE_STAGES:
        return loop.overhead.mean_us
    return sum(row.mean_us for row in loop.stages if row.name == stage)


def plot_capacity(capacity: Capacity, hop_s: float) -> str | None:
    """Draw p99 from the scheduled arrival against the number of streams; None without such a p99.

    Parameters
    ----------
    capacity : Capacity
        The search for the most streams.
    hop_s : float
        Seconds between decisions: the line not to be crossed.

    Returns
    -------
    str or None
        An SVG element.
    """
    points = sorted((p.n_streams, p.p99_us, p.passed) for p in capacity.probes if p.p99_us)
    if not points:
        return None
    name = "capacity"
    with style.settings(name):
        figure, axes = style.new_figure(7.2, 3.3)
        axes.plot([n for n, *_ in points], [us for _, us, _ in points], color="#9AA5B1", linewidth=1.2)
        looks = ((True, "o", style.SMOOTHED, "carried"), (False, "X", _SLOWER, "not carried"))
        for passed, marker, colour, label in looks:
            kept = [(n, us) for n, us, good in points if good == passed]
            if kept:
                axes.plot(*zip(*kept, strict=True), marker, color=colour, markersize=6, label=label)
        axes.axhline(1e6 * hop_s, color="#B34700", linewidth=1.2, linestyle=":", label="the hop")
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel="streams on one core", ylabel="p99 from the scheduled arrival")
        style.log_time_axis(axes, "y")
        axes.legend(loc="center left")
        return style.to_svg(figure, name, "p99 of the latency against the number of streams on one core")


def plot_changes(changes: tuple[Change, ...], threshold: float) -> str:
    """Draw the ratio of every comparison with its interval, and the band that counts as no change.

    Parameters
    ----------
    changes : tuple of Change
        At least one; a row each.
    threshold : float
        Smallest relative change that counts.

    Returns
    -------
    str
        An SVG element.
    """
    name = "changes"
    with style.settings(name):
        figure, axes = style.new_figure(8.2, 1.1 + 0.3 * len(changes))
        axes.axvspan(1 / (1 + threshold), 1 + threshold, color="#EEF1F4", zorder=0)
        axes.axvline(1, color=style.TRUTH, linewidth=0.9)
        for row, change in enumerate(changes):
            _change(axes, row, change)
        style.label_rows(axes, [f"{change.name} {change.percentile}" for change in changes])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
        axes.set_xlabel("time now / time before, relative to the calibration of the same block")
        style.add_grid(axes, "x")
        return style.to_svg(figure, name, "Ratio of times now and before with intervals, by workload")


def _change(axes: Axes, row: int, change: Change) -> None:
    colour = {"slower": _SLOWER, "faster": _FASTER}.get(change.outcome, "#6B6B6B")
    if change.low is not None and change.high is not None:
        axes.plot([change.low, change.high], [row, row], color=colour, linewidth=2.2)
    axes.plot(change.ratio, row, "D" if change.outcome in ("slower", "faster") else "o", color=colour)
