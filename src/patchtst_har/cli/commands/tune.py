"""``patchtst-har tune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from patchtst_har.cli import options
from patchtst_har.cli.console import configured, err, out, progress, start_logging
from patchtst_har.errors import ConfigError, MissingDependencyError
from patchtst_har.support.formatting import counted, readable, score
from patchtst_har.support.settings import read_yaml
from patchtst_har.support.termination import Terminated

HELP = "Search for settings: train many variants, score them on the validation participants, keep the best."


def run(
    config: Annotated[
        Path,
        typer.Option("--config", "-c", help="YAML configuration whose section 'search' says what varies."),
    ],
    overrides: options.Set = None,
    preset: options.Preset = None,
    trials: Annotated[
        int,
        typer.Option(min=1, max=1_000_000, help="Trials of the whole search, of all processes and sessions."),
    ] = 40,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="SQLite file of the trials: sqlite:///PATH or PATH. Processes with one file share the work, "
            "an interrupted search goes on. Left out: search.db in --out.",
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder of the results. Left out: runs/NAME-tune.")
    ] = None,
    pruner: Annotated[
        Literal["median", "hyperband", "none"],
        typer.Option(help="What stops trials that are worse than others after as many epochs."),
    ] = "median",
    seeds: Annotated[
        int,
        typer.Option(min=1, max=1000, help="Trainings of each trial, with different seeds; the mean counts."),
    ] = 1,
    sampler_seed: Annotated[int, typer.Option(min=0, max=2**31, help="Seed of what is tried.")] = 0,
    verbose: options.Verbose = False,
) -> None:
    """Run the command."""
    start_logging(verbose)
    values = read_yaml(config)
    space_values = values.pop("search", None)
    if space_values is None:
        raise ConfigError(["search: is missing: a section that says which fields vary"], str(config))
    settings, preset_text = configured(values, str(config), overrides, preset, "base")
    try:
        from patchtst_har.search.study import Search, SearchOptions
    except ImportError as error:
        raise MissingDependencyError(
            f"tune: needs the extra tune: pip install 'patchtst-har[tune]' ({error})"
        ) from error
    from patchtst_har.records.search import SEARCH_FILE
    from patchtst_har.reports.search import write_search_report
    from patchtst_har.search.space import Space
    from patchtst_har.support.files import atomic_write_json, ensure_folder
    from patchtst_har.support.sqlite import sqlite_path
    from patchtst_har.training.fitting import fit_to_data

    folder = folder or settings.output_dir / f"{settings.experiment_name}-tune"
    try:
        database = folder / "search.db" if storage is None else sqlite_path(storage)
    except ValueError as error:
        raise ConfigError([f"--storage: {error}"]) from None
    settings, _ = fit_to_data(settings)
    space = Space.read(space_values, settings, str(config))
    asked = SearchOptions(trials, pruner, seeds, sampler_seed)
    search = Search(settings, space, database, asked)
    ensure_folder(folder)
    out.print(f"preset: {preset_text}", soft_wrap=True)
    try:
        with progress() as on_progress:
            search.run(on_progress)
    except (KeyboardInterrupt, Terminated):
        err.print("patchtst-har: interrupted; the same command goes on with the search", soft_wrap=True)
        raise
    record, best = search.record(), search.best_config()
    atomic_write_json(folder / SEARCH_FILE, record.to_json())
    page = write_search_report(record, folder / "tune.html")
    if best is None or record.best_trial is None:
        out.print(f"other processes are at work; report so far: {page}", soft_wrap=True)
        return
    best.save(folder / "best.yaml")
    done = sum(trial.state in ("complete", "pruned") for trial in record.trials)
    whom = counted(len(record.val), "validation participant", "validation participants")
    out.print(
        f"trial {record.best} of {counted(done, 'trial', 'trials')} is the best: macro F1 "
        f"{score(record.best_trial.score)} on {whom}",
        soft_wrap=True,
    )
    for name, value in record.best_trial.settings.items():
        out.print(f"  {name}: {readable(value)}", soft_wrap=True)
    out.print(f"report: {page}\nthe best: patchtst-har train --config {folder / 'best.yaml'}", soft_wrap=True)
