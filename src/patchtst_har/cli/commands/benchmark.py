"""``patchtst-har benchmark``."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from patchtst_har.cli import options
from patchtst_har.cli.console import err, progress, start_logging
from patchtst_har.cli.models import model_folder
from patchtst_har.cli.reading import reads_recordings
from patchtst_har.data.options import ReadOptions
from patchtst_har.errors import DataError

if TYPE_CHECKING:
    from patchtst_har.benchmark.budget import Budget
    from patchtst_har.records.feasibility import FeasibilityRecord

# 1 is a bug, 2 a user error: a script can distinguish them from a verdict.
FAILED = 3


class FailOn(StrEnum):
    """Results on which a script may want to stop."""

    NOT_FEASIBLE = "not-feasible"
    UNDECIDED = "undecided"
    REGRESSION = "regression"


HELP = (
    "Measure a model in real time on this host and judge it against deployment targets.\n\n"
    "Writes feasibility.html and feasibility.json; standard output is that JSON on one line."
)


@reads_recordings
def run(
    model: options.ModelArgument,
    recording: Annotated[
        Path | None, typer.Option(help="Recording to measure on, in addition to the simulated movements.")
    ] = None,
    budget: Annotated[
        Path | None, typer.Option(help="YAML file of deployment targets; built-in ones if left out.")
    ] = None,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder of the report and its JSON.")] = Path(),
    compare: Annotated[
        Path | None, typer.Option(metavar="DIR_OR_JSON", help="Saved report to compare with.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Some 20 seconds: no p99.9, no capacity, no cold start.")
    ] = False,
    hop: Annotated[
        float | None,
        typer.Option("--hop", help="Seconds between decisions; that of most targets."),
    ] = None,
    smoothing: options.Smoothing = None,
    adaptation: options.Adaptation = None,
    fail_on: Annotated[
        list[FailOn] | None,
        typer.Option(
            help=f"End with status {FAILED} at such a result; may be repeated. A latency that is too long "
            "on a busy machine is undecided."
        ),
    ] = None,
    units: options.Units = "g",
    time_unit: options.TimeUnit = None,
    timezone: options.Timezone = None,
    verbose: options.Verbose = False,
    *,
    reading: ReadOptions,
) -> None:
    """Run the command."""
    from patchtst_har.benchmark.feasibility import run_benchmark, settings_for, too_short
    from patchtst_har.data import read_recording
    from patchtst_har.reports.feasibility import REPORT_FILE, render_feasibility

    start_logging(verbose)
    folder = model_folder(model)
    wanted = set(fail_on or ())
    if FailOn.REGRESSION in wanted and compare is None:
        raise DataError("--fail-on regression: needs --compare")
    targets = _targets(budget, hop)
    samples = None
    if recording is not None:
        samples, _ = read_recording(recording, units=units, time_unit=time_unit, options=reading)
    settings, whole = (
        settings_for(targets, hop_s=hop, smoothing=smoothing, quick=shortened) for shortened in (quick, False)
    )
    undecidable = [name for name in too_short(targets, settings) if name not in too_short(targets, whole)]
    if undecidable:
        names = ", ".join(undecidable)
        err.print(f"--quick makes too few decisions for: {names}. Run without --quick to decide them.")
    with progress() as on_progress:
        record = run_benchmark(
            folder,
            out_dir,
            budget=targets,
            recording=samples,
            settings=settings,
            compare_with=compare,
            timezone=timezone,
            adaptation=adaptation,
            on_progress=on_progress,
        )
    err.print(_verdicts(record))
    html = render_feasibility(record, out_dir / REPORT_FILE)
    err.print(f"report: {html}", soft_wrap=True)
    typer.echo(json.dumps(record.model_dump(mode="json"), ensure_ascii=False, allow_nan=False))
    if wanted & _found(record):
        raise typer.Exit(FAILED)


def _targets(file: Path | None, hop_s: float | None) -> Budget:
    """Return the targets of a file, or the built-in ones at the hop that is measured."""
    from patchtst_har.benchmark.budget import Budget

    if file is not None:
        return Budget.load(file)
    return Budget() if hop_s is None else Budget().at_hop(hop_s)


def _found(record: FeasibilityRecord) -> set[FailOn]:
    found = set()
    if any(target.verdict == "not feasible" for target in record.targets):
        found.add(FailOn.NOT_FEASIBLE)
    if any(target.verdict == "undecided" for target in record.targets):
        found.add(FailOn.UNDECIDED)
    if record.comparison is not None and record.comparison.regressions:
        found.add(FailOn.REGRESSION)
    return found


def _verdicts(record: FeasibilityRecord) -> Table:
    table = Table(title=f"Real-time feasibility of {record.title}, {record.scope}")
    for title in ("target", "verdict", "why"):
        table.add_column(title)
    for target in record.targets:
        table.add_row(target.name, target.outcome, "\n".join(target.reasons))
    compared = record.comparison
    if compared is not None:
        table.caption = (
            f"{compared.regressions} slower, {compared.improvements} faster of "
            f"{len(compared.changes)} comparisons with {compared.saved}"
        )
    return table
