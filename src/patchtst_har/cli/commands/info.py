"""``patchtst-har info``."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Table

from patchtst_har.cli.console import out

HELP = "Show versions, processor, devices, formats, models and plug-ins: what to put into a bug report."


def run(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Run the command."""
    from patchtst_har.data.formats import known_suffixes
    from patchtst_har.features.plugins import feature_origins
    from patchtst_har.pretrained import pretrained_folders
    from patchtst_har.reproducibility import environment

    formats = ", ".join(known_suffixes())
    shipped = ", ".join(pretrained_folders()) or "none"
    facts = {**environment(), "recording_formats": formats, "shipped_models": shipped}
    facts["plugins"] = feature_origins()
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    table = Table(show_header=False)
    facts |= {f"plug-in {name}": origin for name, origin in facts.pop("plugins").items()}
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), str(value))
    out.print(table)
