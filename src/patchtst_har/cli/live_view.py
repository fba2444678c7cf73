"""The terminal's view of a running stream."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from patchtst_har.realtime.decision import STAGES, Decision, StreamStats
from patchtst_har.realtime.monitor import Monitor


def live_view(monitor: Monitor, stats: StreamStats, classes: tuple[str, ...], source: str) -> RenderableType:
    """Return label, probabilities, stages, latency and counts as they are now."""
    decision = monitor.last
    parts: list[RenderableType] = []
    if decision is None:
        parts.append(Text("waiting for the first window", style="dim"))
    else:
        title = Text(decision.label, style="bold")
        title.append(
            f"  {decision.probability:.0%}   {str(decision.start)[:19]} to {str(decision.end)[11:19]}"
        )
        if decision.unfamiliar:
            title.append("   unlike all that the model was trained on", style="yellow")
        parts += [title, _probabilities(decision, classes), _stages(decision)]
    latency = "   ".join(
        f"{name} {'n/a' if value is None else f'{value:.2f} ms'}"
        for name, value in monitor.latency_ms().items()
    )
    parts.append(Text(f"latency   {latency}"))
    parts.append(
        Text(
            f"{stats.n_samples:,} samples, {stats.n_decisions:,} decisions, {monitor.n_missed} late, "
            f"{stats.n_dropped} dropped, {stats.n_gaps} pauses, {stats.n_jumps} clock jumps, "
            f"{stats.n_unusable} unusable samples, {stats.n_unfamiliar:,} unfamiliar windows",
            style="dim",
        )
    )
    return Panel(Group(*parts), title=Text(source), title_align="left")


def _probabilities(decision: Decision, classes: tuple[str, ...]) -> Table:
    table = Table.grid(padding=(0, 1))
    for name, probability in zip(classes, decision.probabilities.tolist(), strict=True):
        bar = ProgressBar(total=1.0, completed=probability, width=30)
        table.add_row(Text(name), bar, Text(f"{probability:.3f}"))
    return table


def _stages(decision: Decision) -> Text:
    stages = zip(STAGES, decision.stage_ns, strict=True)
    return Text("   ".join(f"{name} {ns / 1e3:,.0f} µs" for name, ns in stages), style="dim")
