"""`patchtst-har predict` of many recordings."""

import pandas as pd
import pytest

from cohorts import contents, write_cohort
from streams import small_recognizer


@pytest.fixture
def model(tmp_path):
    return small_recognizer().save_pretrained(tmp_path / "model")


@pytest.mark.slow
def test_a_folder_a_glob_and_a_list(cli, model, tmp_path):
    folder = write_cohort(tmp_path / "in", 4)
    common = ("--model", model, "--out")
    status, out, err = cli("predict", folder, *common, tmp_path / "a")
    assert status == 0, err
    assert "labelled:  4\n" in out
    assert f"table:     {tmp_path}/a/recordings.csv" in out
    assert f"page:      {tmp_path}/a/cohort.html" in out
    assert f"daily:     {tmp_path}/a/daily.csv" in out
    status, out, _ = cli("predict", folder, *common, tmp_path / "a")
    assert "labelled:  4 (4 of them before)\n" in out
    status, out, _ = cli("predict", f"{folder}/*/P0[01].npz", *common, tmp_path / "b", "--windows")
    assert (status, "labelled:  2\n" in out) == (0, True)
    assert (tmp_path / "b" / "recordings" / "site1" / "P01_windows.csv").exists()
    listed = tmp_path / "list.csv"
    listed.write_text("path,name\nin/site0/P00.npz,first\nin/site1/P01.npz,second\n")
    status, out, _ = cli("predict", "--list", listed, *common, tmp_path / "c", "--format", "parquet")
    assert status == 0
    assert list(pd.read_parquet(tmp_path / "c" / "recordings.parquet")["recording"]) == ["first", "second"]


def test_failures_give_status_3_and_their_reasons(cli, model, tmp_path):
    folder = write_cohort(tmp_path / "in", 2)
    for number in range(12):
        (folder / f"bad{number:02d}.csv").write_text("")
    status, out, err = cli("predict", folder, "--model", model, "--out", tmp_path / "out")
    assert status == 3
    assert "failed:    12\n" in out
    assert f"patchtst-har: warning: bad00: {folder}/bad00.csv: the file is empty" in err
    assert "patchtst-har: warning: and 2 more" in err
    assert err.count("the file is empty") == 10


def test_one_file_is_a_cohort_if_an_option_of_many_says_so(cli, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write_cohort(tmp_path / "in", 1) / "site0" / "P00.npz"
    assert cli("predict", path, "--model", model, "--out", "one", "--no-report")[0] == 0
    assert {file.name for file in (tmp_path / "one").iterdir()} == {
        f"P00_{end}" for end in ("labels.csv", "windows.csv", "daily.csv", "bouts.csv", "summary.json")
    }
    status, _, err = cli("predict", path, "--model", model, "--shard", "1/1")
    assert status == 0, err
    assert (tmp_path / "cohort" / "recordings" / "P00_labels.csv").exists()
    assert (
        cli("predict", path, "--model", model, "--no-report", "--no-windows", "--format", "parquet")[0] == 0
    )
    assert (tmp_path / "P00_labels.parquet").exists()
    assert not list(tmp_path.glob("P00_windows.*"))


def test_the_end_of_one_file_has_totals(cli, model, tmp_path):
    path = write_cohort(tmp_path / "in", 1, seconds=60.0) / "site0" / "P00.npz"
    status, out, _ = cli("predict", path, "--model", model, "--out", tmp_path / "out", "--no-report")
    assert status == 0
    lines = out.partition("total:")[2].splitlines()
    totals = {line.split()[0]: line.split()[1:] for line in lines}
    labels = pd.read_csv(tmp_path / "out" / "P00_labels.csv", parse_dates=["start", "end"])
    minutes = (labels["end"] - labels["start"]).dt.total_seconds().groupby(labels["label"]).sum() / 60
    assert {name: parts[0] for name, parts in totals.items()} == {
        name: f"{value:.1f}" for name, value in minutes.items()
    }
    assert sum(float(parts[2].rstrip("%")) for parts in totals.values()) == pytest.approx(100, abs=0.2)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "name a recording, a folder, a glob in quotes or --list"),
        (
            ("a.csv", "--workers", "2", "--dask", "tcp://127.0.0.1:1"),
            "--workers and --dask exclude each other",
        ),
        (("a.csv", "--shard", "0/2"), "--shard must be like 3/10"),
        (("*.nothing",), "*.nothing: matches no recording"),
        (("--list", "gone.txt"), "gone.txt"),
        (("a.csv", "b/a.csv"), "would get the same name"),
        (("a.csv", "--dask", "tcp://127.0.0.1:1", "--model", "nowhere"), "nowhere"),
    ],
)
@pytest.mark.slow
def test_wrong_arguments_are_one_line_and_leave_nothing(cli, tmp_path, monkeypatch, arguments, text):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("patchtst_har.cohort.dask_cluster.TIMEOUT_S", 0.2)
    status, _, err = cli("predict", *arguments)
    assert status == 2
    assert text in err
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_says_how_to_go_on(cli, model, tmp_path, monkeypatch):
    def interrupted(job, source):
        raise KeyboardInterrupt

    folder = write_cohort(tmp_path / "in", 2)
    command = ("predict", folder, "--model", model, "--out", tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr("patchtst_har.cohort.run.label_one", interrupted)
        status, _, err = cli(*command)
    assert status == 130
    assert "finished recordings are kept, and the same command goes on" in err
    assert cli(*command)[0] == 0
    assert "recordings.csv" in contents(tmp_path / "out")
