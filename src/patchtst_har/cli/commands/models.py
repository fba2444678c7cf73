"""``patchtst-har models``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from patchtst_har.cli.console import out
from patchtst_har.errors import ModelFolderError
from patchtst_har.pretrained import SUMMARY_FILE, find_model, pretrained_folders, read_summary, score_text
from patchtst_har.records.pretrained import PretrainedModel

HELP = "List the models that the package ships, or show the card of one."


def run(
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="Show the card of this shipped model, or of a model folder."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Run the command."""
    if model is not None:
        _show(find_model(model), as_json=as_json)
        return
    shipped = {folder: _summary(folder) for folder in pretrained_folders().values()}
    if as_json:
        typer.echo(json.dumps([_document(summary, folder) for folder, summary in shipped.items()], indent=2))
        return
    if not shipped:
        raise ModelFolderError("this installation ships no model")
    out.print(_table(list(shipped.values())))


def _summary(folder: Path) -> PretrainedModel:
    summary = read_summary(folder)
    if summary is None:
        raise ModelFolderError(f"{folder / SUMMARY_FILE}: missing from the model folder")
    return summary


def _document(summary: PretrainedModel, folder: Path) -> dict[str, Any]:
    return {**summary.to_json(), "folder": str(folder)}


def _show(folder: Path, *, as_json: bool) -> None:
    """Print what a model says of itself."""
    from patchtst_har.inference.model_card import MODEL_CARD_FILE
    from patchtst_har.support.documents import MOST_YAML_BYTES, read_text

    if as_json:
        typer.echo(json.dumps(_document(_summary(folder), folder), indent=2))
        return
    path = folder / MODEL_CARD_FILE
    if not path.is_file():
        raise ModelFolderError(f"{path}: missing from the model folder")
    typer.echo(read_text(path, MOST_YAML_BYTES).rstrip("\n"))


def _table(shipped: list[PretrainedModel]) -> Table:
    caption = (
        "F1 on new people: macro F1 of windows, cross-validated, with its 95 % interval.\n"
        "patchtst-har models NAME shows the card of a model."
    )
    table = Table(caption=caption, show_lines=True)
    for title in ("name", "classes", "people", "F1 on new people", "licence"):
        table.add_column(title, overflow="fold")
    for summary in shipped:
        labels = summary.purpose == "labels"
        table.add_row(
            summary.name,
            ", ".join(summary.classes) if labels else "none: an encoder for fine-tuning",
            f"{summary.n_people} ({', '.join(part.name for part in summary.data)})",
            score_text(summary) or "none",
            summary.licence,
        )
    return table
