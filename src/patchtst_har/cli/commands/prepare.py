"""``patchtst-har prepare``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from patchtst_har.cli import options
from patchtst_har.cli.console import configure, label_map, out, progress, start_logging, warn
from patchtst_har.cli.reading import reads_recordings
from patchtst_har.data.formats import FORMATS
from patchtst_har.data.options import ReadOptions

HELP = "Cut annotated recordings into windows that `train` can use."


@reads_recordings
def run(
    recordings: Annotated[
        Path, typer.Argument(help=f"Folder of recordings ({', '.join(FORMATS)}), one per participant.")
    ],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder of the prepared data set; must be new.")],
    labels: options.Labels = None,
    label_column: options.LabelColumn = None,
    on_error: Annotated[
        Literal["raise", "record"],
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
    from patchtst_har.data.units import UNUSABLE
    from patchtst_har.datasets.prepare import (
        count_unusable,
        count_windows,
        not_calibrated,
        prepare_recordings,
    )
    from patchtst_har.support.progress import under

    start_logging(verbose)
    settings, _ = configure(config, overrides)
    mapping = label_map(labels, label_column)
    with progress() as on_progress:
        dataset = prepare_recordings(
            recordings,
            out_dir,
            settings.data,
            label_map=mapping,
            reader=partial(read_recording, units=units, time_unit=time_unit, strict=strict, options=reading),
            on_error=on_error,
            overwrite=overwrite,
            on_progress=under("recordings", on_progress),
        )
    out.print(f"{len(dataset.participants)} participants, classes: {', '.join(dataset.classes)}")
    windows, lost = count_windows(dataset)
    out.print("windows: " + ", ".join(f"{name} {n}" for name, n in windows.items()))
    unusable = [f"{n:,} {UNUSABLE[name]}" for name, n in count_unusable(dataset).items() if n]
    if unusable:
        warn([f"samples left out: {'; '.join(unusable)}"])
    warn(f"{participant}: {doubt}" for participant, doubt in not_calibrated(dataset).items())
    if lost:
        warn([f"no window carries {', '.join(lost)}: their bouts are too short for a window"])
    warn(f"{participant} could not be used: {reason}" for participant, reason in dataset.failures.items())
    out.print(f"prepared data set: {out_dir}", soft_wrap=True)
    out.print(f"to train on it:    patchtst-har train --set data.proc_dir={out_dir}", soft_wrap=True)
