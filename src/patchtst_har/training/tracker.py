"""The run folder: an append-only record of one experiment."""

from __future__ import annotations

import json
import logging
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from patchtst_har.config import ExperimentConfig
from patchtst_har.errors import DataError
from patchtst_har.records.reading import MOST_RECORD_BYTES, read_json_lines, read_mapping, validated
from patchtst_har.records.run import Artifact, MetricLine
from patchtst_har.support.documents import read_text
from patchtst_har.support.files import (
    atomic_write_json,
    atomic_write_text,
    ensure_folder,
    errors_named,
    read_json,
)
from patchtst_har.support.log import TrainingLogger
from patchtst_har.support.termination import Terminated
from patchtst_har.training.mlflow_mirror import MlflowMirror

logger = logging.getLogger(__name__)


class ExperimentTracker:
    """Write parameters, metrics and artifacts of one experiment into its run folder.

    Parameters
    ----------
    experiment_name : str
        Name in the summary.
    output_dir : path-like
        The run folder; created if missing. Metrics of an earlier session in it are kept and continued.

    Attributes
    ----------
    metrics : dict of list of (step, value)
        By ``"{phase}_{metric}"``.
    params, artifacts : dict, list
        What was logged so far.

    Raises
    ------
    DataError, OSError
        If the folder cannot be written or holds a damaged record.
    """

    def __init__(self, experiment_name: str, output_dir: Path | str) -> None:
        self.experiment_name = experiment_name
        self.output_dir = ensure_folder(output_dir)
        self.metrics: dict[str, list[tuple[int, float]]] = defaultdict(list)
        self.params: dict[str, Any] = {}
        self.artifacts: list[dict[str, Any]] = []
        self._mirror: MlflowMirror | None = None
        self._restore()

    @contextmanager
    def mirrored(self, config: ExperimentConfig, tags: Mapping[str, str]) -> Iterator[None]:
        """Copy what is recorded while inside, and what was before, to ``tracking.mlflow``, if that is set."""
        if config.tracking.mlflow is None:
            yield
            return
        self._mirror = MlflowMirror(config, self.output_dir, tags, self.metrics)
        status = "FAILED"
        try:
            yield
            status = "FINISHED"
        except (KeyboardInterrupt, Terminated):
            status = "KILLED"
            raise
        finally:
            self._mirror.end(status)
            self._mirror = None

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Add `params` (JSON values by name) to ``params.json``."""
        self.params.update(params)
        atomic_write_json(self.output_dir / "params.json", self.params)

    def log_metrics(self, metrics: Mapping[str, float], step: int, phase: str = "train") -> None:
        """Append the `metrics` of one `step` (epoch) and `phase` to ``metrics.jsonl``, at once on disk."""
        now = datetime.now(UTC).isoformat()
        line = MetricLine(phase=phase, step=step, time=now, metrics=dict(metrics))
        path = self.output_dir / "metrics.jsonl"
        with errors_named(path), path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line.to_json(), allow_nan=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self._remember(line)
        if self._mirror is not None:
            self._mirror.log_metrics({f"{phase}_{name}": value for name, value in metrics.items()}, step)

    def forget_after(self, step: int) -> None:
        """Drop the metrics of later steps: a kill came between them and their checkpoint, they come again."""
        path = self.output_dir / "metrics.jsonl"
        if not path.exists():
            return
        lines = read_json_lines(path, MetricLine)
        kept = [line for line in lines if line.step <= step]
        if len(kept) == len(lines):
            return
        atomic_write_text(path, "".join(json.dumps(line.to_json(), allow_nan=False) + "\n" for line in kept))
        self.metrics.clear()
        for line in kept:
            self._remember(line)

    def log_artifact(self, artifact_path: Path | str, description: str = "") -> None:
        """Add a file or folder to ``artifacts.json``; inside the run folder its relative path is kept.

        Parameters
        ----------
        artifact_path : path-like
            The file or folder.
        description : str
            What it is.

        Raises
        ------
        DataError
            If there is no such file or folder.
        """
        path = Path(artifact_path)
        if not path.exists():
            raise DataError(f"artifact {path}: no such file or folder")
        inside = path.resolve().is_relative_to(self.output_dir.resolve())
        name = path.resolve().relative_to(self.output_dir.resolve()) if inside else path.resolve()
        entry = {"path": name.as_posix(), "description": description}
        self.artifacts = [other for other in self.artifacts if other["path"] != entry["path"]] + [entry]
        atomic_write_json(self.output_dir / "artifacts.json", self.artifacts)
        if self._mirror is not None:
            self._mirror.log_artifact(path)

    def save_summary(self, final_metrics: Mapping[str, float] | None = None) -> Path:
        """Write ``experiment_summary.yaml``: parameters, last value of every metric, artifacts.

        Parameters
        ----------
        final_metrics : mapping of str to float, optional
            Scores of the whole run.

        Returns
        -------
        pathlib.Path
            The file.
        """
        last = {name: values[-1][1] for name, values in self.metrics.items()}
        summary = {
            "experiment_name": self.experiment_name,
            "parameters": self.params,
            "final_metrics": {**last, **{name: float(v) for name, v in (final_metrics or {}).items()}},
            "artifacts": self.artifacts,
        }
        path = self.output_dir / "experiment_summary.yaml"
        atomic_write_text(path, yaml.safe_dump(summary, sort_keys=False, allow_unicode=True))
        if self._mirror is not None:
            self._mirror.log_metrics(
                final_metrics or {}, max((s for v in self.metrics.values() for s, _ in v), default=0)
            )
        return path

    def _restore(self) -> None:
        """Read the record back; a last line cut short by a kill is removed, so that appending stays valid."""
        self.params = read_mapping(self.output_dir / "params.json") or {}
        self.artifacts = _read_artifacts(self.output_dir / "artifacts.json")
        path = self.output_dir / "metrics.jsonl"
        if not path.exists():
            return
        lines = read_text(path, MOST_RECORD_BYTES).splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            logger.warning("%s: dropping an incomplete last line left by an interrupted run", path)
            lines.pop()
            atomic_write_text(path, "".join(lines))
        for line in read_json_lines(path, MetricLine):
            self._remember(line)

    def _remember(self, line: MetricLine) -> None:
        for name, value in line.metrics.items():
            self.metrics[f"{line.phase}_{name}"].append((line.step, value))


def _read_artifacts(path: Path) -> list[dict[str, Any]]:
    entries = read_json(path) if path.exists() else []
    if not isinstance(entries, list):
        raise DataError(f"{path}: needs a list at the top, has {type(entries).__name__}")
    checked = (validated(entry, Artifact, f"{path}: entry {n}") for n, entry in enumerate(entries, start=1))
    return [entry.to_json() for entry in checked]


class EpochRecord:
    """Log and store the metrics of an epoch.

    Parameters
    ----------
    tracker : ExperimentTracker
        Where they are stored.
    logger : logging.Logger
        To which they are logged.
    """

    def __init__(self, tracker: ExperimentTracker, logger: logging.Logger) -> None:
        self._tracker, self._lines = tracker, TrainingLogger(logger)
        self.last: dict[str, dict[str, float]] = {}

    def __call__(self, epoch: int, trained: dict[str, float], validated: dict[str, float]) -> None:
        """Take the metrics of training and, unless nobody validates, of validation."""
        self.last = {"train": trained, "val": validated}
        for phase, metrics in self.last.items():
            if metrics:
                self._lines.log_metrics(metrics, epoch, phase)
                self._tracker.log_metrics(metrics, epoch, phase)
