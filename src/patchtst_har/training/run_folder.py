"""A run folder as a whole: is there a finished run in it, and how one is removed."""

from __future__ import annotations

import shutil
from pathlib import Path

from patchtst_har.config import ExperimentConfig
from patchtst_har.errors import ConfigError, DataError
from patchtst_har.training.identity import differences, may_differ, named, settings_of

_SUMMARY = "experiment_summary.yaml"
_REPORT = "report.html"
_CROSS_VALIDATION = "cross_validation.json"
_ABLATION = "ablation.json"
_MADE = (
    _SUMMARY,
    _REPORT,
    _CROSS_VALIDATION,
    _ABLATION,
    "ablation",
    "artifacts.json",
    "baselines.json",
    "checkpoints",
    "complexity.json",
    "config.yaml",
    "environment.json",
    "evaluation.json",
    "folds",
    "latency.json",
    "metrics.jsonl",
    "mlflow.json",
    "model",
    "params.json",
    "plots",
    "predictions.csv",
    "topology.json",
    "training.log",
)
"""All that a run leaves, the record of its end first."""


def is_finished(
    config: ExperimentConfig, *, cross_validation: bool = False, ablation: bool = False, resume: bool = False
) -> bool:
    """Whether the run of this configuration was trained, measured and reported to the end.

    With `resume`, a run that is only to be given more epochs is not finished.

    Raises
    ------
    DataError
        If the finished run in the folder has another configuration; the settings that differ are named.
    """
    run_dir = config.run_dir
    asked = {_CROSS_VALIDATION: cross_validation, _ABLATION: ablation}
    ends = (_SUMMARY, _REPORT, *(name for name, wanted in asked.items() if wanted))
    if not all((run_dir / name).is_file() for name in ends):
        return False
    try:
        before = ExperimentConfig.load(run_dir / "config.yaml")
    except ConfigError as error:
        raise DataError(f"{run_dir}: holds a finished run that this version cannot read ({error})") from error
    settings = (settings_of(each, every=True) for each in (before, config))
    differing = differences(*settings)
    if not differing:
        return True
    listed = "; ".join(named(differing))
    if all(may_differ(*each) for each in differing):
        if resume:
            return False
        raise DataError(f"{run_dir}: holds a finished run; --resume goes on with it ({listed})")
    raise DataError(
        f"{run_dir}: holds a finished run of another configuration ({listed}); replace it "
        "(--overwrite), or choose another experiment_name"
    )


def reopen_run(run_dir: Path) -> None:
    """Remove the records of a run's end: if it is interrupted now, it does not pass for finished."""
    for name in (_SUMMARY, _REPORT):
        (run_dir / name).unlink(missing_ok=True)


def remove_run(run_dir: Path) -> None:
    """Remove what a run left in its folder, and nothing else."""
    for name in _MADE:
        path = run_dir / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
