"""Many recordings: finished ones are kept, bad ones fail alone, the files do not depend on who made them."""

import csv
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cohorts import contents, summaries, write_cohort, write_npz
from patchtst_har import Recognizer
from patchtst_har.cohort import LabelOptions, Outputs, job, label_recordings
from patchtst_har.cohort.workers import LocalWorkers, WorkerDied
from patchtst_har.errors import DataError, MissingDependencyError, WorkersError
from patchtst_har.inference.label_file import label_file
from patchtst_har.reports.prediction_files import write_prediction
from patchtst_har.summaries import SummaryRules
from patchtst_har.support import process_memory
from patchtst_har.support.files import owner
from patchtst_har.support.folders import folder_lock

RUN = """
import sys
from patchtst_har.cohort import label_recordings
if __name__ == "__main__":
    label_recordings([sys.argv[1]], sys.argv[2], model=sys.argv[3], workers=int(sys.argv[4]))
"""


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_what_a_run_leaves(cohort, model, tmp_path):
    out, seen = tmp_path / "out", []
    result = label_recordings([cohort], out, model=model, on_progress=lambda *step: seen.append(step))
    assert (result.n_labelled, result.n_finished_before, result.failures) == (4, 0, ())
    assert seen[-1] == (4, 4, "recordings")
    assert sorted(path.name for path in out.iterdir()) == [
        *("cohort.html", "cohort.json", "daily.csv", "dictionary.csv", "failures.csv"),
        *("recordings", "recordings.csv", "timings.csv"),
    ]
    assert len(list((out / "recordings" / "site1").iterdir())) == 2 * 4
    explained = [row["name"] for row in rows(out / "dictionary.csv") if row["table"] == "daily.csv"]
    columns = list(rows(out / "daily.csv")[0])
    assert explained[:-1] == columns[: len(explained) - 1]
    assert all(name.startswith("minutes: ") for name in columns[len(explained) - 1 :])
    table = pd.read_csv(result.files.table)
    assert list(table["recording"]) == ["site0/P00", "site0/P02", "site1/P01", "site1/P03"]
    assert table["source"][2] == str(cohort / "site1" / "P01.npz")
    alone = label_file(cohort / "site1" / "P01.npz", model)
    labels = pd.read_csv(out / "recordings" / "site1" / "P01_labels.csv")
    assert list(labels["label"]) == list(alone.timeline["label"])
    summary = json.loads((out / "recordings" / "site1" / "P01_summary.json").read_text())
    assert summary["recording"]["name"] == "site1/P01"
    for name, minutes in summary["minutes"].items():
        assert table[f"minutes_{name}"][2] == pytest.approx(minutes, abs=1e-6)
    assert table["hours"][2] == pytest.approx(20 / 3600, rel=0.01)
    assert rows(result.files.failures) == []
    times = rows(out / "timings.csv")
    assert {row["recording"] for row in times} == set(table["recording"])
    assert all(float(row["seconds"]) > 0 for row in times)


def test_a_second_run_labels_nothing_again(cohort, model, tmp_path):
    label_recordings([cohort], tmp_path / "out", model=model)
    before, files = summaries(tmp_path / "out"), contents(tmp_path / "out")
    result = label_recordings([cohort], tmp_path / "out", model=model)
    assert (result.n_labelled, result.n_finished_before) == (4, 4)
    assert summaries(tmp_path / "out") == before
    assert contents(tmp_path / "out") == files


def test_a_source_that_changed_is_labelled_again_and_no_other(model, tmp_path):
    folder, out = write_cohort(tmp_path / "in", 3), tmp_path / "out"
    label_recordings([folder], out, model=model)
    before = summaries(out)
    write_npz(folder / "site1" / "P01.npz", seed=99, seconds=30)
    result = label_recordings([folder], out, model=model)
    assert (result.n_labelled, result.n_finished_before) == (3, 2)
    assert {name for name, state in summaries(out).items() if state != before[name]} == {"P01_summary.json"}
    assert pd.read_csv(result.files.table).set_index("recording")["hours"]["site1/P01"] > 25 / 3600


