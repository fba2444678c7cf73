"""The demonstration as `make demo` runs it, and the care it takes of folders."""

import json
import subprocess

import pandas as pd
import pytest

from forking import python
from patchtst_har import demo
from patchtst_har.demo import MARKER, run_demo
from patchtst_har.errors import ConfigError, DataError
from patchtst_har.pretrained import default_model, read_summary
from streams import small_recognizer


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """A demonstration of fewer steps and folds than `make demo` takes: better than chance by far."""
    whole = demo.demo_config

    def shorter(run_dir):
        config = whole(run_dir)
        return config.replace(data=config.data.replace(n_folds=3), training=config.training.replace(epochs=5))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(demo, "demo_config", shorter)
        return run_demo(tmp_path_factory.mktemp("runs") / "demo")


@pytest.mark.trains
@pytest.mark.long
def test_people_never_met_are_recognised(result):
    raw, smoothed = result.scores.raw, result.scores.smoothed
    assert raw.macro_f1 >= 0.80
    assert smoothed.macro_f1 >= 0.80
    assert raw.per_participant.n_participants == 10
    evaluation = json.loads((result.run_dir / "evaluation.json").read_text())
    assert evaluation["smoothed"]["macro_f1"] >= 0.80
    assert len(evaluation["split"]["test"]) == 4


@pytest.mark.trains
@pytest.mark.long
def test_what_is_left_behind(result):
    assert result.report == result.run_dir / "report.html"
    page = result.report.read_text()
    assert f"{result.scores.raw.macro_f1:.3f}" in page
    assert "not measured in this run" not in page
    times = json.loads((result.run_dir / "latency.json").read_text())["closed_loop"]["end_to_end"]
    assert times["p99_us"] >= times["p95_us"] > 0
    timeline = pd.read_csv(result.run_dir / "timeline.csv")
    assert (timeline["label"] == timeline["annotation"]).mean() > 0.6


@pytest.mark.trains
@pytest.mark.long
def test_the_shipped_model_labels_a_simulated_day(result):
    assert result.day.labelled.classes == read_summary(default_model()).classes
    # Simulated, so it says little; but activities that are this clear must not be confused.
    assert result.day.n_as_simulated >= 0.8 * len(result.day.labelled.windows)
    assert result.day.files.report == result.run_dir / "simulated_day" / "simulated_day_report.html"


@pytest.mark.trains
@pytest.mark.long
def test_a_second_run_needs_permission(result):
    with pytest.raises(DataError, match="is not empty"):
        run_demo(result.run_dir)
    assert result.report.exists()


@pytest.mark.draws
def test_a_simulated_day_is_labelled_and_named_as_simulated(tmp_path):
    model = small_recognizer().save_pretrained(tmp_path / "model")
    day = demo.label_simulated_day(tmp_path / "day", model)
    n_windows = len(day.labelled.windows)
    assert n_windows == sum(seconds for _, seconds in demo.SIMULATED_DAY) / 2
    as_simulated = set(day.labelled.windows["label"]) & {name for name, _ in demo.SIMULATED_DAY}
    assert 0 < day.n_as_simulated < n_windows
    assert as_simulated
    assert day.files.report == tmp_path / "day" / "simulated_day_report.html"
    assert "The recording is simulated" in day.files.report.read_text(encoding="utf-8")
    assert "is simulated" in json.loads(day.files.summary.read_text())["notices"][0]


@pytest.mark.parametrize("name", ["config.yaml", "thesis.txt"])
def test_a_folder_of_somebody_else_is_never_removed(tmp_path, name):
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / name).write_text("years of work")
    with pytest.raises(DataError, match="was not made by the demonstration"):
        run_demo(folder, overwrite=True)
    assert (folder / name).read_text() == "years of work"


def test_an_impossible_name_is_refused_before_anything_is_touched(tmp_path):
    folder = tmp_path / "my run"
    folder.mkdir()
    (folder / MARKER).write_text("")
    with pytest.raises(ConfigError, match="experiment_name"):
        run_demo(folder, overwrite=True)
    assert (folder / MARKER).exists()


def earlier_demo(folder):
    folder.mkdir()
    for name in (MARKER, "report.html", "old.txt"):
        (folder / name).write_text("old")
    return folder


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("error", [DataError("no"), KeyboardInterrupt()])
def test_an_earlier_demonstration_comes_back_if_the_new_one_fails(tmp_path, monkeypatch, error):
    folder = earlier_demo(tmp_path / "demo")
    before, seen = contents(folder), []

    def fail(recordings):
        seen.append(sorted(path.name for path in folder.iterdir()))
        raise error

    monkeypatch.setattr(demo, "write_watch_recordings", fail)
    with pytest.raises(type(error)):
        run_demo(folder, overwrite=True)
    assert seen == [[".lock", MARKER, "data"]]
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


KILLED = """
import os, sys
from pathlib import Path
from patchtst_har import demo
demo.write_watch_recordings = lambda recordings: os.kill(os.getpid(), 9)
demo.run_demo(Path(sys.argv[1]), overwrite=True)
"""


@pytest.mark.spawns
def test_an_earlier_demonstration_comes_back_after_a_kill(tmp_path):
    folder = earlier_demo(tmp_path / "demo")
    before = contents(folder)
    done = subprocess.run([*python(), "-c", KILLED, str(folder)], capture_output=True, timeout=120)
    assert done.returncode == -9, done.stderr
    assert not (folder / "old.txt").exists()
    with pytest.raises(DataError, match="is not empty"):
        run_demo(folder)
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_of_two_whole_demonstrations_the_later_stays(tmp_path):
    folder = earlier_demo(tmp_path / "demo")
    left = earlier_demo(tmp_path / "left")
    (left / "old.txt").write_text("older")
    demo._put_back(folder, left)
    assert contents(folder)["old.txt"] == "old"
    assert not left.exists()
