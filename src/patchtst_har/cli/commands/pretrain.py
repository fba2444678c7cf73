"""``patchtst-har pretrain``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from patchtst_har.cli import options
from patchtst_har.cli.console import configure, out, progress, resumable, start_logging

HELP = "Train an encoder for `train --init` on several data sets, by default without labels."


def run(
    data: Annotated[
        list[Path],
        typer.Argument(metavar="DATA", help="Prepared data sets; used without labels unless --supervised."),
    ],
    out_dir: Annotated[Path, typer.Option("--out", "--output", help="Model folder to write.")],
    config: options.Config = None,
    overrides: options.Set = None,
    preset: options.Preset = None,
    supervised: Annotated[
        bool, typer.Option("--supervised", help="Learn the labels, with heads for each data set.")
    ] = False,
    mask_fraction: Annotated[
        float | None, typer.Option(help="Part of the samples that is hidden and predicted; 0.4 if left out.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after an interruption.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a model that is already there.")
    ] = False,
    verbose: options.Verbose = False,
) -> None:
    """Run the command."""
    from patchtst_har.training.fitting import fit_to_data
    from patchtst_har.training.masked_pretraining import MaskedPretraining
    from patchtst_har.training.pretraining import EncoderPretraining, SupervisedPretraining

    start_logging(verbose)
    if "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        if os.environ.get("RANK") != "0":
            raise typer.Exit(2)
        raise typer.BadParameter("pretrain works in one process; start it without torchrun")
    if resume and overwrite:
        raise typer.BadParameter("--resume goes on with a run, --overwrite begins it again")
    if supervised and mask_fraction is not None:
        raise typer.BadParameter("--mask-fraction: nothing is hidden with --supervised")
    settings, preset_text = configure(config, overrides, preset, "base")
    settings = settings.replace(data=settings.data.replace(proc_dir=data[0]))
    settings, _ = fit_to_data(settings)
    out.print(f"preset: {preset_text}", soft_wrap=True)
    kind: type[EncoderPretraining] = SupervisedPretraining if supervised else MaskedPretraining
    extra: dict[str, Any] = {} if mask_fraction is None else {"mask_fraction": mask_fraction}
    with progress() as on_progress, resumable():
        made = kind(
            config=settings,
            folders=data,
            output=out_dir,
            resume=resume,
            overwrite=overwrite,
            on_progress=on_progress,
            **extra,
        ).train()
    if made.zero_loss is None:
        out.print(f"macro F1 over the classes of all data sets: {made.macro_f1:.3f}")
    else:
        out.print(f"loss on hidden samples: {made.loss:.3f} (zeros as the prediction: {made.zero_loss:.3f})")
    out.print(f"encoder:   {out_dir}", soft_wrap=True)
    out.print(f"to use it: patchtst-har train --init {out_dir}", soft_wrap=True)
