"""The copy of a run in MLflow, read back through MLflow's own client."""

import json
import os
import shutil
import sqlite3
import sys
import warnings
from pathlib import Path

import pytest

from experiments import small_config
from patchtst_har.config import ExperimentConfig, TrackingConfig, TrainingConfig
from patchtst_har.errors import ConfigError, MissingDependencyError
from patchtst_har.training import ExperimentTracker, PatchTSTTrainer
from patchtst_har.training.mlflow_mirror import MIRROR_FILE
from patchtst_har.training.run_folder import is_finished

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """A store without runs: making one takes seconds."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "m.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of SQLAlchemy about MLflow's tables.
        MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def config(tmp_path, empty_store):
    (tmp_path / "store").mkdir()
    shutil.copy(empty_store, tmp_path / "store")
    uri = f"sqlite:///{tmp_path / 'store' / 'm.db'}"
    return ExperimentConfig(
        experiment_name="walk", output_dir=tmp_path / "runs", tracking=TrackingConfig(mlflow=uri)
    )


@pytest.fixture
def stored():
    """Return a function that gives the client of a configuration's store and the only run in it."""
    from mlflow import MlflowClient

    def read(config):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of SQLAlchemy about MLflow's tables.
            client = MlflowClient(tracking_uri=config.tracking.mlflow)
            experiment = client.get_experiment_by_name(config.tracking.mlflow_experiment)
            (run,) = client.search_runs([experiment.experiment_id])
        return client, run

    return read


def ended_by(error, tracker, config, *metrics):
    with tracker.mirrored(config, {"data_fingerprint": "ab"}):
        tracker.log_metrics(*metrics)
        raise error


def history_of(client, run, name):
    return [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, name)]


@pytest.mark.trains
def test_a_training_is_copied(prepared, tmp_path, monkeypatch, stored, capfd):
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path / 'store' / 'm.db'}"
    config = small_config(
        prepared,
        output_dir=tmp_path / "runs",
        training=TrainingConfig(epochs=2, n_threads=1),
        tracking=TrackingConfig(mlflow=uri, mlflow_experiment="wrists"),
    )
    trainer = PatchTSTTrainer(config)
    _, metrics = trainer.train()
    assert capfd.readouterr() == ("", "")
    client, run = stored(config)
    assert (run.info.run_name, run.info.status) == ("small", "FINISHED")
    assert run.data.params["training.epochs"] == "2"
    assert run.data.params["data.train_n"] == "3"
    assert run.data.tags["data_fingerprint"] == trainer.data.data_fingerprint
    lines = [json.loads(line) for line in (config.run_dir / "metrics.jsonl").read_text().splitlines()]
    for phase in ("train", "val"):
        losses = [(line["step"], line["metrics"]["loss"]) for line in lines if line["phase"] == phase]
        assert history_of(client, run, f"{phase}_loss") == losses
    assert {name: run.data.metrics[name] for name in metrics} == pytest.approx(metrics)
    folder = Path(client.download_artifacts(run.info.run_id, "model", str(tmp_path)))
    model = config.run_dir / "model"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in model.iterdir()
    }
    assert {path.name for path in tmp_path.iterdir()} == {"model", "runs", "store"}


def test_a_run_that_goes_on_is_one_run(config, stored):
    tracker = ExperimentTracker("walk", config.run_dir)
    with pytest.raises(KeyboardInterrupt):
        ended_by(KeyboardInterrupt, tracker, config, {"loss": 2.0}, 1)
    client, run = stored(config)
    assert run.info.status == "KILLED"
    again = ExperimentTracker("walk", config.run_dir)
    with again.mirrored(config, {}):
        again.log_metrics({"loss": 1.0}, 2)
        assert stored(config)[1].info.status == "RUNNING"
        again.save_summary({"final_accuracy": 0.7})
    client, run = stored(config)
    assert run.info.status == "FINISHED"
    assert history_of(client, run, "train_loss") == [(1, 2.0), (2, 1.0)]
    assert history_of(client, run, "final_accuracy") == [(2, 0.7)]
    assert run.data.tags["data_fingerprint"] == "ab"


def test_a_copy_that_begins_later_has_all_epochs(config, stored):
    tracker = ExperimentTracker("walk", config.run_dir)
    tracker.log_metrics({"loss": 2.0}, 1, "val")
    with pytest.raises(ZeroDivisionError):
        ended_by(ZeroDivisionError, tracker, config, {"loss": 1.0}, 2, "val")
    client, run = stored(config)
    assert run.info.status == "FAILED"
    assert history_of(client, run, "val_loss") == [(1, 2.0), (2, 1.0)]
    # Of a store that has it no more, a new run is made.
    document = json.loads((config.run_dir / MIRROR_FILE).read_text())
    (config.run_dir / MIRROR_FILE).write_text(json.dumps({**document, "run_id": "0" * 32}))
    other = config.replace(tracking=config.tracking.replace(mlflow_experiment="other"))
    with tracker.mirrored(other, {}):
        pass
    assert history_of(*stored(other), "val_loss") == [(1, 2.0), (2, 1.0)]


