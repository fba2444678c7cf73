"""``patchtst-har report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from patchtst_har.cli.console import out

HELP = "Write report.html of a run folder again, from its stored records."


def run(run_dir: Annotated[Path, typer.Argument(help="Run folder, for example runs/demo.")]) -> None:
    """Run the command."""
    from patchtst_har.reports.run import render_report

    out.print(f"report: {render_report(run_dir)}", soft_wrap=True)
