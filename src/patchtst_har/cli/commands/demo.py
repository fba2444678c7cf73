"""``patchtst-har demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from patchtst_har.cli import options
from patchtst_har.cli.console import out, progress, score_table, start_logging

HELP = (
    "Real smart-watch recordings to a trained model and a report, in a few minutes.\n\n"
    "Ten people, seven exercises; every person is held out once. Then the shipped model labels a simulated "
    'day. Needs the extra "demo".'
)


def run(
    out_dir: Annotated[Path, typer.Option("--out", help="Run folder.")] = Path("runs/demo"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier demonstration.")] = False,
    verbose: options.Verbose = False,
) -> None:
    """Run the command."""
    from patchtst_har.demo import run_demo

    start_logging(verbose)
    with progress() as on_progress:
        result = run_demo(out_dir, overwrite=overwrite, on_progress=on_progress)
    out.print(score_table("Every participant held out once", result.scores, result.scores.baselines))
    model = result.run_dir / "model"
    out.print(f"model:  {model}\nreport: {result.report}", soft_wrap=True)
    labelled, files = result.day.labelled, result.day.files
    out.print(
        f"simulated activities, labelled by the shipped model {labelled.model_info['model']}: "
        f"{result.day.n_as_simulated} of {len(labelled.windows)} windows as simulated; {files.report}",
        soft_wrap=True,
    )
    out.print(f"in real time on this machine: patchtst-har benchmark {model}", soft_wrap=True)
