import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from patchtst_har.errors import DataError
from patchtst_har.records.stored_run import StoredRun, find_run, find_runs, labels_of
from patchtst_har.support.folders import folder_lock
from run_folders import PEOPLE, write_run


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A finished run. Do not change its files."""
    return write_run(tmp_path_factory.mktemp("runs") / "walk")


@pytest.fixture
def run_dir(tmp_path):
    return write_run(tmp_path / "walk", people=PEOPLE[:2])


def test_what_a_finished_run_says(stored):
    run = StoredRun.open(stored)
    assert (run.name, run.state, run.n_epochs, run.most_epochs) == ("walk", "finished", 3, 30)
    assert run.data_dir == "processed"
    assert run.scored_on == "8 test"
    assert run.provenance.data_fingerprint == "ab" * 32
    assert set(run.final) >= {"final_macro_f1", "raw_macro_f1", "val_loss"}
    assert abs((datetime.now(UTC) - run.began).total_seconds()) < 600
    assert run.history["val"]["loss"] == [(1, 2.0), (2, 1.0), (3, 2 / 3)]


def test_a_trained_run_says_it_all(small_run):
    run = StoredRun.open(small_run.folder)
    assert (run.state, run.n_epochs, run.scored_on) == ("finished", 6, "2 test")
    assert run.final["final_macro_f1"] == pytest.approx(small_run.metrics["final_macro_f1"])
    assert len(run.provenance.data_fingerprint) == 64
    assert run.provenance.data_fingerprint == run.evaluation.data_fingerprint
    assert run.environment["torch"]


def test_the_state_of_a_run(run_dir):
    run = StoredRun.open(run_dir)
    with folder_lock(run_dir):
        assert run.state == "running"
    assert run.state == "finished"
    (run_dir / "folds").mkdir()
    assert run.state == "interrupted"
    (run_dir / "folds").rmdir()
    (run_dir / "experiment_summary.yaml").unlink()
    assert run.state == "interrupted"
    # As a killed process leaves it.
    (run_dir / ".lock").write_text("process 1 on elsewhere")
    assert run.state == "interrupted"


def test_a_run_that_has_only_begun(run_dir):
    for path in run_dir.iterdir():
        if path.name != "config.yaml":
            path.unlink()
    os.utime(run_dir / "config.yaml", (1_700_000_000, 1_700_000_000))
    run = StoredRun.open(run_dir)
    assert (run.state, run.n_epochs, run.scored_on, run.final) == ("interrupted", 0, "", {})
    assert run.began == datetime.fromtimestamp(1_700_000_000, UTC)
    assert (run.provenance, run.evaluation, run.environment) == (None, None, {})


def test_settings_that_an_earlier_version_did_not_know_have_their_default(run_dir):
    settings = yaml.safe_load((run_dir / "config.yaml").read_text())
    del settings["training"]["ema_decay"]
    (run_dir / "config.yaml").write_text(yaml.safe_dump(settings))
    assert StoredRun.open(run_dir).settings["training"]["ema_decay"] == 0.0
    settings["training"]["momentum"] = 0.9  # Of a version that had it.
    (run_dir / "config.yaml").write_text(yaml.safe_dump(settings))
    run = StoredRun.open(run_dir)
    assert run.settings == settings
    assert run.most_epochs == 30


def test_what_is_no_run_is_named_and_the_others_are_found(tmp_path):
    for name in ("first", "second"):
        write_run(tmp_path / name, people=PEOPLE[:2])
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "tuned").mkdir()
    (tmp_path / "tuned" / "search.json").write_text("{}")
    (tmp_path / "other" / "config.yaml").write_text("lr: 1\n")
    broken = write_run(tmp_path / "broken", people=PEOPLE[:2])
    (broken / "metrics.jsonl").write_text('{"phase": "train"}\n')
    damaged = write_run(tmp_path / "damaged", people=PEOPLE[:2])
    (damaged / "params.json").write_text("{")
    summary = write_run(tmp_path / "summary", people=PEOPLE[:2])
    (summary / "experiment_summary.yaml").write_text("final_metrics: {a: b}\n")
    runs, skipped = find_runs(tmp_path)
    assert [run.name for run in runs] == ["second", "first"]
    assert [Path(text.partition(":")[0]).relative_to(tmp_path).as_posix() for text in skipped] == [
        "broken/metrics.jsonl",
        "damaged/params.json",
        "empty",
        "other/config.yaml",
        "summary/experiment_summary.yaml",
        "tuned",
    ]
    assert skipped[2].endswith("is not a run folder (it has no config.yaml)")
    assert skipped[-1].endswith("holds a search for settings, not a run")
    assert "line 1: step: Field required" in skipped[0]


def test_a_stamp_that_is_no_time_is_named(run_dir):
    lines = (run_dir / "metrics.jsonl").read_text().splitlines()
    first = {**json.loads(lines[0]), "time": "noon"}
    (run_dir / "metrics.jsonl").write_text(json.dumps(first) + "\n")
    with pytest.raises(DataError, match=r"metrics\.jsonl: line 1: time: "):
        _ = StoredRun.open(run_dir).began


def test_a_run_is_found_by_its_name_or_its_folder(stored, monkeypatch):
    monkeypatch.chdir(stored.parent.parent)
    assert find_run("walk", stored.parent).folder == stored
    assert find_run(str(stored), Path("runs")).folder == stored
    with pytest.raises(DataError, match="away: no such run folder, nor one of this name in runs"):
        find_run("away", Path("runs"))
    with pytest.raises(DataError, match="no such folder of runs"):
        find_runs(Path("absent"))


def test_runs_of_one_name_are_told_apart_by_their_path(stored, tmp_path):
    other = StoredRun.open(write_run(tmp_path / "walk", people=PEOPLE[:2]))
    third = StoredRun.open(write_run(tmp_path / "run", people=PEOPLE[:2]))
    names = labels_of([StoredRun.open(stored), other, third])
    assert names == [str(stored), str(tmp_path / "walk"), "run"]