def test_the_folds_of_a_cross_validation_have_its_name(config, stored):
    fold = config.replace(experiment_name="fold_1", output_dir=config.output_dir / "walk" / "folds")
    with ExperimentTracker("fold_1", fold.run_dir).mirrored(fold, {}):
        pass
    assert stored(fold)[1].info.run_name == "walk/fold_1"


def no_database(path):
    path.write_text("keep me, please: this is no database, however long it is")


def another_database(path):
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE birds (name TEXT)")
    other.close()


@pytest.mark.parametrize("make", [no_database, another_database, Path.mkdir])
def test_a_store_that_does_not_work_is_one_warning(config, tmp_path, caplog, make):
    path = tmp_path / "store" / "m.db"
    path.unlink()
    make(path)
    before = path.read_bytes() if path.is_file() else None
    tracker = ExperimentTracker("walk", config.run_dir)
    with tracker.mirrored(config, {}):
        tracker.log_metrics({"loss": 2.0}, 1)
        tracker.log_metrics({"loss": 1.0}, 2)
        tracker.log_artifact(config.run_dir / "metrics.jsonl")
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "m.db" in record.message
    assert f"the run goes on without it, its record is {config.run_dir}" in record.message
    assert tracker.metrics["train_loss"] == [(1, 2.0), (2, 1.0)]
    assert before is None or path.read_bytes() == before


def test_a_server_that_is_gone_is_one_warning(config, caplog, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    nowhere = config.replace(tracking=TrackingConfig(mlflow="http://127.0.0.1:9"))
    tracker = ExperimentTracker("walk", config.run_dir)
    with tracker.mirrored(nowhere, {}):
        tracker.log_metrics({"loss": 2.0}, 1)
    (record,) = [record for record in caplog.records if record.name.startswith("patchtst_har")]
    assert "tracking.mlflow: http://127.0.0.1:9: " in record.message


def test_a_store_that_stops_working_is_one_warning(config, caplog, monkeypatch):
    tracker = ExperimentTracker("walk", config.run_dir)
    with tracker.mirrored(config, {}):
        tracker.log_metrics({"loss": 2.0}, 1)

        def fail(*_, **__):
            raise OSError("disk full")

        monkeypatch.setattr("mlflow.MlflowClient.log_batch", fail)
        tracker.log_metrics({"loss": 1.0}, 2)
        tracker.log_metrics({"loss": 0.5}, 3)
    (record,) = caplog.records
    assert "disk full (OSError)" in record.message
    assert len((config.run_dir / "metrics.jsonl").read_text().splitlines()) == 3


def test_without_mlflow_the_extra_is_named_and_nothing_written(config, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("patchtst_har.training.mlflow_mirror.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'patchtst-har\[mlflow\]'"):
        PatchTSTTrainer(config).train()
    assert not config.run_dir.exists()


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("postgresql://host/db", "needs sqlite:///PATH or the path of an SQLite file"),
        ("databricks://profile", "needs sqlite:///PATH"),
        ("sqlite://m.db", "needs sqlite:///PATH"),
        ("file:///mlruns", "needs sqlite:///PATH"),
        ("", "needs sqlite:///PATH"),
        ("m.db?mode=memory", "needs a path without ? # and %"),
        ("https://me:secret@host", "needs a server, without a user or password"),
        ("https://", "needs a server"),
    ],
)
def test_stores_of_other_kinds_are_refused(uri, problem):
    with pytest.raises(ConfigError) as raised:
        ExperimentConfig.from_mapping({"tracking": {"mlflow": uri}})
    assert f"tracking.mlflow: {problem}" in str(raised.value)


def test_stores_that_are_taken():
    for uri in ("sqlite:///m.db", "sqlite:////data/m.db", "folder/m.db", "http://host:5000", "https://host"):
        assert TrackingConfig(mlflow=uri).mlflow == uri


def test_where_the_copy_goes_is_no_part_of_a_run(config, small_run, tmp_path):
    """Neither of its identity, nor of the model folder that others read."""
    assert config.without_paths().tracking == TrackingConfig()
    tracked = small_run.config.replace(tracking=config.tracking)
    data = small_run.trainer.data
    assert data.identity(tracked) == data.identity(small_run.config)
    finished = config.replace(tracking=TrackingConfig())
    finished.run_dir.mkdir(parents=True)
    finished.save(finished.run_dir / "config.yaml")
    for name in ("experiment_summary.yaml", "report.html"):
        (finished.run_dir / name).touch()
    assert is_finished(config)


def test_a_mirror_without_a_store_does_nothing(tmp_path):
    config = ExperimentConfig(output_dir=tmp_path)
    tracker = ExperimentTracker("walk", tmp_path / "run")
    with tracker.mirrored(config, {}):
        tracker.log_metrics({"loss": 2.0}, 1)
    assert [path.name for path in tracker.output_dir.iterdir()] == ["metrics.jsonl"]
