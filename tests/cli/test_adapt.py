"""`patchtst-har adapt`, and the commands that take what it writes."""

import json

import numpy as np
import pandas as pd
import pytest

from patchtst_har import Recognizer
from patchtst_har.data import read_recording, write_recording
from patchtst_har.inference.labelled_windows import labelled_windows
from patchtst_har.synthetic import recording as make_recording

BOUTS = (("sitting", 40.0), ("walking", 60.0), ("sitting", 40.0), ("running", 60.0))


@pytest.fixture(scope="module")
def person(small_run, tmp_path_factory):
    """Model, recording of a person who wears the sensor turned, and the adaptation to it."""
    folder = tmp_path_factory.mktemp("person")
    recording = make_recording(bouts=BOUTS, start="2023-11-14 22:20:00")
    recording[["x", "y", "z"]] = recording[["z", "x", "y"]].to_numpy()
    write_recording(folder / "own.csv", recording)
    recognizer = Recognizer.from_pretrained(small_run.folder / "model")
    windows, labels = labelled_windows(read_recording(folder / "own.csv")[0], recognizer.config)
    adapted = recognizer.adapt(windows.windows, labels, windows.start_ns)
    return small_run.folder / "model", folder / "own.csv", adapted.save_adaptation(folder / "own.safetensors")


@pytest.mark.slow
def test_the_command_does_what_the_function_does(cli, person, tmp_path, monkeypatch):
    model, recording, expected = person
    monkeypatch.chdir(tmp_path)
    status, printed, err = cli("adapt", model, "--recording", recording)
    assert status == 0, err
    written = tmp_path / "own_adaptation.safetensors"
    assert written.read_bytes() == expected.read_bytes()
    assert "running 21 windows (60 s), sitting 26 windows (80 s), walking 21 windows (60 s)" in printed
    assert "left out in blocks of time, accuracy 0." in printed
    assert "optimistic: labels and test are of one bout for running, walking; another bout or day" in printed
    assert "adapting can do harm there" in printed
    assert "as trained" not in printed.replace("as trained, ", "")
    assert f"adaptation: {written.name}" in printed
    assert not list(model.glob("*adaptation*"))
    written.write_bytes(b"keep me")
    status, _, err = cli("adapt", model, "--recording", recording)
    assert (status, err.partition(": exists")[0]) == (2, f"patchtst-har: error: {written.name}")
    assert written.read_bytes() == b"keep me"
    assert cli("adapt", model, "--recording", recording, "--overwrite")[0] == 0
    assert written.read_bytes() == expected.read_bytes()


@pytest.mark.slow
def test_recordings_in_another_form_and_classes_without_labels(cli, person, tmp_path):
    model, recording, _ = person
    frame = pd.read_csv(recording).rename(columns={"x": "X (mg)", "y": "Y (mg)", "z": "Z (mg)"})
    frame[["X (mg)", "Y (mg)", "Z (mg)"]] *= 1000
    frame = frame[frame["annotation"] == "walking"]
    frame.to_csv(tmp_path / "a.csv", sep=";", index=False)
    columns = "x=X (mg),y=Y (mg),z=Z (mg)"
    options = ("--units", "mg", "--columns", columns, "--delimiter", ";")
    output = tmp_path / "new" / "a.safetensors"
    status, printed, err = cli(
        "adapt", model, "--recording", tmp_path / "a.csv", "--output", output, *options
    )
    assert status == 0, err
    assert "as trained: running, sitting (no labelled windows)" in printed
    assert Recognizer.from_pretrained(model, adaptation=output).adaptation.n_windows == {"walking": 21}


@pytest.mark.slow
def test_predict_stream_and_export_use_it(cli, person, tmp_path, monkeypatch):
    model, recording, adaptation = person
    labels = {}
    for name, options in (("plain", ()), ("own", ("--adaptation", adaptation))):
        out = tmp_path / name
        status, printed, err = cli("predict", recording, "--model", model, "--out", out, *options)
        assert status == 0, err
        assert ("adapted:   running 21 windows" in printed) == (name == "own")
        labels[name] = pd.read_csv(out / "own_windows.csv")["raw_label"]
        summary = json.loads((out / "own_summary.json").read_text())
        assert ("adapted_to" in summary["model"]) == (name == "own")
        page = (out / "own_report.html").read_text()
        assert ("running 21 windows (60 s)" in page) == (name == "own")
    truth = np.repeat([name for name, _ in BOUTS], [4, 6, 4, 6])
    assert (labels["own"] == truth).mean() > (labels["plain"] == truth).mean() + 0.2
    stream = ("stream", model, "--from", recording, "--speed", "max", "--json", "--smoothing", "none")
    status, printed, err = cli(*stream, "--adaptation", adaptation)
    assert status == 0, err
    lines = [json.loads(line) for line in printed.splitlines()]
    assert [line["label"] for line in lines] == labels["own"].tolist()
    assert all(line["unfamiliar"] == (line["distance"] > 1) for line in lines)


