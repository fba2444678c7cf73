"""``patchtst-har runs``: what was trained, and how it compares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from patchtst_har.cli.console import out, warn
from patchtst_har.cli.help import Command, Group
from patchtst_har.support.formatting import counted, metric_text, score

if TYPE_CHECKING:
    from patchtst_har.records.stored_run import StoredRun
    from patchtst_har.reports.comparison import Comparison, Paired

HELP = "List the runs in a folder, show one, or compare several."

app = typer.Typer(cls=Group, no_args_is_help=True, help=HELP)

_HEADLINES = {"macro F1": "final_macro_f1", "accuracy": "final_accuracy"}
Root = Annotated[Path, typer.Option("--root", help="Folder of the run folders.")]
_RUN = "Run folder, or its name within --root"


@app.command("list", cls=Command, help="List run folders, the latest first; what is none is named.")
def list_runs(
    root: Root = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Run the command."""
    from patchtst_har.records.stored_run import find_runs

    runs, skipped = find_runs(root)
    warn(f"skipped: {reason}" for reason in skipped)
    if as_json:
        typer.echo(json.dumps([_document(run) for run in runs], indent=2))
        return
    table = Table(caption=f"{root}: {counted(len(runs), 'run', 'runs')}", box=SIMPLE_HEAD, pad_edge=False)
    for title in ("name", "data set", "scored on"):
        table.add_column(title, overflow="fold")
    for title in ("began", "state"):
        table.add_column(title, no_wrap=True)
    for title in ("epochs", *_HEADLINES):
        table.add_column(title.replace(" ", "\n"), justify="right", no_wrap=True)
    for run in runs:
        of = "" if run.most_epochs is None else f"/{run.most_epochs}"
        table.add_row(
            run.folder.name,
            Path(run.data_dir).name,
            run.scored_on,
            f"{run.began:%Y-%m-%d}",
            run.state,
            f"{run.n_epochs}{of}",
            *(score(run.final.get(name)) for name in _HEADLINES.values()),
        )
    out.print(table)


@app.command("show", cls=Command, help="Show one run: state, data, people, scores, environment, files.")
def show(
    run: Annotated[str, typer.Argument(metavar="RUN", help=f"{_RUN}.")],
    root: Root = Path("runs"),
) -> None:
    """Run the command."""
    from patchtst_har.records.stored_run import find_run
    from patchtst_har.reports.rendering import facts, flatten

    found = find_run(run, root)
    # All is read before the first line is printed: what is damaged is refused.
    _ = found.evaluation, found.cross_validation, found.history
    rows = {key: value for key, value in _document(found).items() if key not in ("scores", "people")}
    rows |= {f"people, {part}": names for part, names in _document(found)["people"].items()}
    files = sorted(path.name + "/" * path.is_dir() for path in found.folder.iterdir() if path.name[0] != ".")
    tables = {
        f"Run {found.folder}": {**dict(flatten(rows)), "files": ", ".join(files)},
        "Scores": {name: metric_text(name, value, 3) for name, value in found.final.items()},
        "Environment": dict(facts(found.environment)),
        "Settings": dict(flatten(found.settings)),
    }
    for title, values in tables.items():
        table = Table(title=title, show_header=False, title_justify="left")
        table.add_column(overflow="fold")
        table.add_column(overflow="fold")
        for name, text in values.items():
            table.add_row(name, text)
        if values:
            out.print(table)


@app.command(
    "compare",
    cls=Command,
    help="Compare runs: settings that differ, scores, differences on participants held out in both.",
)
def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN", help=f"{_RUN}; differences are to the first.")],
    root: Root = Path("runs"),
    page: Annotated[
        Path | None, typer.Option("--out", help="Also write an HTML page, with learning curves.")
    ] = None,
) -> None:
    """Run the command."""
    from patchtst_har.records.stored_run import find_run
    from patchtst_har.reports.comparison import Comparison, write_comparison

    comparison = Comparison.of([find_run(name, root) for name in runs])
    written = None if page is None else write_comparison(comparison, page)
    for title, rows in (("Settings that differ", comparison.settings), ("Scores", comparison.scores)):
        out.print(_table(title, comparison, rows) if rows else f"{title}: none")
    for paired in comparison.paired:
        for line in _difference(comparison.reference, paired):
            out.print(line, soft_wrap=True)
    if written is not None:
        out.print(f"page: {written}", soft_wrap=True)


def _document(run: StoredRun) -> dict[str, Any]:
    known = run.provenance
    return {
        "folder": str(run.folder),
        "name": run.name,
        "state": run.state,
        "began": run.began.isoformat(timespec="seconds"),
        "data": run.data_dir,
        "data_fingerprint": None if known is None else known.data_fingerprint,
        "epochs": run.n_epochs,
        "epochs_asked_for": run.most_epochs,
        "people": {} if known is None else known.split.model_dump(mode="json", exclude={"fingerprint"}),
        "scored_on": run.scored_on,
        "scores": run.final,
    }


def _table(title: str, comparison: Comparison, rows: list[tuple[str, list[str]]]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("", overflow="fold")
    for label in comparison.runs:
        table.add_column(label, overflow="fold", justify="right")
    for name, values in rows:
        table.add_row(name, *values)
    return table


def _difference(reference: str, paired: Paired) -> list[str]:
    from patchtst_har.evaluation.metrics import BY_PARTICIPANT
    from patchtst_har.reports.rendering import signed

    head, pairing = f"{paired.label} minus {reference}", paired.pairing
    if pairing is None:
        return [f"{head}: not compared: {paired.reason}"]
    who = counted(len(pairing.each), "participant", "participants")
    lines = [f"{head}, {who} held out in both, intervals of 95 %:"]
    lines += [
        f"  {metric.title}: {signed(pairing.pooled['smoothed'][name])}, "
        f"window by window {signed(pairing.pooled['raw'][name])}"
        for name, metric in BY_PARTICIPANT.items()
    ]
    lines += [f"  note: {remark}" for remark in pairing.remarks]
    lines += [f"  left out: {name}: {how}" for name, how in pairing.left_out.items()]
    return lines
