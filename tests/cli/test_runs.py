"""`patchtst-har runs`: as a user of many runs meets it."""

import json

import pytest

from patchtst_har.support.folders import folder_lock
from run_folders import PEOPLE, write_run


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two runs, and a folder that is none. Do not change their files."""
    root = tmp_path_factory.mktemp("runs")
    write_run(root / "first", people=PEOPLE)
    write_run(root / "second", right=0.9, seed=1)
    (root / "notes").mkdir()
    return root


def error_of(result):
    status, out, err = result
    assert (status, out) == (2, ""), err
    (line,) = err.splitlines()
    assert line.startswith("patchtst-har: error: ")
    return line


def test_help_says_what_there_is(cli):
    status, out, _ = cli("runs", "--help")
    assert status == 0
    for name in ("list", "show", "compare"):
        assert name in out
        status, text, _ = cli("runs", name, "--help")
        assert status == 0
        assert f"Usage: patchtst-har runs {name}" in text


def test_runs_are_listed_and_other_folders_named(cli, root):
    with folder_lock(root / "second"):
        status, out, err = cli("runs", "list", "--root", root)
    assert status == 0
    rows = {line.split()[0]: line for line in out.splitlines() if "8 test" in line}
    assert "running" in rows["second"]
    assert "finished" in rows["first"]
    assert "3/30" in rows["first"]
    assert (
        err == f"patchtst-har: warning: skipped: {root}/notes: is not a run folder (it has no config.yaml)\n"
    )


def test_a_list_as_json(cli, root):
    _, out, _ = cli("runs", "list", "--root", root, "--json")
    first = {run["name"]: run for run in json.loads(out)}["first"]
    assert (first["state"], first["epochs"], first["epochs_asked_for"]) == ("finished", 3, 30)
    assert first["people"]["test"] == list(PEOPLE)
    assert first["data_fingerprint"] == "ab" * 32
    assert first["scores"]["final_macro_f1"] > 0.5


def test_a_run_is_shown(cli, root):
    status, out, err = cli("runs", "show", "first", "--root", root)
    assert status == 0, err
    for part in (
        "finished",
        "abababab",
        "P01, P02",
        "final_macro_f1",
        "2.13.0",
        "training.lr",
        "metrics.jsonl",
    ):
        assert part in out
    assert cli("runs", "show", root / "first")[1] == out


def test_what_is_no_run_is_refused(cli, root, tmp_path):
    assert "notes: is not a run folder" in error_of(cli("runs", "show", "notes", "--root", root))
    assert "away: no such run folder" in error_of(cli("runs", "show", "away", "--root", root))
    assert "absent: no such folder of runs" in error_of(cli("runs", "list", "--root", tmp_path / "absent"))
    broken = write_run(tmp_path / "broken", people=PEOPLE[:2])
    (broken / "evaluation.json").write_text('{"classes": []}')
    assert "evaluation.json: raw: Field required" in error_of(cli("runs", "show", broken))
    page = tmp_path / "page.html"
    other = root / "first"
    assert "evaluation.json: raw" in error_of(cli("runs", "compare", other, broken, "--out", page))
    assert not page.exists()


def test_runs_are_compared(cli, root):
    status, out, err = cli("runs", "compare", "first", "second", "--root", root)
    assert status == 0, err
    assert "Settings that differ: none" in out
    assert "macro F1, as predicted" in out
    assert "second minus first, 8 participants held out in both, intervals of 95 %:" in out
    (line,) = (line for line in out.splitlines() if line.startswith("  macro F1: +"))
    assert " to +" in line


@pytest.mark.parametrize("names", [("first",), ("first", "first")])
def test_one_run_cannot_be_compared(cli, root, names):
    message = error_of(cli("runs", "compare", *names, "--root", root))
    assert "needs two different runs or more" in message
