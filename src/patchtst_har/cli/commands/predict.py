"""``patchtst-har predict``."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from patchtst_har.cli import options
from patchtst_har.cli.console import out, progress, start_logging, warn
from patchtst_har.cli.models import introduction, model_folder
from patchtst_har.cli.reading import reads_recordings
from patchtst_har.data.formats import FORMATS
from patchtst_har.data.options import ReadOptions

HELP = "Label a recording: labels, windows, days and bouts as CSV, a summary as JSON, a picture and a report."


@reads_recordings
def run(
    recording: Annotated[Path, typer.Argument(help=f"Recording ({', '.join(FORMATS)}).")],
    model: options.DefaultModelOption = None,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the results.")] = Path(),
    smoothing: options.OfflineSmoothing = None,
    adaptation: options.Adaptation = None,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Draw picture and report.")] = True,
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
    min_wear_hours: options.MinWearHours = 16.0,
    inactive: options.Inactive = None,
    bout_minutes: options.BoutMinutes = 1.0,
    verbose: options.Verbose = False,
    *,
    reading: ReadOptions,
) -> None:
    """Run the command."""
    from patchtst_har.data import read_recording
    from patchtst_har.data.units import SignalWarning
    from patchtst_har.inference.label_file import label_file
    from patchtst_har.model_folder import read_model_folder
    from patchtst_har.reports.prediction_files import write_prediction
    from patchtst_har.summaries import BoutRules, SummaryRules
    from patchtst_har.support.files import check_writable

    start_logging(verbose)
    folder = model_folder(model)
    named = None if inactive is None else tuple(name.strip() for name in inactive.split(","))
    rules = SummaryRules(min_wear_hours, named, BoutRules(min_minutes=bout_minutes))
    if named is not None:
        rules.inactive_of(read_model_folder(folder).classes)
    reader = partial(read_recording, units=units, time_unit=time_unit, strict=strict, options=reading)
    check_writable(out_dir)
    # The warnings are among those of the labelled file, printed below.
    with progress() as on_progress, warnings.catch_warnings(action="ignore", category=SignalWarning):
        labelled = label_file(
            recording,
            folder,
            reader=reader,
            timezone=timezone,
            smoothing=smoothing,
            adaptation=adaptation,
            calibration=calibration,
            non_wear=non_wear,
            on_progress=on_progress,
        )
    written = write_prediction(out_dir, labelled, report=report, rules=rules)
    warn(labelled.warnings)
    facts = labelled.model_info
    line = introduction(folder, labelled.classes, facts["trained_on"], named=model is not None)
    out.print(f"model:     {line}", soft_wrap=True)
    if "adapted_to" in facts:
        out.print(f"adapted:   {facts['adapted_to']}", soft_wrap=True)
    for kind, path in vars(written).items():
        if path is not None:
            out.print(f"{kind + ':':10s} {path}", soft_wrap=True)
