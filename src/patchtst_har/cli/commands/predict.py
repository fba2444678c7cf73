"""``patchtst-har predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from patchtst_har.cli.console import VerboseOption, err, out, start_logging


def run(
    recording: Annotated[Path, typer.Argument(help="Recording: CSV, CSV.GZ, Parquet or NPZ.")],
    model: Annotated[Path, typer.Option("--model", "-m", help="Model folder.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the results.")] = Path(),
    units: Annotated[Literal["g", "m/s2", "mg"], typer.Option(help="Unit of the acceleration.")] = "g",
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a recording with an implausible unit.")
    ] = False,
    verbose: VerboseOption = False,
) -> None:
    """Label a recording: a CSV (start, end, label, probability), a timeline picture and a report."""
    from patchtst_har.evaluation.prediction_files import predict_file

    start_logging(verbose)
    with err.status(f"labelling {recording.name}"):
        written = predict_file(recording, model, out_dir, units=units, strict=strict)
    for kind, path in vars(written).items():
        out.print(f"{kind + ':':10s} {path}", soft_wrap=True)
