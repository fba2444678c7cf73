"""``patchtst-har pretrain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from patchtst_har.cli.console import (
    ConfigOption,
    PresetOption,
    SetOption,
    VerboseOption,
    configure,
    out,
    progress,
    resumable,
    start_logging,
)

HELP = "Train an encoder on windows without labels, for `train --init`."


def run(
    data: Annotated[
        list[Path], typer.Argument(metavar="DATA...", help="Prepared data sets; their labels are not used.")
    ],
    out_dir: Annotated[Path, typer.Option("--out", "--output", help="Model folder to write.")],
    config: ConfigOption = None,
    overrides: SetOption = None,
    preset: PresetOption = None,
    mask_fraction: Annotated[
        float, typer.Option(help="Part of the samples that is hidden and predicted.")
    ] = 0.4,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after an interruption.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a model that is already there.")
    ] = False,
    verbose: VerboseOption = False,
) -> None:
    """Run the command."""
    from patchtst_har.training.fitting import fit_to_data
    from patchtst_har.training.pretraining import MaskedPretraining

    start_logging(verbose)
    if resume and overwrite:
        raise typer.BadParameter("--resume goes on with a run, --overwrite begins it again")
    settings = configure(config, overrides, preset, "base")
    settings = settings.replace(data=settings.data.replace(proc_dir=data[0]))
    settings, _ = fit_to_data(settings)
    with progress() as on_progress, resumable():
        made = MaskedPretraining(
            settings,
            data,
            out_dir,
            mask_fraction=mask_fraction,
            resume=resume,
            overwrite=overwrite,
            on_progress=on_progress,
        ).train()
    out.print(
        f"loss on hidden samples: {made.loss:.3f} (zeros in place of the prediction: {made.zero_loss:.3f})"
    )
    out.print(f"encoder:   {out_dir}", soft_wrap=True)
    out.print(f"to use it: patchtst-har train --init {out_dir}", soft_wrap=True)