@pytest.mark.slow
def test_other_annotations_are_left_out_or_mapped(cli, person, tmp_path):
    model, recording, _ = person
    frame = pd.read_csv(recording)
    names = {"sitting": "at the desk", "running": "fell"}
    frame["annotation"] = frame["annotation"].replace(names)
    frame.to_csv(tmp_path / "a.csv", index=False)
    paths = [tmp_path / f"{number}.safetensors" for number in range(2)]
    status, printed, err = cli("adapt", model, "--recording", tmp_path / "a.csv", "--out", paths[0])
    assert status == 0, err
    assert "left out:   at the desk, fell (no classes of the model)" in printed
    assert Recognizer.from_pretrained(model, adaptation=paths[0]).adaptation.n_windows == {"walking": 21}
    (tmp_path / "map.csv").write_text("annotation,mine\nat the desk,sitting\nfell,\nwalking,walking\n")
    label_map = ("--labels", tmp_path / "map.csv", "--label-column", "mine")
    status, printed, err = cli(
        "adapt", model, "--recording", tmp_path / "a.csv", "--out", paths[1], *label_map
    )
    assert status == 0, err
    assert "left out" not in printed.replace("windows left out in blocks", "")
    found = Recognizer.from_pretrained(model, adaptation=paths[1]).adaptation.n_windows
    assert found == {"sitting": 26, "walking": 21}
    (tmp_path / "two.csv").write_text("annotation,mine,other\nwalking,walking,sitting\n")
    for given, reason in (
        (label_map[2:], "--label-column is a column of --labels, which is missing"),
        (("--labels", tmp_path / "two.csv"), "Name it (--label-column); found: 'mine', 'other'"),
    ):
        status, _, err = cli("adapt", model, "--recording", recording, "--out", tmp_path / "b", *given)
        assert status == 2
        assert reason in err
    # The one column there is needs no name.
    status, _, err = cli(
        "adapt", model, "--recording", tmp_path / "a.csv", "--out", paths[1], "--overwrite", *label_map[:2]
    )
    assert status == 0, err
    assert Recognizer.from_pretrained(model, adaptation=paths[1]).adaptation.n_windows == found
    status, _, err = cli("adapt", model, "--recording", recording, "--out", tmp_path / "b", *label_map)
    assert status == 2
    assert err.startswith(
        f"patchtst-har: error: {recording}: row 1 (2023-11-14 22:20:00): annotation 'sitting'"
    )
    assert not (tmp_path / "b").exists()


def test_a_person_of_the_training_is_met(cli, person, tmp_path):
    model, recording, _ = person
    known = json.loads((model / "provenance.json").read_text())["split"]["train"][0]
    for name, warned in ((known, True), (f"{known}b", False)):
        path = tmp_path / f"{name}.csv"
        path.write_bytes(recording.read_bytes())
        status, _, err = cli("adapt", model, "--recording", path, "--out", tmp_path / f"{name}.safetensors")
        assert status == 0, err
        assert (f"warning: {name} is the name of a person the model was trained on" in err) == warned


@pytest.mark.compiles
def test_an_export_is_of_the_adapted_model(cli, person, tmp_path):
    import onnx
    from onnx import numpy_helper

    model, _, adaptation = person
    status, printed, err = cli("export", model, "--out", tmp_path / "a.onnx", "--adaptation", adaptation)
    assert status == 0, err
    assert "logits within" in printed
    exported = onnx.load(tmp_path / "a.onnx")
    expected = Recognizer.from_pretrained(model, adaptation=adaptation).head()[0]
    tensors = [numpy_helper.to_array(tensor) for tensor in exported.graph.initializer]
    shapes = (expected.shape, expected.T.shape)
    assert any(
        np.allclose(t if t.shape == shapes[0] else t.T, expected) for t in tensors if t.shape in shapes
    )
    said = json.loads({entry.key: entry.value for entry in exported.metadata_props}["patchtst_har"])
    assert said["adapted_with"]["n_windows"] == {"running": 21, "sitting": 26, "walking": 21}


@pytest.mark.slow
def test_mistakes_are_one_line_and_leave_nothing(cli, person, small_run, tmp_path):
    model, recording, adaptation = person
    frame = read_recording(recording)[0]
    write_recording(tmp_path / "bare.csv", frame.drop(columns="annotation"))
    write_recording(tmp_path / "other.csv", frame.assign(annotation="swimming"))
    write_recording(tmp_path / "short.csv", frame.iloc[:500])
    before = sorted(tmp_path.iterdir())

    def error(*arguments):
        status, out, err = cli(*arguments)
        assert (status, out) == (2, "")
        assert err.count("\n") == 1
        return err.removeprefix("patchtst-har: error: ")

    output = tmp_path / "a.safetensors"
    for name, message in (
        ("bare.csv", "has no column annotation"),
        ("other.csv", "no annotation is a class of the model (running, sitting, walking): swimming"),
        ("short.csv", "no 10 s without a gap that have one annotation"),
        ("none.csv", "no such file"),
    ):
        text = error("adapt", model, "--recording", tmp_path / name, "--output", output)
        assert text.startswith(f"{tmp_path / name}: ")
        assert message in text
    assert "is a folder" in error("adapt", model, "--recording", recording, "--output", tmp_path)
    assert "is a run folder" in error("adapt", small_run.folder, "--recording", recording, "--output", output)
    predict = ("predict", recording, "--model", model, "--out", tmp_path)
    assert error(*predict, "--adaptation", output).startswith(f"{output}: no such file")
    assert "not a safetensors file" in error(*predict, "--adaptation", recording)
    adapted = Recognizer.from_pretrained(model, adaptation=adaptation)
    whole = adapted.replace(adaptation=None).save_pretrained(tmp_path / "whole")
    another = ("predict", recording, "--model", whole, "--out", tmp_path, "--adaptation", adaptation)
    assert "was made for another model" in error(*another)
    assert sorted(tmp_path.iterdir()) == [*before, whole]
