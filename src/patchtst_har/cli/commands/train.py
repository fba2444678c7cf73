"""``patchtst-har train``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import wraps
from typing import TYPE_CHECKING, Annotated, ParamSpec

import typer

from patchtst_har.cli import options
from patchtst_har.cli.console import (
    ablation_table,
    configure,
    out,
    progress,
    resumable,
    score_table,
    start_logging,
)
from patchtst_har.errors import DataError
from patchtst_har.recipe import FineTune
from patchtst_har.support.formatting import metric_text

if TYPE_CHECKING:
    from patchtst_har.training.trainer import PatchTSTTrainer

P = ParamSpec("P")

HELP = "Train on a prepared data set and leave a run folder with model, scores and report."


def _in_all_processes(command: Callable[P, None]) -> Callable[P, None]:
    """Join the processes of ``torchrun`` for a command."""

    @wraps(command)
    def joined_command(*arguments: P.args, **options: P.kwargs) -> None:
        from patchtst_har.training.processes import joined

        with joined():
            command(*arguments, **options)

    return joined_command


@_in_all_processes
def run(
    config: options.Config = None,
    overrides: options.Set = None,
    preset: options.Preset = None,
    init: Annotated[
        str | None,
        typer.Option(
            "--init",
            metavar="MODEL",
            help="Begin with the weights of this model folder or shipped model (patchtst-har models). "
            "Features and architecture are its own; its heads are taken over if it has the same classes.",
        ),
    ] = None,
    fine_tune: Annotated[
        FineTune | None,
        typer.Option(
            "--fine-tune",
            help="What of the --init model is trained: all (full), all but its first layers (partial), "
            "or only the heads (frozen). Left out: full.",
        ),
    ] = None,
    split: options.Split = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after an interruption.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Train again, in place of a run that is already there.")
    ] = False,
    cross_validation: Annotated[
        bool, typer.Option("--cross-validation", help="Also train the other folds (data.split=kfold).")
    ] = False,
    ablate: Annotated[
        bool,
        typer.Option(
            "--ablate",
            help="Also train models with the patches alone and with ever more of what else they can be given "
            "(statistical and topological features, time of day, HMM), all on the same folds.",
        ),
    ] = False,
    baselines: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="What the model is compared with on the same people: majority, forest, forest-topology, "
            "minirocket, with commas between; all or none.",
        ),
    ] = "all",
    verbose: options.Verbose = False,
) -> None:
    """Run the command."""
    from patchtst_har.benchmark.run_measurements import measure_run
    from patchtst_har.inference.recognizer import Recognizer
    from patchtst_har.reports.run import render_report
    from patchtst_har.support.folders import folder_lock
    from patchtst_har.training.ablation import ablate as run_ablation
    from patchtst_har.training.cross_validation import cross_validate, judge_baselines, require_folds
    from patchtst_har.training.fitting import fit_to_data
    from patchtst_har.training.processes import Processes
    from patchtst_har.training.run_folder import is_finished
    from patchtst_har.training.trainer import PatchTSTTrainer

    processes = Processes.current()
    start_logging(verbose, level=logging.WARNING if processes.first else logging.ERROR)
    if resume and overwrite:
        raise typer.BadParameter("--resume goes on with a run, --overwrite begins it again")
    overrides = [*(overrides or []), *([] if split is None else [f"data.split={split}"])]
    settings, preset_text = configure(
        config, overrides, preset, "base", {"init": init, "fine_tune": fine_tune}
    )
    compared = _baselines(baselines)
    settings, chosen = fit_to_data(settings, cross_validation=cross_validation or ablate)
    if cross_validation or ablate:
        require_folds(settings)
        if processes.size > 1:
            option = "--ablate" if ablate else "--cross-validation"
            raise typer.BadParameter(f"{option} trains in one process; start it without torchrun")
    if not processes.first:
        if not processes.agree(False):
            PatchTSTTrainer(settings, resume=resume, overwrite=overwrite).train()
        return
    run_dir = settings.run_dir
    finished = not overwrite and is_finished(
        settings, cross_validation=cross_validation, ablation=ablate, resume=resume
    )
    if processes.agree(finished):
        text = f"{run_dir}: already finished; --overwrite trains it again"
        if not resume:
            raise DataError(text)
        out.print(f"{text}\nreport: {run_dir / 'report.html'}", soft_wrap=True)
        return
    out.print(f"preset: {preset_text}", soft_wrap=True)
    if settings.training.init is not None:
        kept = {
            "full": "all of it is trained",
            "partial": "its first layers stay",
            "frozen": "only heads are trained",
        }
        out.print(
            f"begins with: {settings.training.init} ({kept[settings.training.fine_tune]})", soft_wrap=True
        )
    if chosen:
        listed = ", ".join(f"{name}={value}" for name, value in chosen.items())
        out.print(f"chosen from the data set: {listed}", soft_wrap=True)
    if settings.training.compile:
        out.print("compile: the first step is compiled before it is taken; a minute or more", soft_wrap=True)
    scores = parts = None
    with folder_lock(run_dir), progress() as on_progress, resumable():
        trainer = PatchTSTTrainer(settings, resume=resume, overwrite=overwrite, on_progress=on_progress)
        _, metrics = trainer.train()
        if cross_validation:
            scores = cross_validate(
                settings, done=trainer, resume=resume, baselines=compared, on_progress=on_progress
            )
        else:
            judge_baselines(trainer, compared, on_progress)
        if ablate:
            parts = run_ablation(settings, resume=resume, on_progress=on_progress)
        recognizer = Recognizer.from_pretrained(run_dir / "model")
        measure_run(run_dir, recognizer, trainer.judged, on_progress=on_progress)
        report = render_report(run_dir)
    for name, value in metrics.items():
        out.print(f"{name:24s} {metric_text(name, value, 3)}")
    for line in _what_was_judged(trainer):
        out.print(line, soft_wrap=True)
    if scores is not None:
        out.print(score_table("Every participant held out once", scores, scores.baselines))
    if parts is not None:
        out.print(ablation_table(parts))
    out.print(f"run:    {run_dir}\nreport: {report}", soft_wrap=True)


def _baselines(text: str) -> tuple[str, ...]:
    """Return the names of baselines that an option lists."""
    from patchtst_har.evaluation.baselines import BASELINES

    if text in ("all", "none"):
        return tuple(BASELINES) if text == "all" else ()
    names = tuple(part.strip() for part in text.split(","))
    for name in names:
        if name not in BASELINES:
            known = ", ".join(("all", "none", *BASELINES))
            raise typer.BadParameter(f"{name!r} is not known (known: {known})", param_hint="--baselines")
    return names


def _what_was_judged(trainer: PatchTSTTrainer) -> Iterator[str]:
    """Yield whose scores these are, and why they are smoothed or not."""
    if trainer.data is not None:
        split = trainer.data.split
        groups = {"to train on": split.train, "to validate": split.val, "to test on": split.test}
        yield "people: " + ", ".join(f"{len(people)} {what}" for what, people in groups.items())
    choice = trainer.smoothing
    if choice is not None:
        how = "chosen" if choice.chosen else "configured"
        yield (
            f"smoothing: {choice.method}, {how} (macro F1 of the validation people: window by window "
            f"{choice.macro_f1_raw:.3f}, smoothed {choice.macro_f1_smoothed:.3f})"
        )
