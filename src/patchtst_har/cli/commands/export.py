"""``patchtst-har export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from patchtst_har.cli import options
from patchtst_har.cli.console import out, start_logging
from patchtst_har.cli.models import model_folder

HELP = "Write the model for another run time; the file must compute the same logits, or it is not kept."


def run(
    model: options.ModelArgument,
    target: Annotated[Path, typer.Option("--out", help="File to write, such as model.onnx.")],
    file_format: Annotated[
        Literal["onnx", "torch-export", "executorch"],
        typer.Option("--format", help="ONNX, a torch.export program (.pt2) or an ExecuTorch program (.pte)."),
    ] = "onnx",
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Return class probabilities in addition to the logits.")
    ] = False,
    check_on: Annotated[
        Path | None,
        typer.Option(help="Recording (in g) whose windows the file is checked on; default: made-up windows."),
    ] = None,
    adaptation: options.Adaptation = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    verbose: options.Verbose = False,
) -> None:
    """Run the command."""
    from patchtst_har.data import cut_windows, read_recording
    from patchtst_har.inference.export import export_model
    from patchtst_har.model_folder import read_model_folder

    start_logging(verbose)
    folder = model_folder(model)
    windows = start_ns = None
    if check_on is not None:
        cut = cut_windows(read_recording(check_on)[0], read_model_folder(folder).config.data)
        windows, start_ns = cut.windows, cut.start_ns
    made = export_model(
        folder,
        target,
        file_format,
        probabilities=probabilities,
        windows=windows,
        start_ns=start_ns,
        adaptation=adaptation,
        overwrite=overwrite,
    )
    out.print(f"written: {made.path}", soft_wrap=True)
    out.print(f"checked: {made.n_windows} windows, logits within {made.largest_difference:.1e}")
