"""The real-time feasibility report: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from patchtst_har.records.feasibility import FeasibilityRecord, JudgedTarget
from patchtst_har.records.measurement import Measured, Percentiles, Unmeasured
from patchtst_har.reports import plots
from patchtst_har.reports.rendering import facts, pictures, render
from patchtst_har.support.files import atomic_write_text
from patchtst_har.support.formatting import counted, duration, readable

REPORT_FILE = "feasibility.html"
_LEVELS = ("p50", "p95", "p99", "p99_9", "max")


def render_feasibility(report: FeasibilityRecord, out: Path) -> Path:
    """Write the report.

    Parameters
    ----------
    report : FeasibilityRecord
        What was measured and judged.
    out : pathlib.Path
        The HTML file; its folder must exist.

    Returns
    -------
    pathlib.Path
        `out`.
    """
    measured = report.devices.cpu
    html = render(
        "feasibility.html.j2",
        report=report,
        measured=measured,
        figures=pictures(_figures(report)),
        targets=[(target, _asked(target)) for target in report.targets],
        counts=_counts(report),
        cuda=_times(report.devices.cuda),
        levels=_LEVELS,
        # Of this workload the stages are shown in full.
        slowest=max(measured.workloads, key=lambda name: _times(measured)[name].p50_us or 0),
        cold_start=list(_cold_start(measured)),
        resources=list(_resources(measured)),
        host=list(facts(report.host)),
        settings=list(facts(measured.settings.model_dump())),
        artefact=list(facts(_artefact(report))),
    )
    atomic_write_text(out, html)
    return out


def _figures(report: FeasibilityRecord) -> dict[str, str]:
    measured = report.devices.cpu
    loops = {name: workload.closed_loop for name, workload in measured.workloads.items()}
    deadlines = sorted({target.deadline_us for target in report.targets if target.device == measured.device})
    figures = {
        "distributions": plots.plot_distributions(loops, measured.open_loop, deadlines),
        "outliers": plots.plot_outliers(loops),
        "stages": plots.plot_mean_stages(loops),
    }
    if measured.capacity is not None:
        capacity = plots.plot_capacity(measured.capacity, measured.settings.hop_s)
        figures |= {"capacity": capacity} if capacity else {}
    if report.comparison is not None and report.comparison.changes:
        figures["changes"] = plots.plot_changes(report.comparison.changes, report.comparison.threshold)
    return figures


def _times(device: Measured | Unmeasured) -> dict[str, Percentiles]:
    """Return the times of decisions on each workload; empty if there is no such device."""
    workloads = device.workloads if isinstance(device, Measured) else {}
    return {name: workload.closed_loop.end_to_end for name, workload in workloads.items()}


def _counts(report: FeasibilityRecord) -> list[tuple[str, int]]:
    verdicts = [target.outcome for target in report.targets]
    order = ("feasible", "not feasible", "undecided", "undecided (busy)", "not measured")
    return [(verdict, verdicts.count(verdict)) for verdict in order if verdict in verdicts]


def _asked(target: JudgedTarget) -> str:
    """Return what a target asks, in words."""
    part = "every decision" if target.percentile == "max" else target.percentile.replace("_", ".")
    within = target.effective_deadline_s
    streams = counted(target.streams, "stream", "streams")
    words = [
        f"{target.device.upper()}, {streams} on {counted(target.cores, 'core', 'cores')}",
        f"a decision every {target.hop_s:g} s",
        f"{part} within " + (f"{within:g} s" if within >= 1 else f"{1e3 * within:g} ms"),
    ]
    if target.memory_mb is not None:
        words.append(f"{target.memory_mb:,.0f} MiB of memory")
    if target.smoothing_lag_s:
        words.append(f"smoothing may wait {target.smoothing_lag_s:g} s")
    if target.workloads:
        words.append(f"on {', '.join(target.workloads)}")
    return "; ".join(words)


def _cold_start(measured: Measured) -> Iterator[tuple[str, str]]:
    cold = measured.cold_start
    if cold is None:
        return
    yield "importing the package", duration(1e6 * cold.import_s)
    yield "loading the model", duration(1e6 * cold.load_s)
    yield "first decision", duration(cold.first_decision_us)
    yield "second decision", duration(cold.second_decision_us)
    yield "the whole process, from start to end", duration(1e6 * cold.process_s)


def _resources(measured: Measured) -> Iterator[tuple[str, str]]:
    memory, collector, energy = measured.memory, measured.gc, measured.energy
    since = f" since {memory.peak_since}" if memory.peak_since else ""
    alone = "peak of a fresh process with"
    peaks: list[tuple[str, float | None, str]] = [
        (f"{alone} {counted(one.n_streams, 'stream', 'streams')}", one.peak_rss_mb, "MiB")
        for one in memory.of_streams
    ]
    for name, value, unit in (
        *(peaks or [(f"{alone} streams", None, "")]),
        ("this process before", memory.rss_mb_before, "MiB"),
        ("this process after", memory.rss_mb_after, "MiB"),
        (f"its peak{since}", memory.peak_rss_mb, "MiB"),
        ("its growth in 1,000 decisions", memory.rss_slope_kb_per_1000_decisions, "KiB"),
        ("Python's allocated blocks, growth in 1,000 decisions", memory.python_blocks_per_1000_decisions, ""),
    ):
        yield name, "not measured" if value is None else f"{readable(value)} {unit}".strip()
    runs = ", ".join(map(str, collector.collections))
    longest = duration(collector.longest_pause_us)
    state = "on" if collector.enabled else "off"
    yield "garbage collector", f"{state}; collections by generation: {runs}; longest pause: {longest}"
    yield "threads", str(measured.threads)
    if energy.joules_per_decision is None:
        yield "energy", f"not measured ({energy.why or 'no reason was given'})"
    else:
        millijoules = readable(1e3 * energy.joules_per_decision)
        yield "energy", f"{millijoules} mJ a decision, of the whole package ({energy.source})"


def _artefact(report: FeasibilityRecord) -> dict[str, Any]:
    values = report.artefact.model_dump()
    values["feature plug-ins"] = values["features"].pop("plugins", [])
    return values