def test_a_moved_source_is_the_same_but_another_of_its_name_is_not(cohort, model, tmp_path):
    shutil.copytree(cohort, tmp_path / "in")
    out = tmp_path / "out"
    label_recordings([tmp_path / "in"], out, model=model)
    (tmp_path / "in").rename(tmp_path / "moved")
    assert label_recordings([tmp_path / "moved"], out, model=model).n_finished_before == 4
    write_npz(tmp_path / "other" / "site0" / "P00.npz", seed=50)
    result = label_recordings([tmp_path / "other"], out, model=model)
    (failure,) = result.failures
    assert failure.recording == "site0/P00"
    assert "is the summary of another file of this name" in failure.reason
    assert label_recordings([tmp_path / "other"], out, model=model, overwrite=True).failures == ()


def test_files_that_are_gone_are_made_again(cohort, model, tmp_path):
    label_recordings([cohort], tmp_path / "out", model=model)
    before = contents(tmp_path / "out")
    (tmp_path / "out" / "recordings" / "site0" / "P02_labels.csv").unlink()
    (tmp_path / "out" / "recordings" / "site1" / "P03_summary.json").write_text("{")
    assert label_recordings([cohort], tmp_path / "out", model=model).n_finished_before == 2
    assert contents(tmp_path / "out") == before


@pytest.mark.slow
def test_other_settings_are_refused_by_name_or_label_all_again(cohort, model, tmp_path):
    out = tmp_path / "out"
    label_recordings([cohort], out, model=model)
    before = contents(out)
    for changes, text in (
        ({"options": LabelOptions(smoothing="none")}, 'options.smoothing was null, is "none"'),
        (
            {"options": LabelOptions(summaries=SummaryRules(inactive=("sitting",)))},
            'options.summaries.inactive was null, is ["sitting"]',
        ),
        ({"outputs": Outputs(windows=True)}, "outputs.windows was false, is true"),
        (
            {"options": LabelOptions(non_wear="off", strict=True)},
            "options.strict was false, is true; options.non_wear",
        ),
    ):
        with pytest.raises(DataError, match="labelled with other settings") as raised:
            label_recordings([cohort], out, model=model, **changes)
        assert text in str(raised.value)
    assert contents(out) == before
    again = label_recordings([cohort], out, model=model, outputs=Outputs(windows=True), overwrite=True)
    assert (again.n_labelled, again.n_finished_before) == (4, 0)
    assert (out / "recordings" / "site0" / "P00_windows.csv").exists()
    assert not (out / "recordings.parquet").exists()
    # Nothing is left to be labelled again.
    again = label_recordings([cohort], out, model=model, outputs=Outputs(windows=True))
    assert again.n_finished_before == 4


@pytest.mark.slow
def test_an_interrupted_overwrite_goes_on_without_leftovers(cohort, model, tmp_path, monkeypatch):
    out, written = tmp_path / "out", []
    label_recordings([cohort], out, model=model, outputs=Outputs(windows=True))

    def write(*arguments, **options):
        if written:
            raise KeyboardInterrupt
        written.append(write_prediction(*arguments, **options))

    with monkeypatch.context() as patched:
        patched.setattr(job, "write_prediction", write)
        with pytest.raises(KeyboardInterrupt):
            label_recordings([cohort], out, model=model, overwrite=True)
    assert len(list(out.rglob("*_windows.csv"))) == 2
    again = label_recordings([cohort], out, model=model)
    assert (again.n_labelled, again.n_finished_before) == (4, 1)
    assert not list(out.rglob("*_windows.csv"))


