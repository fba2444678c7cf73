import json
from pathlib import Path

import pytest
import yaml

from patchtst_har.errors import DataError
from patchtst_har.training import ExperimentTracker


def test_the_record_of_an_experiment(tmp_path):
    tracker = ExperimentTracker("walk", tmp_path / "run")
    tracker.log_params({"lr": 0.1})
    tracker.log_params({"epochs": 2})
    tracker.log_metrics({"loss": 2.0, "accuracy": 0.5}, step=1, phase="train")
    tracker.log_metrics({"loss": 1.0, "accuracy": 0.7}, step=2, phase="train")
    tracker.log_metrics({"loss": 1.5}, step=2, phase="val")
    (tracker.output_dir / "plot.svg").write_text("<svg/>")
    tracker.log_artifact(tracker.output_dir / "plot.svg", "a plot")
    path = tracker.save_summary({"final_accuracy": 0.7})

    summary = yaml.safe_load(path.read_text())
    assert summary == {
        "experiment_name": "walk",
        "parameters": {"lr": 0.1, "epochs": 2},
        "final_metrics": {
            "train_loss": 1.0,
            "train_accuracy": 0.7,
            "val_loss": 1.5,
            "final_accuracy": 0.7,
        },
        "artifacts": [{"path": "plot.svg", "description": "a plot"}],
    }
    assert json.loads((tmp_path / "run" / "params.json").read_text()) == {"lr": 0.1, "epochs": 2}
    assert tracker.metrics["train_loss"] == [(1, 2.0), (2, 1.0)]


def test_a_second_session_continues_the_record(tmp_path):
    ExperimentTracker("walk", tmp_path).log_metrics({"loss": 2.0}, step=1)
    again = ExperimentTracker("walk", tmp_path)
    again.log_metrics({"loss": 1.0}, step=2)
    assert again.metrics["train_loss"] == [(1, 2.0), (2, 1.0)]
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


def test_a_line_cut_short_by_a_kill_is_dropped_and_the_record_goes_on(tmp_path, caplog):
    tracker = ExperimentTracker("walk", tmp_path)
    tracker.log_metrics({"loss": 2.0}, step=1)
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text() + '{"phase": "train", "st')
    again = ExperimentTracker("walk", tmp_path)
    assert "incomplete last line" in caplog.text
    again.log_metrics({"loss": 1.0}, step=2)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2]


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"phase": "train"}\n')
    with pytest.raises(DataError, match=r"metrics\.jsonl: line 1: step: Field required"):
        ExperimentTracker("walk", tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("params.json", "[1]", "needs a mapping at the top, has list"),
        ("params.json", "{", "not JSON"),
        ("artifacts.json", "3", "needs a list at the top, has int"),
        ("artifacts.json", '{"path": "a"}', "needs a list at the top, has dict"),
        ("artifacts.json", '["a"]', "entry 1: Input should be"),
        (
            "artifacts.json",
            '[{"path": "a", "description": ""}, {"path": 1}]',
            "entry 2: path: Input should be",
        ),
    ],
)
def test_a_damaged_list_of_parameters_or_artifacts_is_named(tmp_path, name, content, problem):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=rf"{name}: {problem}"):
        ExperimentTracker("walk", tmp_path)
    assert (tmp_path / name).read_text() == content


def test_metrics_that_are_not_finite_are_refused_before_anything_is_written(tmp_path):
    tracker = ExperimentTracker("walk", tmp_path)
    with pytest.raises(ValueError, match="finite number"):
        tracker.log_metrics({"loss": float("nan")}, step=1)
    assert not (tmp_path / "metrics.jsonl").exists()


def test_a_missing_artifact_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"artifact .*nothing\.png: no such file"):
        ExperimentTracker("walk", tmp_path).log_artifact(tmp_path / "nothing.png")


def test_a_file_in_place_of_the_run_folder_is_named(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(DataError, match="is a file"):
        ExperimentTracker("walk", tmp_path / "run")


def test_what_comes_again_is_forgotten(tmp_path):
    tracker = ExperimentTracker("walk", tmp_path)
    for step in (1, 2, 3):
        for phase in ("train", "val"):
            tracker.log_metrics({"loss": 1.0 / step}, step=step, phase=phase)
    again = ExperimentTracker("walk", tmp_path)
    again.forget_after(2)
    assert again.metrics["train_loss"] == [(1, 1.0), (2, 0.5)]
    again.log_metrics({"loss": 0.1}, step=3)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [(json.loads(line)["phase"], json.loads(line)["step"]) for line in lines] == [
        ("train", 1),
        ("val", 1),
        ("train", 2),
        ("val", 2),
        ("train", 3),
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_names_the_file_of_metrics(tmp_path):
    tracker = ExperimentTracker("x", tmp_path)
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        tracker.log_metrics({"loss": 1.0}, 1)
    assert caught.value.filename == str(tmp_path / "metrics.jsonl")
