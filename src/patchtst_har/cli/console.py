"""What the subcommands share: consoles, progress bars, configuration."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from patchtst_har.config import ExperimentConfig, with_overrides
from patchtst_har.presets import Preset
from patchtst_har.support.formatting import score
from patchtst_har.support.log import setup_logging
from patchtst_har.support.settings import read_yaml
from patchtst_har.support.termination import Terminated

if TYPE_CHECKING:
    from patchtst_har.data.annotations import LabelMap
    from patchtst_har.records.run import Ablation, HeldOutScores, Scores

# Names of people, classes and files are shown as they are, never read as markup.
out = Console(markup=False, highlight=False)
err = Console(stderr=True, markup=False, highlight=False)


def configure(
    path: Path | None,
    overrides: list[str] | None,
    preset: Preset | None = None,
    default: Preset = "seed",
    training: Mapping[str, str | None] | None = None,
) -> tuple[ExperimentConfig, str]:
    """Return the configuration of ``--config``, ``--set`` and ``--preset``, and its preset in words.

    `default` is the preset where nothing names one, nor says anything of the model. `training` has fields of
    that section from options of their own. Without a preset, features and model are those of the model that
    ``training.init`` names, where nothing else is said of them.
    """
    values = {} if path is None else read_yaml(path)
    source = "--set" if path is None else str(path)
    return configured(values, source, overrides, preset, default, training)


def configured(
    values: Mapping[str, Any],
    source: str,
    overrides: list[str] | None,
    preset: Preset | None,
    default: Preset,
    training: Mapping[str, str | None] | None = None,
) -> tuple[ExperimentConfig, str]:
    """Return what `configure` does, of the content of a file."""
    values = with_overrides(values, overrides or ())
    options = {name: value for name, value in (training or {}).items() if value is not None}
    if options:
        section = values.get("training") or {}
        values["training"] = {**section, **options} if isinstance(section, Mapping) else section
    section = values.get("training")
    init = section.get("init") if isinstance(section, Mapping) else None
    if preset is not None:
        values["preset"] = preset
    elif "preset" not in values and isinstance(init, str):
        from patchtst_har.training.initial import following

        config = following({**values, "preset": default}, init, source)
        return config, f"{default} (training alone; features and model are those of {init})"
    elif not {"preset", "model"} & values.keys():
        values["preset"] = default
    config = ExperimentConfig.from_mapping(values, source=source)
    if "preset" in values:
        return config, values["preset"]
    return (
        config,
        f"seed, as {source} says something of the model; --preset {default} is the default otherwise",
    )


def label_map(labels: Path | None, column: str | None) -> LabelMap | None:
    """Return the mapping of ``--labels`` and ``--label-column``; None if there is none."""
    from patchtst_har.data.annotations import LabelMap

    if labels is None and column is not None:
        raise typer.BadParameter("--label-column is a column of --labels, which is missing")
    return None if labels is None else LabelMap.from_csv(labels, column)


def warn(texts: Iterable[str]) -> None:
    """Print each warning as one line on standard error, below the progress bars that led to it."""
    for text in texts:
        _bars.settle()
        err.print(f"patchtst-har: warning: {text}", soft_wrap=True)


def start_logging(verbose: bool, level: int = logging.WARNING) -> None:
    """Send the log to standard error: plain warnings (from `level`), or everything with time if `verbose`."""
    if verbose:
        setup_logging(level=logging.INFO)
    else:
        setup_logging(level=level, handler=_PlainWarnings())


class _PlainWarnings(logging.Handler):
    """Shows a warning of the log as all warnings are shown."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        warn([self.format(record)])


class _Bars:
    """The progress bars on standard error, one for each stage."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._tasks: dict[str, Any] = {}

    def update(self, done: int, total: int, what: str) -> None:
        """Draw the bar of a stage; the first one starts the drawing."""
        if self._progress is None:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
            )
            # A file shows nothing of what a thread draws, and a thread without memory to begin hangs.
            self._progress = Progress(*columns, console=err, auto_refresh=err.is_terminal)
            self._progress.start()
        if what not in self._tasks:
            for earlier in self._tasks.values():
                self._progress.stop_task(earlier)
            self._tasks[what] = self._progress.add_task(what, total=total)
        self._progress.update(self._tasks[what], completed=done, total=total)

    def settle(self) -> None:
        """Leave the bars so far as they are; what comes next stands below them."""
        if self._progress is not None:
            self._progress.stop()
        self._progress, self._tasks = None, {}


_bars = _Bars()


@contextmanager
def progress() -> Iterator[Callable[[int, int, str], None]]:
    """Yield an ``on_progress(done, total, what)`` that draws one bar for each `what` on standard error."""
    try:
        yield _bars.update
    finally:
        _bars.settle()


@contextmanager
def resumable(
    how: str = "the same command with --resume goes on from the last epoch, or begins if there is none",
) -> Iterator[None]:
    """If interrupted, say how to go on."""
    try:
        yield
    except (KeyboardInterrupt, Terminated):
        err.print(f"patchtst-har: interrupted; {how}", soft_wrap=True)
        raise


def ablation_table(ablation: Ablation) -> Table:
    """Return a table of the arms of an ablation, with what each gains over the one before."""
    from patchtst_har.support.formatting import counted

    people = counted(ablation.n_participants, "participant", "participants")
    table = Table(title=f"Ablation: {people}, each held out once in {ablation.n_folds} folds")
    for name in ("input", "macro F1", "gain over the row before (95 % interval)"):
        table.add_column(name, justify="left" if name == "input" else "right")
    for arm in ablation.arms:
        gain = arm.minus_before.macro_f1 if arm.minus_before else None
        told = "" if gain is None or gain.estimate is None else f"{gain.estimate:+.3f}"
        if told and gain is not None and gain.low is not None and gain.high is not None:
            told += f" ({gain.low:+.3f} to {gain.high:+.3f})"
        table.add_row(arm.name, score(arm.macro_f1), told)
    for name, reason in ablation.left_out.items():
        table.add_row(f"{name}: left out", "", reason)
    return table


def score_table(
    title: str,
    scores: HeldOutScores,
    baselines: Mapping[str, Scores] | None = None,
    *,
    smoothed: bool = True,
) -> Table:
    """Return a table of the headline scores: raw, smoothed (if asked for), and of baselines."""
    from patchtst_har.evaluation.metrics import SUMMARY

    decided = {"raw": scores.raw, "smoothed": scores.smoothed} if smoothed else {"raw": scores.raw}
    columns = {**decided, **(baselines or {})}
    table = Table(title=title)
    table.add_column("score")
    for name in columns:
        table.add_column(name, justify="right")
    for name, metric in SUMMARY.items():
        values = (part[name] for part in columns.values())
        table.add_row(metric.title, *map(score, values))
    return table
