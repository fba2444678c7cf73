"""``patchtst-har prepare``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from patchtst_har.cli import options
from patchtst_har.cli.console import configure, label_map, out, progress, resumable, start_logging, warn
from patchtst_har.cli.reading import reads_recordings
from patchtst_har.data.formats import FORMATS
from patchtst_har.data.options import ReadOptions
from patchtst_har.errors import DataError

if TYPE_CHECKING:
    from patchtst_har.datasets.prepared import PreparedDataset

HELP = "Cut annotated recordings into windows that `train` can use."
CAPTURE24 = "capture24"


@reads_recordings
def run(
    recordings: Annotated[
        list[Path],
        typer.Argument(
            metavar="[capture24] FOLDER",
            help=f"Folder of recordings ({', '.join(FORMATS)}), one per participant; "
            "behind the word capture24, the folder of CAPTURE-24 as it is published.",
        ),
    ],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder of the prepared data set; must be new.")],
    labels: options.Labels = None,
    label_column: options.LabelColumn = None,
    schema: Annotated[
        str | None,
        typer.Option(
            help="With capture24: the classes, a column of its dictionary, such as Walmsley2020, "
            "Willetts2018, WillettsSpecific2018, WillettsMET2018, Doherty2018, DohertySpecific2018."
        ),
    ] = None,
    on_error: Annotated[
        options.OnError,
        typer.Option(help="raise: stop at a bad recording; record: note it in the manifest and go on."),
    ] = "raise",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a prepared data set that is already there.")
    ] = False,
    units: options.Units = None,
    time_unit: options.TimeUnit = None,
    strict: options.Strict = False,
    config: options.Config = None,
    overrides: options.Set = None,
    verbose: options.Verbose = False,
    *,
    reading: ReadOptions,
) -> None:
    """Run the command."""
    from patchtst_har.data.recording import read_recording
    from patchtst_har.datasets.capture24 import DICTIONARY, prepare_capture24, schemas
    from patchtst_har.datasets.prepare import prepare_recordings
    from patchtst_har.support.progress import under

    start_logging(verbose)
    folder, is_capture24 = _folder(recordings, schema)
    settings, _ = configure(config, overrides)
    prepare: Callable[..., PreparedDataset]
    if is_capture24:
        if labels is not None or label_column is not None:
            raise typer.BadParameter(
                "capture24 takes classes from its own dictionary (--schema), not --labels"
            )
        if schema is None:
            raise DataError(f"--schema: is missing ({folder / DICTIONARY} has {', '.join(schemas(folder))})")
        prepare = partial(prepare_capture24, folder, out_dir, schema)
    else:
        if labels is None and on_error == "raise" and (folder / DICTIONARY).is_file():
            raise DataError(
                f"{folder}: has the layout of CAPTURE-24; prepare capture24 {folder} --schema ... reads it"
            )
        prepare = partial(prepare_recordings, folder, out_dir, label_map=label_map(labels, label_column))
    interrupted = "the same command goes on with the recordings that are left"
    with progress() as on_progress, resumable(interrupted):
        dataset = prepare(
            config=settings.data,
            reader=partial(read_recording, units=units, time_unit=time_unit, strict=strict, options=reading),
            on_error=on_error,
            overwrite=overwrite,
            on_progress=under("recordings", on_progress),
        )
    _show(dataset, as_published=is_capture24)
    out.print(f"prepared data set: {out_dir}", soft_wrap=True)
    out.print(f"to train on it:    patchtst-har train --set data.proc_dir={out_dir}", soft_wrap=True)


def _folder(given: list[Path], schema: str | None) -> tuple[Path, bool]:
    """Return the folder, and whether it is CAPTURE-24's; a folder may have that name without being it."""
    if len(given) == 1:
        (folder,) = given
        if schema is not None:
            raise typer.BadParameter("--schema belongs to: prepare capture24 FOLDER --schema NAME")
        if folder == Path(CAPTURE24) and not folder.exists():
            raise typer.BadParameter("capture24 needs the data set's folder: prepare capture24 FOLDER")
        return folder, False
    if len(given) != 2 or given[0] != Path(CAPTURE24):
        raise typer.BadParameter("one folder is prepared: FOLDER, or capture24 FOLDER")
    return given[1], True


def _show(dataset: PreparedDataset, *, as_published: bool) -> None:
    """Say what is in the data set, and what of the recordings is not."""
    from patchtst_har.data.units import UNUSABLE
    from patchtst_har.datasets.prepare import (
        count_dropped,
        count_unusable,
        count_windows,
        count_without_class,
        not_calibrated,
    )

    out.print(f"{len(dataset.participants)} participants, classes: {', '.join(dataset.classes)}")
    windows, lost = count_windows(dataset)
    out.print("windows: " + ", ".join(f"{name} {n}" for name, n in windows.items()))
    unusable = count_unusable(dataset)
    if as_published:
        dropped = ", ".join(f"{name} {n:,}" for name, n in count_dropped(dataset).items())
        out.print(f"windows left out: {dropped or 'none'}")
        if unusable["n_zero"]:
            warn([f"{unusable['n_zero']:,} samples are exactly zero and stay in the windows, as published"])
    elif texts := [f"{n:,} {UNUSABLE[name]}" for name, n in unusable.items() if n]:
        warn([f"samples left out: {'; '.join(texts)}"])
    without_class, n_people = count_without_class(dataset)
    if without_class:
        n_samples, names = sum(without_class.values()), ", ".join(map(repr, without_class))
        warn([f"{n_samples:,} samples of {n_people} participants have annotations without a class: {names}"])
    warn(f"{participant}: {doubt}" for participant, doubt in not_calibrated(dataset).items())
    if lost:
        warn([f"no window carries {', '.join(lost)}: their bouts are too short for a window"])
    warn(f"{participant} could not be used: {reason}" for participant, reason in dataset.failures.items())
