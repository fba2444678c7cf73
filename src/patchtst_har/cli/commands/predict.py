"""``patchtst-har predict``."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from patchtst_har.cli import options
from patchtst_har.cli.console import err, out, progress, start_logging, warn
from patchtst_har.cli.models import introduction, model_folder
from patchtst_har.cli.reading import reads_recordings
from patchtst_har.data.formats import FORMATS
from patchtst_har.data.options import ReadOptions
from patchtst_har.pretrained import shown_name
from patchtst_har.support.termination import Terminated

if TYPE_CHECKING:
    import pandas as pd

    from patchtst_har.cohort import CohortResult, LabelOptions, Outputs

HELP = """Label recordings: one file, or many at once.

One file: labels, windows, days and bouts as CSV, a summary as JSON, a picture and a report.

Several files, a folder, a glob in quotes or --list: labels, days, bouts and a summary of each,
one table of all, a page.
The same command goes on after an interruption. Exit status 3: some recordings failed (failures.csv)."""

_PANEL = "Many recordings"
_FAILED = 3


@reads_recordings
def run(
    recordings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RECORDING",
            help=f"Recording ({', '.join(FORMATS)}), folder with all folders in it, or glob in quotes.",
            show_default=False,
        ),
    ] = None,
    model: options.DefaultModelOption = None,
    out_dir: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the results; left out: here, or of many recordings ./cohort."),
    ] = None,
    smoothing: options.OfflineSmoothing = None,
    adaptation: options.Adaptation = None,
    report: Annotated[
        bool | None,
        typer.Option(
            "--report/--no-report", help="Draw picture and report. Left out: of one file, not of many."
        ),
    ] = None,
    windows: Annotated[
        bool | None,
        typer.Option(
            "--windows/--no-windows",
            help="Write the table of windows with all probabilities. Left out: of one file, not of many.",
        ),
    ] = None,
    table: Annotated[
        Literal["csv", "parquet"],
        typer.Option("--format", help="Of labels, windows, and the table of recordings."),
    ] = "csv",
    units: options.Units = None,
    time_unit: options.TimeUnit = None,
    timezone: options.Timezone = None,
    strict: options.Strict = False,
    calibration: Annotated[
        Literal["off", "auto", "require"] | None,
        typer.Option(
            help="Scale and offset of the axes from moments at rest: off; auto: where the recording allows "
            "it; require: otherwise refuse. As the model was trained if left out.",
        ),
    ] = None,
    non_wear: Annotated[
        Literal["auto", "off"] | None,
        typer.Option(
            help="auto: in recordings of more than an hour, time without wear is labelled non_wear and not "
            "classified; off. As the model says if left out (auto).",
        ),
    ] = None,
    list_file: Annotated[
        Path | None,
        typer.Option(
            "--list",
            help="File with one path per line, or CSV with columns path and name; relative to its folder.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(min=0, help="Processes, one thread each; 0: this process.", rich_help_panel=_PANEL),
    ] = 0,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Label on a Dask cluster: tcp://HOST:PORT of the scheduler, or its scheduler file.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Label every N-th recording from the I-th on, without tables; the same command without "
            "--shard collates.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Label again what another model, version or other options labelled in this folder.",
            rich_help_panel=_PANEL,
        ),
    ] = False,
    min_wear_hours: options.MinWearHours = 16.0,
    inactive: options.Inactive = None,
    bout_minutes: options.BoutMinutes = 1.0,
    verbose: options.Verbose = False,
    *,
    reading: ReadOptions,
) -> None:
    """Run the command."""
    from patchtst_har.cohort import LabelOptions, Outputs
    from patchtst_har.cohort.sources import is_single_file, parse_shard
    from patchtst_har.summaries import BoutRules, SummaryRules

    start_logging(verbose)
    given = recordings or []
    named = None if inactive is None else tuple(name.strip() for name in inactive.split(","))
    chosen = LabelOptions(
        units=units,
        time_unit=time_unit,
        strict=strict,
        reading=reading,
        timezone=timezone,
        smoothing=smoothing,
        adaptation=adaptation,
        calibration=calibration,
        non_wear=non_wear,
        summaries=SummaryRules(min_wear_hours, named, BoutRules(min_minutes=bout_minutes)),
    )
    many = list_file is not None or workers or dask is not None or shard is not None or overwrite
    if is_single_file(given) and not many:
        outputs = Outputs(table, windows is not False, report is not False)
        _label_file(Path(given[0]), model, out_dir or Path(), chosen, outputs)
        return
    if not given and list_file is None:
        raise typer.BadParameter("name a recording, a folder, a glob in quotes or --list")
    if workers and dask is not None:
        raise typer.BadParameter("--workers and --dask exclude each other")
    result = _label_many(
        given,
        list_file,
        out_dir or Path("cohort"),
        model=model,
        chosen=chosen,
        outputs=Outputs(table, bool(windows), bool(report)),
        workers=workers,
        dask=dask,
        shard=None if shard is None else parse_shard(shard),
        overwrite=overwrite,
    )
    out.print(f"model:     {shown_name(model_folder(model))}", soft_wrap=True)
    _print_result(result)
    if result.failures:
        raise typer.Exit(_FAILED)


def _label_file(
    recording: Path, model: str | None, out_dir: Path, chosen: LabelOptions, outputs: Outputs
) -> None:
    from patchtst_har.data.units import SignalWarning
    from patchtst_har.inference.label_file import label_with
    from patchtst_har.reports.prediction_files import check_pyarrow, write_prediction
    from patchtst_har.support.files import check_writable

    folder = model_folder(model)
    recognizer = chosen.recognizer(folder)
    check_writable(out_dir)
    if outputs.table == "parquet":
        check_pyarrow()
    # The warnings are among those of the labelled file, printed below.
    with progress() as on_progress, warnings.catch_warnings(action="ignore", category=SignalWarning):
        labelled = label_with(recognizer, folder, recording, reader=chosen.reader(), on_progress=on_progress)
    written = write_prediction(
        out_dir,
        labelled,
        report=outputs.report,
        windows=outputs.windows,
        table=outputs.table,
        rules=chosen.summaries,
    )
    warn(labelled.warnings)
    facts = labelled.model_info
    line = introduction(folder, labelled.classes, facts["trained_on"], named=model is not None)
    out.print(f"model:     {line}", soft_wrap=True)
    if "adapted_to" in facts:
        out.print(f"adapted:   {facts['adapted_to']}", soft_wrap=True)
    for kind, path in vars(written).items():
        if path is not None:
            out.print(f"{kind + ':':10s} {path}", soft_wrap=True)
    _print_totals(labelled.timeline, labelled.classes)


def _print_totals(timeline: pd.DataFrame, classes: tuple[str, ...]) -> None:
    """Print the minutes of each class that occurs, its share of the labelled time, and non-wear."""
    from patchtst_har.summaries.rows import is_unworn

    minutes, unworn = (timeline["end"] - timeline["start"]).dt.total_seconds() / 60, is_unworn(timeline)
    totals = minutes[~unworn].groupby(timeline["label"]).sum()
    rows = [(name, totals[name], f"{totals[name] / totals.sum():6.1%}") for name in classes if name in totals]
    if unworn.any():
        rows.append(("not worn", minutes[unworn].sum(), ""))
    width = max(len(name) for name, _, _ in rows)
    for number, (name, total, share) in enumerate(rows):
        head = "" if number else "total:"
        out.print(f"{head:10s} {name:{width}s} {total:9,.1f} min {share}".rstrip(), soft_wrap=True)


def _label_many(
    given: list[str],
    list_file: Path | None,
    out_dir: Path,
    *,
    model: str | None,
    chosen: LabelOptions,
    outputs: Outputs,
    workers: int,
    dask: str | None,
    shard: tuple[int, int] | None,
    overwrite: bool,
) -> CohortResult:
    from patchtst_har.cohort import label_recordings
    from patchtst_har.cohort.dask_cluster import dask_executor

    folder = model_folder(model)
    try:
        with ExitStack() as opened:
            executor = None if dask is None else opened.enter_context(dask_executor(dask))
            on_progress = opened.enter_context(progress())
            return label_recordings(
                given,
                out_dir,
                list_file=list_file,
                shard=shard,
                model=folder,
                options=chosen,
                outputs=outputs,
                workers=workers,
                executor=executor,
                overwrite=overwrite,
                on_progress=on_progress,
            )
    except (KeyboardInterrupt, Terminated):
        err.print(
            "patchtst-har: interrupted; finished recordings are kept, and the same command goes on with the "
            "others, then writes the tables",
            soft_wrap=True,
        )
        raise


def _print_result(result: CohortResult) -> None:
    before = f" ({result.n_finished_before:,} of them before)" if result.n_finished_before else ""
    out.print(f"labelled:  {result.n_labelled:,}{before}")
    if result.failures:
        out.print(f"failed:    {len(result.failures):,}")
        warn(f"{failure.recording or failure.source}: {failure.reason}" for failure in result.failures[:10])
        if len(result.failures) > 10:
            warn([f"and {len(result.failures) - 10:,} more"])
    if result.files is not None:
        files = result.files
        kinds = {"table": files.table, **files.collated, "failures": files.failures, "page": files.page}
        for kind, path in kinds.items():
            out.print(f"{kind + ':':10s} {path}", soft_wrap=True)