def test_another_model_or_version_is_another_setting(cohort, model, tmp_path, monkeypatch):
    out, other = tmp_path / "out", tmp_path / "model"
    label_recordings([cohort], out, model=model)
    shutil.copytree(model, other)
    smoother = json.loads((other / "smoothing.json").read_text())
    (other / "smoothing.json").write_text(json.dumps(smoother))
    with pytest.raises(DataError, match=r"model\.sha256 was"):
        label_recordings([cohort], out, model=other)
    monkeypatch.setattr("patchtst_har.cohort.settings.__version__", "0.2.0")
    with pytest.raises(DataError, match=r'version was "0\.1\.0", is "0\.2\.0"'):
        label_recordings([cohort], out, model=model)


def test_an_adaptation_is_used_and_is_a_setting(cohort, model, tmp_path):
    windows = np.random.default_rng(0).normal(size=(20, 200, 3)).astype(np.float32)
    adaptation = tmp_path / "own.safetensors"

    def adapted_to(n_sitting):
        labels = ["sitting"] * n_sitting + ["walking"] * (20 - n_sitting)
        Recognizer.from_pretrained(model).adapt(windows, labels).save_adaptation(adaptation)
        return {"options": LabelOptions(adaptation=adaptation)}

    label_recordings([cohort], tmp_path / "out", model=model, **adapted_to(4))
    summary = json.loads((tmp_path / "out/recordings/site0/P00_summary.json").read_text())
    assert summary["model"]["adapted_to"] == "sitting 4 windows (8 s), walking 16 windows (32 s)"
    adaptation.unlink()
    assert "options.adaptation was" in error_of(cohort, tmp_path / "out", model, **adapted_to(16))


