import json
import shutil

import pytest

from patchtst_har.config import DataConfig
from patchtst_har.datasets.simulated_capture24 import write_capture24
from patchtst_har.datasets.splits import split_participants

PEOPLE = ("P001", "P002", "P006", "P009", "P101", "P102")


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """Six people in the layout of CAPTURE-24, of whom P006 and P009 validate. Do not write into it."""
    folder = tmp_path_factory.mktemp("published") / "capture24"
    write_capture24(folder, PEOPLE, bout_s=20)
    return folder


def error_of(result) -> str:
    status, out, err = result
    assert (status, out) == (2, ""), err
    return err


@pytest.mark.trains
def test_from_the_published_files_to_the_benchmark(cli, published, tmp_path):
    data, run = tmp_path / "processed", tmp_path / "runs" / "first"
    status, out, err = cli("prepare", "capture24", published, "--schema", "Walmsley2020", "--out", data)
    assert status == 0, err
    assert "6 participants, classes: light, moderate-vigorous, sedentary, sleep" in out
    assert "windows: light 24, moderate-vigorous 24, sedentary 24, sleep 12" in out
    assert "windows left out: unlabelled 18" in out
    assert "6,000 samples of 6 participants have annotations without a class: 'unknown;9900" in err

    options = ("--set", f"data.proc_dir={data}", "--set", f"output_dir={tmp_path / 'runs'}")
    options += ("--preset", "seed", "--set", "experiment_name=first", "--set", "training.epochs=1")
    error = cli("train", *options, "--split", "capture24-seed")[2]
    assert (
        "capture24-seed needs P001 to P151, the data set lacks P003 to P005, P007, P008, P010 to P100"
        in error
    )
    assert "P103 to P151; data.split_missing=leave_out divides those it has" in error
    some = ("--split", "capture24-seed", "--set", "data.split_missing=leave_out")
    status, out, err = cli("train", *options, *some)
    assert status == 0, err
    assert "people: 2 to train on, 2 to validate, 2 to test on" in out
    split = json.loads((run / "model" / "provenance.json").read_text())["split"]
    assert (split["train"], split["val"], split["test"]) == (
        ["P001", "P002"], ["P006", "P009"], ["P101", "P102"],
    )  # fmt: skip

    evaluate = ("evaluate", data, "--model", run / "model")
    error = error_of(cli(*evaluate, "--split", "capture24-benchmark"))
    assert "tests on P101 to P151, the data set lacks P103 to P151; --participants judges those" in error
    status, out, err = cli(*evaluate, "--participants", "P101,P102")
    assert status == 0, err
    assert "2 participants" in out


def test_evaluate_takes_the_test_people_of_the_benchmark(cli, prepared, tmp_path, monkeypatch):
    data = shutil.copytree(prepared / "prepared", tmp_path / "data")
    names = [f"P{number:03d}" for number in range(101, 152)]
    rows = [f"{name},ok,P01.npz" for name in names]
    (data / "manifest.csv").write_text("\n".join(["participant,status,outfile", *rows, "P002,ok,P02.npz"]))
    asked = []
    monkeypatch.setattr("patchtst_har.datasets.prepared._check_distinct", lambda *_: None)
    monkeypatch.setattr(
        "patchtst_har.evaluation.folder.evaluate_folder",
        lambda _, __, people, **___: asked.append(people) or 1 / 0,
    )
    arguments = ("evaluate", data, "--model", "any", "--split", "capture24-benchmark")
    with pytest.raises(ZeroDivisionError):
        cli(*arguments)
    assert asked == [tuple(names)]
    status, _, err = cli(*arguments, "--participants", "P101")
    assert status == 2
    assert "--participants and --split exclude each other" in err


def test_the_seed_split_has_people_of_these_examples():
    config = DataConfig(split="capture24-seed", split_missing="leave_out")
    assert split_participants(PEOPLE, config).val == ("P006", "P009")


@pytest.mark.slow
def test_a_schema_is_asked_for_and_looked_up(cli, published, tmp_path):
    arguments = ("prepare", "capture24", published, "--out", tmp_path / "out")
    known = (
        "WillettsSpecific2018, WillettsMET2018, DohertySpecific2018, Willetts2018, Doherty2018, Walmsley2020"
    )
    assert f"--schema: is missing ({published}/annotation-label-dictionary.csv has {known})" in error_of(
        cli(*arguments)
    )
    assert f"no schema 'Own' (it has {known})" in error_of(cli(*arguments, "--schema", "Own"))
    error = error_of(cli(*arguments, "--schema", "Doherty2018", "--set", "data.hop_size=500"))
    assert "data.hop_size: the windows of CAPTURE-24 need 1000, not 500" in error
    assert "capture24 takes classes from its own dictionary (--schema)" in error_of(
        cli(*arguments, "--schema", "Doherty2018", "--labels", "x.csv", "--label-column", "y")
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_word_and_a_folder_of_that_name_are_kept_apart(cli, published, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = ("--out", tmp_path / "out")
    assert "capture24 needs the data set's folder" in error_of(cli("prepare", "capture24", *out))
    # A folder of recordings that has that name.
    (tmp_path / "capture24").mkdir()
    shutil.copy(published / "P001.csv.gz", tmp_path / "capture24")
    assert "--schema belongs to: prepare capture24 FOLDER" in error_of(
        cli("prepare", "capture24", "--schema", "Walmsley2020", *out)
    )
    status, text, err = cli("prepare", "capture24", *out)
    assert status == 0, err
    assert "1 participants, classes: 9000 asleep in bed;MET 1.0, home;kitchen;" in text
    # The folder behind the word.
    published = shutil.copytree(published, tmp_path / "published")
    status, text, err = cli("prepare", "capture24", "published", "--schema", "Doherty2018", "--out", "own")
    assert status == 0, err
    assert "6 participants" in text
    for wrong in (("other", "published"), ("capture24", "published", "more"), ("published", "capture24")):
        assert "one folder is prepared: FOLDER, or capture24 FOLDER" in error_of(cli("prepare", *wrong, *out))
    error = error_of(cli("prepare", "published", "--out", "third"))
    assert "published: has the layout of CAPTURE-24; prepare capture24 published --schema" in error
    assert not (tmp_path / "third").exists()


@pytest.mark.slow
def test_an_interruption_says_how_to_go_on(cli, published, tmp_path, monkeypatch):
    arguments = ("prepare", "capture24", published, "--schema", "Walmsley2020", "--out", tmp_path / "out")

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("patchtst_har.datasets.prepared_writer.PreparedWriter.finish", interrupted)
        status, _, err = cli(*arguments)
    assert status == 130
    assert "interrupted; the same command goes on with the recordings that are left" in err
    monkeypatch.setattr("patchtst_har.datasets.prepared_writer.PreparedWriter.add", interrupted)
    status, out, err = cli(*arguments)
    assert status == 0, err
    assert "6 participants" in out
