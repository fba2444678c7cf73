"""``patchtst-har evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from patchtst_har.cli import options
from patchtst_har.cli.console import out, progress, score_table, start_logging, warn
from patchtst_har.config import Capture24Split

HELP = "Score a trained model on a prepared data set, raw and smoothed."


def run(
    data: Annotated[Path, typer.Argument(help="Folder of a prepared data set.")],
    model: options.ModelOption,
    participants: Annotated[
        str | None, typer.Option(help="Participants to judge, separated by commas; default: all.")
    ] = None,
    split: Annotated[
        Capture24Split | None,
        typer.Option(help="Judge the people on whom this split tests: P101 to P151 of CAPTURE-24."),
    ] = None,
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="Folder for evaluation.json and predictions.csv.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of the feature cache; default: in the data set's folder.")
    ] = None,
    smoothing: options.OfflineSmoothing = None,
    verbose: options.Verbose = False,
) -> None:
    """Run the command."""
    from patchtst_har.datasets.prepared import PreparedDataset
    from patchtst_har.datasets.splits import capture24_test
    from patchtst_har.evaluation.folder import evaluate_folder
    from patchtst_har.support.files import check_writable

    start_logging(verbose)
    names = None
    if participants is not None and split is not None:
        raise typer.BadParameter("--participants and --split exclude each other")
    if participants is not None:
        names = tuple(name.strip() for name in participants.split(",") if name.strip())
    elif split is not None:
        names = capture24_test(PreparedDataset.open(data).participants)
    if out_dir is not None:
        check_writable(out_dir)
    with progress() as on_progress:
        result = evaluate_folder(
            model, data, names, smoothing=smoothing, cache_dir=cache, on_progress=on_progress
        )
    warn(result.scores.warnings)
    title = f"{len(result.scores.participants)} participants, smoothing: {result.scores.smoothing}"
    out.print(score_table(title, result.scores, smoothed=result.scores.smoothing != "none"))
    if out_dir is not None:
        out.print(f"written: {result.write(out_dir)}", soft_wrap=True)
