"""A run folder as it is found later: what it is, how far it got, what came of it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from patchtst_har.config import ExperimentConfig
from patchtst_har.errors import ConfigError, DataError
from patchtst_har.records.reading import read_history, read_json_lines, read_mapping, read_record
from patchtst_har.records.run import CrossValidation, Evaluation, MetricLine, Provenance
from patchtst_har.records.search import SEARCH_FILE
from patchtst_har.support.folders import is_held

State = Literal["finished", "running", "interrupted"]

_CONFIG, _HISTORY, _SUMMARY = "config.yaml", "metrics.jsonl", "experiment_summary.yaml"


@dataclass(frozen=True)
class StoredRun:
    """A run folder; its files are read when they are first asked for.

    Every attribute raises `DataError` if its file is damaged; the message names file and field.

    Attributes
    ----------
    folder : pathlib.Path
        The run folder.
    settings : dict
        Its ``config.yaml``, nested; what an earlier version did not know has today's default, unless that
        file can no longer be read as a configuration.
    """

    folder: Path
    settings: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> StoredRun:
        """Open a run folder.

        Raises
        ------
        DataError
            If it is none: it has no ``config.yaml``, or another program's.
        """
        path = folder / _CONFIG
        if not path.is_file() and (folder / SEARCH_FILE).is_file():
            raise DataError(f"{folder}: holds a search for settings, not a run")
        if not path.is_file():
            raise DataError(f"{folder}: is not a run folder (it has no {_CONFIG})")
        settings = read_mapping(path) or {}
        if not isinstance(settings.get("experiment_name"), str):
            raise DataError(f"{path}: is not the configuration of a run (it has no experiment_name)")
        with suppress(ConfigError):  # Of a version whose settings had other names or limits.
            settings = ExperimentConfig.from_mapping(settings).model_dump(mode="json")
        return cls(folder, settings)

    @property
    def name(self) -> str:
        """The experiment's name."""
        return str(self.settings["experiment_name"])

    @property
    def state(self) -> State:
        """Whether it was trained and scored to the end, a process writes into it now, or neither."""
        if is_held(self.folder):
            return "running"
        folds = self.folder / "folds"
        crossed = not folds.is_dir() or (self.folder / "cross_validation.json").is_file()
        return "finished" if crossed and (self.folder / _SUMMARY).is_file() else "interrupted"

    @cached_property
    def began(self) -> datetime:
        """When its first epoch ended; without one, when its configuration was written."""
        lines = self._lines
        if not lines:
            return datetime.fromtimestamp((self.folder / _CONFIG).stat().st_mtime, UTC)
        try:
            return datetime.fromisoformat(lines[0].time).astimezone(UTC)
        except ValueError as error:
            raise DataError(f"{self.folder / _HISTORY}: line 1: time: {error}") from error

    @property
    def n_epochs(self) -> int:
        """Epochs that are recorded."""
        return max((line.step for line in self._lines), default=0)

    @property
    def most_epochs(self) -> int | None:
        """Epochs that were asked for; None if the configuration does not say."""
        epochs = self._setting("training", "epochs")
        return epochs if isinstance(epochs, int) else None

    @property
    def data_dir(self) -> str:
        """Folder of the prepared data set, as it was given."""
        return str(self._setting("data", "proc_dir") or "")

    @cached_property
    def environment(self) -> dict[str, Any]:
        """``environment.json``; empty without it."""
        return read_mapping(self.folder / "environment.json") or {}

    @cached_property
    def provenance(self) -> Provenance | None:
        """Who trained, validated and tests, on which data; None before the data were loaded."""
        return read_record(self.folder / "params.json", Provenance)

    @cached_property
    def history(self) -> dict[str, dict[str, list[tuple[int, float]]]]:
        """The metrics of every epoch: phase to metric to (epoch, value)."""
        return read_history(self.folder / _HISTORY) or {}

    @cached_property
    def evaluation(self) -> Evaluation | None:
        """Scores on the test participants."""
        return read_record(self.folder / "evaluation.json", Evaluation)

    @cached_property
    def cross_validation(self) -> CrossValidation | None:
        """Scores of everyone held out once."""
        return read_record(self.folder / "cross_validation.json", CrossValidation)

    @cached_property
    def final(self) -> dict[str, float]:
        """The scores at the end of training, as ``train`` prints them; empty before."""
        metrics = (read_mapping(self.folder / _SUMMARY) or {}).get("final_metrics", {})
        numbers = isinstance(metrics, dict) and all(isinstance(v, int | float) for v in metrics.values())
        if not numbers:
            raise DataError(f"{self.folder / _SUMMARY}: final_metrics: needs a mapping of names to numbers")
        return {str(name): float(value) for name, value in metrics.items()}

    @property
    def scored_on(self) -> str:
        """Whose scores `final` has, in words; empty if there are none."""
        if not self.final or self.provenance is None:
            return ""
        split = self.provenance.split
        for people, what in ((split.test, "test"), (split.val, "validation")):
            if people:
                return f"{len(people)} {what}"
        return "nobody"

    @cached_property
    def _lines(self) -> list[MetricLine]:
        path = self.folder / _HISTORY
        return read_json_lines(path, MetricLine) if path.exists() else []

    def _setting(self, section: str, name: str) -> Any:
        values = self.settings.get(section)
        return values.get(name) if isinstance(values, dict) else None


def find_runs(root: Path) -> tuple[list[StoredRun], list[str]]:
    """Return the runs in a folder, the latest first, and why each other folder in it is none.

    Files, and folders whose name begins with a dot, are passed over.

    Raises
    ------
    DataError
        If there is no such folder.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder of runs")
    runs, skipped = [], []
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != "."):
        try:
            run = StoredRun.open(folder)
            _ = run.began, run.final, run.provenance
        except (DataError, OSError) as error:
            skipped.append(_reason(folder, error))
        else:
            runs.append(run)
    return sorted(runs, key=lambda run: (run.began, run.name), reverse=True), skipped


def _reason(folder: Path, error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or folder}: {error.strerror}"
    return str(error)


def find_run(name: str, root: Path) -> StoredRun:
    """Return the run of a folder, or of a name within `root`.

    Raises
    ------
    DataError
        If there is none, or it is damaged.
    """
    places = (root / name, Path(name))
    folder = next((path for path in places if path.is_dir()), None)
    if folder is None:
        raise DataError(f"{name}: no such run folder, nor one of this name in {root}")
    return StoredRun.open(folder)


def labels_of(runs: Iterable[StoredRun]) -> list[str]:
    """Return what to call each of several runs: its folder's name, or its path where two have one name."""
    folders = [Path(os.path.normpath(run.folder)) for run in runs]
    names = [folder.absolute().name for folder in folders]
    return [
        name if names.count(name) == 1 else str(folder) for name, folder in zip(names, folders, strict=True)
    ]
