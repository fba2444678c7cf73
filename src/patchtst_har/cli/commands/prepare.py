"""``patchtst-har prepare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from patchtst_har.cli.console import (
    ConfigOption,
    SetOption,
    VerboseOption,
    configure,
    out,
    progress,
    start_logging,
)


def run(
    recordings: Annotated[
        Path, typer.Argument(help="Folder of recordings (CSV, CSV.GZ, Parquet or NPZ), one a participant.")
    ],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder of the prepared data set; must be new.")],
    labels: Annotated[
        Path | None, typer.Option(help="CSV that maps annotations to classes (column 'annotation').")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Column of --labels to use, for example 'label:Walmsley2020'.")
    ] = None,
    on_error: Annotated[
        Literal["raise", "record"],
        typer.Option(help="raise: stop at a bad recording; record: note it in the manifest and go on."),
    ] = "raise",
    config: ConfigOption = None,
    overrides: SetOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Cut annotated recordings into calibrated windows that `train` can use."""
    from patchtst_har.data.label_map import LabelMap
    from patchtst_har.data.prepare import prepare_recordings
    from patchtst_har.data.progress import under

    start_logging(verbose)
    settings = configure(config, overrides)
    if (labels is None) != (label_column is None):
        raise typer.BadParameter("--labels and --label-column go together")
    label_map = None if labels is None or label_column is None else LabelMap.from_csv(labels, label_column)
    with progress() as on_progress:
        dataset = prepare_recordings(
            recordings,
            out_dir,
            settings.data,
            label_map=label_map,
            on_error=on_error,
            on_progress=under("recordings", on_progress),
        )
    out.print(f"{len(dataset.participants)} participants, classes: {', '.join(dataset.classes)}")
    out.print(f"prepared data set: {out_dir}", soft_wrap=True)