def test_a_folder_of_other_files_is_refused(cohort, model, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(DataError, match=r"holds other files \(such as note\.txt\)"):
        label_recordings([cohort], tmp_path, model=model)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_results_inside_the_folder_of_recordings_are_not_labelled(model, tmp_path):
    folder = write_cohort(tmp_path / "in", 2)
    out = folder / "labels"
    first = label_recordings([folder], out, model=model, outputs=Outputs(windows=True))
    again = label_recordings([folder], out, model=model, outputs=Outputs(windows=True))
    assert (first.n_labelled, again.n_finished_before, again.failures) == (2, 2, ())


def test_bad_recordings_fail_alone_with_their_reasons(model, tmp_path, monkeypatch):
    folder, out = write_cohort(tmp_path / "in", 2), tmp_path / "out"
    (folder / "cut.npz").write_bytes((folder / "site0" / "P00.npz").read_bytes()[:500])
    (folder / "empty.csv").write_text("")
    (folder / "link.csv").symlink_to("gone.csv")
    (folder / "=1+1.csv").write_text("x")
    (folder / ("n" * 235 + ".npz")).write_bytes((folder / "site0" / "P00.npz").read_bytes())
    write_npz(folder / "short.npz", seconds=1)
    result = label_recordings([folder], out, model=model)
    assert result.n_labelled == 2
    reasons = {Path(row["source"]).name: row for row in rows(out / "failures.csv")}
    assert {name: row["error"] for name, row in reasons.items()} == {
        **dict.fromkeys(("cut.npz", "empty.csv", "link.csv", "=1+1.csv", "short.npz"), "DataError"),
        "n" * 235 + ".npz": "OSError",
    }
    assert reasons["=1+1.csv"]["recording"] == ""
    for name, text in (
        ("empty.csv", "the file is empty"),
        ("link.csv", "is a link to a file that does not exist"),
        ("=1+1.csv", "a spreadsheet would run it as a formula"),
        ("n" * 235 + ".npz", "File name too long"),
    ):
        assert text in reasons[name]["reason"]
        assert reasons[name]["reason"].startswith(str(folder)) or name.startswith("n")
    assert list(pd.read_csv(out / "recordings.csv")["recording"]) == ["site0/P00", "site1/P01"]
    # Once mended, it is labelled; the others are tried again.
    write_npz(folder / "short.npz", seconds=20)
    assert len(label_recordings([folder], out, model=model).failures) == 5


def test_a_bug_is_a_failure_with_its_place(cohort, model, tmp_path, monkeypatch):
    def label(recognizer, model_dir, path, **more):
        if path.name == "P02.npz":
            raise IndexError("out of range")
        if path.name == "P03.npz":
            raise MemoryError
        return label_with(recognizer, model_dir, path, **more)

    label_with = job.label_with
    monkeypatch.setattr(job, "label_with", label)
    result = label_recordings([cohort], tmp_path / "out", model=model)
    bug, memory = result.failures
    assert (bug.recording, bug.error) == ("site0/P02", "IndexError")
    assert "P02.npz: a bug (out of range; test_run.py, line " in bug.reason
    assert memory.reason.endswith("P03.npz: not enough memory (allocation failed)")
    monkeypatch.setattr(process_memory, "_LITTLE_BYTES", 2**62)
    result = label_recordings([cohort], tmp_path / "again", model=model)
    assert result.failures[0].reason.endswith("P02.npz: not enough memory (IndexError: out of range)")


def test_a_full_disk_ends_the_run_and_is_named(cohort, model, tmp_path, monkeypatch):
    def write(folder, labelled, **more):
        if labelled.name == "P01":
            raise OSError(errno.ENOSPC, "No space left on device", str(folder / "P01_labels.csv"))
        return write_prediction(folder, labelled, **more)

    write_prediction = job.write_prediction
    with monkeypatch.context() as patch:
        patch.setattr(job, "write_prediction", write)
        with pytest.raises(
            WorkersError, match=r"P01_labels\.csv: No space left on device; 2 recordings are finished"
        ):
            label_recordings([cohort], tmp_path / "out", model=model)
    assert not (tmp_path / "out" / "recordings.csv").exists()
    assert label_recordings([cohort], tmp_path / "out", model=model).n_finished_before == 2


def test_an_interruption_keeps_what_is_finished(cohort, model, tmp_path):
    def interrupt(done, total, what):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label_recordings([cohort], tmp_path / "out", model=model, on_progress=interrupt)
    with folder_lock(tmp_path / "out"):
        pass
    assert label_recordings([cohort], tmp_path / "out", model=model).n_finished_before == 2


def test_two_runs_on_one_folder_are_refused(cohort, model, tmp_path):
    out = tmp_path / "out"
    problems = []

    def second(done, total, what):
        # Another thread: the lock of the same one would be entered again.
        run = threading.Thread(
            target=lambda: problems.extend(
                [error_of(cohort, out, model), error_of(cohort, out, model, shard=(1, 2))]
            )
        )
        run.start()
        run.join()

    label_recordings([cohort / "site0" / "P00.npz"], out, model=model, on_progress=second)
    assert "is being written by process" in problems[0]
    assert "is being written by a run of all recordings" in problems[1]
    with pytest.raises(ValueError, match="exclude each other"), ThreadPoolExecutor(1) as pool:
        label_recordings([cohort], out, model=model, workers=2, executor=pool)


def error_of(cohort, out, model, **more):
    with pytest.raises(DataError) as raised:
        label_recordings([cohort], out, model=model, **more)
    return str(raised.value)


@pytest.mark.slow
def test_shards_run_next_to_each_other_and_a_last_run_collates(cohort, model, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    label_recordings([cohort], whole, model=model)
    problems = []

    def others(done, total, what):
        run = threading.Thread(
            target=lambda: problems.extend(
                [
                    label_recordings([cohort], out, model=model, shard=(2, 3)).n_labelled,
                    error_of(cohort, out, model, shard=(1, 3)),
                    error_of(cohort, out, model),
                ]
            )
        )
        run.start()
        run.join()

    first = label_recordings([cohort], out, model=model, shard=(1, 3), on_progress=others)
    assert (first.n_labelled, first.files) == (2, None)
    assert problems[0] == 1
    assert "is being written by process" in problems[1]
    assert "shard 1-of-3 is being labelled" in problems[2]
    assert not (out / "recordings.csv").exists()
    assert label_recordings([cohort], out, model=model).n_finished_before == 3
    assert {name: content for name, content in contents(out).items() if "shards" not in name} == contents(
        whole
    )


@pytest.mark.slow
def test_a_line_that_a_kill_cut_short_stays_alone(cohort, model, tmp_path):
    label_recordings([cohort / "site0"], tmp_path / "out", model=model)
    timings = tmp_path / "out" / "timings.csv"
    timings.write_bytes(timings.read_bytes()[:-5])
    label_recordings([cohort], tmp_path / "out", model=model)
    names = [row["recording"] for row in rows(timings)]
    assert names == ["P00", "P02", "site0/P00", "site0/P02", "site1/P01", "site1/P03"]


@pytest.mark.spawns
def test_temporaries_of_killed_processes_are_removed(cohort, model, tmp_path):
    out = tmp_path / "out"
    label_recordings([cohort], out, model=model)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    place = owner().rpartition("-")[0]
    orphan = out / "recordings" / "site1" / f".P01_labels.csv.{place}-{gone.pid}.abc.part"
    orphan.write_text("half")
    alive = orphan.with_name(f".P01_labels.csv.{owner()}.abc.part")
    alive.write_text("another's")
    label_recordings([cohort], out, model=model)
    assert not orphan.exists()
    assert alive.exists()


@pytest.mark.slow
def test_tables_as_parquet(cohort, model, tmp_path, monkeypatch):
    out = tmp_path / "out"
    outputs = Outputs(table="parquet", windows=True)
    label_recordings([cohort], out, model=model, outputs=outputs)
    label_recordings([cohort], tmp_path / "csv", model=model, outputs=Outputs(windows=True))
    assert len(pd.read_parquet(out / "recordings.parquet")) == 4
    for name in ("labels", "windows"):
        table = pd.read_parquet(out / "recordings" / "site0" / f"P00_{name}.parquet")
        same = pd.read_csv(tmp_path / "csv" / "recordings" / "site0" / f"P00_{name}.csv")
        assert list(table["label"]) == list(same["label"])
        np.testing.assert_allclose(table["probability"], same["probability"], atol=1e-6)
    monkeypatch.setattr("patchtst_har.reports.prediction_files.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"patchtst-har\[parquet\]"):
        label_recordings([cohort], tmp_path / "new", model=model, outputs=outputs)
    assert not (tmp_path / "new").exists()
    # Of other settings, nothing stays that these do not write.
    label_recordings([cohort], out, model=model, overwrite=True)
    assert not [path for path in out.rglob("*") if path.suffix == ".parquet" or "windows" in path.name]


class Counting(Executor):
    """Runs calls late, and knows how many waited at most."""

    def __init__(self):
        self.waiting, self.most = [], 0

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        self.waiting.append((future, fn, args))
        self.most = max(self.most, len(self.waiting))
        if len(self.waiting) == 3:
            threading.Timer(0.01, self.answer).start()
        return future

    def answer(self):
        while self.waiting:
            future, fn, args = self.waiting.pop()
            future.set_result(fn(*args))


@pytest.mark.slow
def test_any_executor_gives_the_same_files_with_few_calls_waiting(cohort, model, tmp_path):
    label_recordings([cohort], tmp_path / "a", model=model)
    executor = Counting()
    label_recordings([cohort], tmp_path / "b", model=model, executor=executor, most_waiting=3)
    assert executor.most == 3
    with ThreadPoolExecutor(3) as pool:
        label_recordings([cohort], tmp_path / "c", model=model, executor=pool)
    assert contents(tmp_path / "a") == contents(tmp_path / "b") == contents(tmp_path / "c")


class Calling(Executor):
    """Calls at once, in its own way."""

    def __init__(self, call):
        self.call = call

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        future.set_result(self.call(fn, *args))
        return future


def test_a_call_that_is_repeated_labels_nothing_again(cohort, model, tmp_path):
    before = {}

    def twice(label_one, run, source):
        assert label_one(run, source).seconds > 0
        before.update(summaries(tmp_path / "out"))
        return label_one(run, source)

    label_recordings([cohort], tmp_path / "out", model=model, executor=Calling(twice))
    assert len(before) == 4
    assert summaries(tmp_path / "out") == before
    assert {row["seconds"] for row in rows(tmp_path / "out" / "timings.csv")} == {"0.000"}


def test_a_worker_of_another_version_ends_the_run(cohort, model, tmp_path):
    older = Calling(lambda label_one, run, source: label_one(replace(run, version="0.0.1"), source))
    with pytest.raises(WorkersError, match=r"has patchtst-har .*, the run 0\.0\.1: install the same"):
        label_recordings([cohort], tmp_path / "out", model=model, executor=older)
    assert summaries(tmp_path / "out") == {}


def test_a_file_that_another_run_wrote_meanwhile_is_not_replaced(cohort, model, tmp_path):
    other = write_npz(tmp_path / "other" / "site0" / "P00.npz", seed=50)

    def late(label_one, run, source):
        if source.name == "site0/P00":
            label_one(run, replace(source, path=other))
        return label_one(run, source)

    result = label_recordings([cohort], tmp_path / "out", model=model, executor=Calling(late))
    (failure,) = result.failures
    assert (failure.recording, failure.error) == ("site0/P00", "DataError")
    assert f"is the summary of another file of this name, {other}" in failure.reason


class Broken(Executor):
    """A pool of another package that breaks with its third call."""

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls == 3:
            future.set_exception(BrokenProcessPool("terminated abruptly"))
        elif self.calls > 3:
            raise BrokenProcessPool("terminated abruptly")
        else:
            future.set_result(fn(*args))
        return future


def test_a_pool_that_breaks_for_good_ends_the_run(cohort, model, tmp_path):
    with pytest.raises(
        WorkersError, match=r"the workers were lost while they had site1/P01 \(terminated abruptly\)"
    ):
        label_recordings([cohort], tmp_path / "out", model=model, executor=Broken(), most_waiting=1)
    assert label_recordings([cohort], tmp_path / "out", model=model).n_finished_before == 2


@pytest.mark.spawns
def test_two_workers_leave_the_same_bytes_and_use_one_thread_each(cohort, model, tmp_path):
    label_recordings([cohort], tmp_path / "a", model=model)
    label_recordings([cohort], tmp_path / "b", model=model, workers=2)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert "OMP_NUM_THREADS" not in set(os.environ) or os.environ["OMP_NUM_THREADS"] == "1"
    with LocalWorkers(1) as pool:
        variables = pool.submit(os.getenv, "OPENBLAS_NUM_THREADS").result()
        with pytest.raises(ZeroDivisionError):
            pool.submit(divmod, 1, 0).result()
    assert variables == "1"
    assert active_children() == []


def kill_who_reads(path, killed, stop):
    """Kill every process of ours that opens a file, by its number in /proc."""
    while not stop.is_set():
        for child in active_children():
            try:
                opened = [str(entry.readlink()) for entry in Path(f"/proc/{child.pid}/fd").iterdir()]
            except OSError:
                continue
            if str(path) in opened and child.pid not in killed:
                killed.append(child.pid)
                os.kill(child.pid, signal.SIGKILL)
        time.sleep(0.002)


@pytest.mark.spawns
def test_a_recording_that_kills_its_worker_fails_alone(model, tmp_path):
    folder, out = write_cohort(tmp_path / "in", 3), tmp_path / "out"
    # Long enough to be seen while it is read.
    big = folder / "site0" / "P09.csv"
    big.write_text("time,x,y,z\n" + "".join(f"{10 * row},0.0,0.0,1.0\n" for row in range(200_000)))
    killed, stop = [], threading.Event()
    killer = threading.Thread(target=kill_who_reads, args=(big, killed, stop))
    killer.start()
    try:
        result = label_recordings([folder], out, model=model, workers=2)
    finally:
        stop.set()
        killer.join()
    assert len(killed) == 2, "it is tried once more, alone"
    assert result.n_labelled == 3
    (failure,) = result.failures
    assert (failure.recording, failure.error) == ("site0/P09", "WorkerDied")
    assert failure.reason == f"{big}: worker died (signal 9; likely memory)"
    assert not list(out.rglob("*.part"))


@pytest.mark.spawns
def test_a_killed_worker_costs_nothing_that_is_finished(cohort, model, tmp_path):
    def kill(done, total, what):
        if done == 2:
            before.update(summaries(tmp_path / "out"))
            os.kill(active_children()[0].pid, signal.SIGKILL)

    before = {}
    result = label_recordings([cohort], tmp_path / "out", model=model, workers=2, on_progress=kill)
    assert (result.n_labelled, result.failures) == (4, ())
    assert len(before) >= 2
    after = summaries(tmp_path / "out")
    assert {name: after[name] for name in before} == before
    label_recordings([cohort], tmp_path / "alone", model=model)
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")


@pytest.mark.spawns
@pytest.mark.long
def test_a_killed_run_goes_on_where_it_was(model, tmp_path):
    folder, out = write_cohort(tmp_path / "in", 16), tmp_path / "out"
    command = [sys.executable, "-c", RUN, str(folder), str(out), str(model), "2"]
    run = subprocess.Popen(command, start_new_session=True)
    end = time.monotonic() + 60
    while len(list(out.rglob("*_summary.json"))) < 3:
        assert time.monotonic() < end
        assert run.poll() is None
        time.sleep(0.002)
    run.send_signal(signal.SIGKILL)
    run.wait()
    while workers_of(run.pid):
        assert time.monotonic() < end, "its workers go on without it"
        time.sleep(0.01)
    before = summaries(out)
    assert 3 <= len(before) < 16, "it was killed in between"
    result = label_recordings([folder], out, model=model)
    assert (result.n_labelled, result.n_finished_before) == (16, len(before))
    after = summaries(out)
    assert {name: after[name] for name in before} == before
    assert not list(out.rglob("*.part"))
    label_recordings([folder], tmp_path / "alone", model=model)
    assert contents(out) == contents(tmp_path / "alone")


def workers_of(session):
    """Return the processes of a session that still run."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, its = (place / "stat").read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(its) == session and state != "Z":
            found.append(place.name)
    return found


@pytest.mark.spawns
def test_a_script_without_its_guard_is_told_so(cohort, model, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(RUN.replace('if __name__ == "__main__":', "if True:"))
    command = [sys.executable, str(script), str(cohort), str(tmp_path / "out"), str(model), "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 1
    assert "could not start (exit status 1; its error stands above)" in done.stderr.splitlines()[-1]
    assert "needs the line: if __name__ == '__main__':" in done.stderr.splitlines()[-1]


@pytest.mark.spawns
def test_workers_end_at_once_when_calls_are_cancelled():
    pool = LocalWorkers(1)
    running = pool.submit(time.sleep, 60)
    waiting = pool.submit(time.sleep, 60)
    while not active_children():
        time.sleep(0.01)
    start = time.monotonic()
    pool.shutdown(cancel_futures=True)
    assert time.monotonic() - start < 20
    assert waiting.cancelled()
    with pytest.raises(WorkerDied, match=r"worker died \(signal 9; likely memory\)"):
        running.result(timeout=0)
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(time.sleep, 0)
    assert str(WorkerDied(1)) == "worker died (exit status 1)"
    assert str(WorkerDied(-11)) == "worker died (signal 11)"


def test_a_process_in_which_numba_runs_can_label_and_compile_on(monkeypatch):
    import numba

    for name in job.THREAD_VARIABLES:
        monkeypatch.setenv(name, "3" if name == "OMP_NUM_THREADS" else "")
    monkeypatch.delenv("NUMBA_NUM_THREADS")
    before = numba.get_num_threads()
    try:
        job.keep_to_one_thread()
        assert (numba.get_num_threads(), os.environ["OMP_NUM_THREADS"]) == (1, "1")
        assert numba.njit(lambda x: x + 1)(1) == 2
    finally:
        numba.set_num_threads(before)
