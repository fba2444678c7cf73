"""``patchtst-har export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from patchtst_har.cli.console import AdaptationOption, VerboseOption, out, start_logging


def run(
    model: Annotated[Path, typer.Argument(metavar="MODEL_DIR", help="Model folder.")],
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
    adaptation: AdaptationOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    verbose: VerboseOption = False,
) -> None:
    """Write the model for another run time; the file must compute the same logits, or it is not kept."""
    from patchtst_har.data import cut_windows, read_recording
    from patchtst_har.inference.export import export_model
    from patchtst_har.model_folder import read_model_folder

    start_logging(verbose)
    windows = start_ns = None
    if check_on is not None:
        cut = cut_windows(read_recording(check_on)[0], read_model_folder(model).config.data)
        windows, start_ns = cut.windows, cut.start_ns
    made = export_model(
        model,
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
