"""``patchtst-har train``."""

from __future__ import annotations

from typing import Annotated

import typer

from patchtst_har.cli.console import (
    ConfigOption,
    SetOption,
    VerboseOption,
    configure,
    out,
    progress,
    resumable,
    score_table,
    start_logging,
)
from patchtst_har.support.formatting import metric_text


def run(
    config: ConfigOption = None,
    overrides: SetOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after an interruption.")] = False,
    cross_validation: Annotated[
        bool, typer.Option("--cross-validation", help="Also train the other folds (data.split=kfold).")
    ] = False,
    verbose: VerboseOption = False,
) -> None:
    """Train on a prepared data set and leave a run folder with model, scores and report."""
    from patchtst_har.benchmark.run_measurements import measure_run
    from patchtst_har.inference.recognizer import Recognizer
    from patchtst_har.reports.run import render_report
    from patchtst_har.support.folders import folder_lock
    from patchtst_har.training.cross_validation import cross_validate, require_folds
    from patchtst_har.training.trainer import PatchTSTTrainer

    start_logging(verbose)
    settings = configure(config, overrides)
    if cross_validation:
        require_folds(settings)
    scores = None
    with folder_lock(settings.run_dir), progress() as on_progress, resumable():
        trainer = PatchTSTTrainer(settings, resume=resume, on_progress=on_progress)
        _, metrics = trainer.train()
        if cross_validation:
            scores = cross_validate(settings, done=trainer, resume=resume, on_progress=on_progress)
        recognizer = Recognizer.from_pretrained(settings.run_dir / "model")
        measure_run(settings.run_dir, recognizer, trainer.judged, on_progress=on_progress)
        report = render_report(settings.run_dir)
    for name, value in metrics.items():
        out.print(f"{name:24s} {metric_text(name, value, 3)}")
    if scores is not None:
        out.print(score_table("Every participant held out once", scores, scores.baselines))
    out.print(f"run:    {settings.run_dir}\nreport: {report}", soft_wrap=True)
