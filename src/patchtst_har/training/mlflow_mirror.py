"""A copy of a run's record in MLflow; the run folder is the record."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from patchtst_har.config import ExperimentConfig, TrackingConfig
from patchtst_har.errors import MissingDependencyError
from patchtst_har.support.files import atomic_write_json, ensure_folder, read_json
from patchtst_har.support.sqlite import check_tables, sqlite_path, sqlite_url

logger = logging.getLogger(__name__)

MIRROR_FILE = "mlflow.json"
"""In the run folder: which run of which store has its copy, so that a resumed training goes on with it."""
# Read where MLflow is imported: it sends no reports of its use, and soon gives up a server that is dead.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}
_MOST_CHARACTERS = 500
_MOST_PARAMS = 100

History = Mapping[str, list[tuple[int, float]]]


def require_mlflow(tracking: TrackingConfig) -> None:
    """Refuse a configuration that asks for MLflow where it is not installed.

    Raises
    ------
    MissingDependencyError
        The message names the extra.
    """
    if tracking.mlflow is not None and find_spec("mlflow") is None:
        raise MissingDependencyError(
            "tracking.mlflow: needs the extra mlflow: pip install 'patchtst-har[mlflow]'"
        )


class MlflowMirror:
    """Copies what an `ExperimentTracker` records to a run of MLflow.

    A failure of MLflow ends no training: the first one is a warning, and nothing more is copied.

    Parameters
    ----------
    config : ExperimentConfig
        With ``tracking.mlflow``; all its settings become parameters of a new run.
    run_dir : pathlib.Path
        The run folder.
    tags : mapping of str to str
        Tags of a new run.
    history : mapping of str to list of (step, value)
        What was recorded before, by name: copied to a new run.
    """

    def __init__(
        self, config: ExperimentConfig, run_dir: Path, tags: Mapping[str, str], history: History
    ) -> None:
        self._tracking, self._run_dir = config.tracking, run_dir
        self._client: Any = None
        self._run_id = ""
        self._works = True
        self._guarded(lambda: self._open(config, tags, history))

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Copy metrics of an epoch."""
        self._guarded(lambda: self._log({name: [(step, value)] for name, value in metrics.items()}))

    def log_artifact(self, path: Path) -> None:
        """Copy a file or folder."""

        def copy() -> None:
            if path.is_dir():
                self._client.log_artifacts(self._run_id, str(path), path.name)
            else:
                self._client.log_artifact(self._run_id, str(path))

        self._guarded(copy)

    def end(self, status: str) -> None:
        """End the run as ``FINISHED``, ``FAILED`` or ``KILLED``."""
        self._guarded(lambda: self._client.set_terminated(self._run_id, status))

    def _guarded(self, action: Callable[[], None]) -> None:
        if not self._works:
            return
        try:
            with _quiet():
                action()
        except Exception as error:  # Whatever it is: the training matters more than its copy.
            self._works = False
            reason = " ".join(str(error).split())[:_MOST_CHARACTERS]
            logger.warning(
                "tracking.mlflow: %s: %s (%s); the run goes on without it, its record is %s",
                self._tracking.mlflow,
                reason or "no reason given",
                type(error).__name__,
                self._run_dir,
            )

    def _open(self, config: ExperimentConfig, tags: Mapping[str, str], history: History) -> None:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        logging.getLogger("mlflow").setLevel(logging.ERROR)  # Importing it sets another level.
        uri, artifacts = self._store()
        self._client = MlflowClient(tracking_uri=uri)
        path = self._run_dir / MIRROR_FILE
        known = read_json(path) if path.exists() else {}
        if known.get("uri") == uri:
            self._run_id = str(known.get("run_id"))
            try:
                self._client.update_run(self._run_id, status="RUNNING")
            except MlflowException:
                logger.info("%s: MLflow has no such run any more", path)
            else:
                return
        experiment = self._client.get_experiment_by_name(self._tracking.mlflow_experiment)
        number = (
            self._client.create_experiment(self._tracking.mlflow_experiment, artifact_location=artifacts)
            if experiment is None
            else experiment.experiment_id
        )
        run = self._client.create_run(number, run_name=_run_name(config), tags=dict(tags))
        self._run_id = run.info.run_id
        atomic_write_json(path, {"uri": uri, "run_id": self._run_id})
        self._log_params(dict(_flat(config.model_dump(mode="json"))))
        self._log(history)

    def _store(self) -> tuple[str, str | None]:
        """Return the address of the store, and where a new experiment keeps its files."""
        uri = str(self._tracking.mlflow)
        if uri.startswith(("http://", "https://")):
            return uri, None
        path = sqlite_path(uri)
        ensure_folder(path.parent)
        check_tables(path, "experiments", "MLflow")
        return sqlite_url(path), path.absolute().with_name(f"{path.stem}_artifacts").as_uri()

    def _log_params(self, values: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        params = [Param(name, text[:_MOST_CHARACTERS]) for name, text in values.items()]
        for first in range(0, len(params), _MOST_PARAMS):
            self._client.log_batch(self._run_id, params=params[first : first + _MOST_PARAMS])

    def _log(self, series: History) -> None:
        from mlflow.entities import Metric

        now = round(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, pairs in series.items() for step, value in pairs]
        for first in range(0, len(metrics), 1000):
            self._client.log_batch(self._run_id, metrics=metrics[first : first + 1000])


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep warnings of MLflow's libraries off the terminal, and its environment as this package needs it."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _run_name(config: ExperimentConfig) -> str:
    """Return the experiment's name; of a fold, behind that of its cross-validation."""
    folder = config.output_dir
    return (
        f"{folder.parent.name}/{config.experiment_name}" if folder.name == "folds" else config.experiment_name
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)
