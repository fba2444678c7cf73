"""`patchtst-har export` as its users meet it."""

import json
import os
import signal
from pathlib import Path

import onnx
import pytest
import torch

from patchtst_har.data import write_recording
from patchtst_har.inference.export import onnx_file
from patchtst_har.synthetic import recording as make_recording


@pytest.fixture
def export(cli, small_run):
    """Export the small model, or another."""
    return lambda *arguments, model=small_run.folder / "model": cli("export", model, *arguments)


@pytest.mark.compiles
@pytest.mark.long
def test_onnx_checked_on_a_recording(export, tmp_path):
    write_recording(tmp_path / "a.csv", make_recording(start="2023-11-14 22:20:00"))
    path = tmp_path / "model.onnx"
    status, out, err = export("--out", path, "--check-on", tmp_path / "a.csv", "--probabilities")
    assert (status, err) == (0, "")
    assert f"written: {path}\nchecked: 9 windows, logits within " in out
    assert [value.name for value in onnx.load(path).graph.output] == ["logits", "probabilities"]


@pytest.mark.compiles
def test_a_torch_program_checked_on_made_up_windows(export, tmp_path):
    path = tmp_path / "model.pt2"
    status, out, err = export("--format", "torch-export", "--out", path)
    assert (status, err) == (0, "")
    assert "checked: 33 windows" in out
    files = {"patchtst_har.json": ""}
    torch.export.load(path, extra_files=files)
    assert json.loads(files["patchtst_har.json"])["classes"] == ["running", "sitting", "walking"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("step", ["write", "load"])
@pytest.mark.slow
def test_a_signal_leaves_nothing_half_written(export, tmp_path, monkeypatch, number, step):
    """Within the writing, and within the check of what was written."""

    def ended(*arguments, **options):
        next(path for path in arguments if isinstance(path, Path)).write_bytes(b"half a model")
        os.kill(os.getpid(), number)

    monkeypatch.setattr(onnx_file, "write", lambda *arguments, **options: None)
    monkeypatch.setattr(onnx_file, step, ended)
    path = tmp_path / "new" / "model.onnx"
    ending = (128 + number, "", f"patchtst-har: ended by {number.name}\n")
    assert export("--out", path) == ending
    assert list(path.parent.iterdir()) == []
    path.write_text("the model before")
    assert export("--out", path, "--overwrite") == ending
    assert path.read_text() == "the model before"
    assert list(path.parent.iterdir()) == [path]


def test_mistakes_are_one_line(export, small_run, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_text("keep me")

    def error(*arguments, **model):
        status, out, err = export(*arguments, **model)
        assert (status, out) == (2, "")
        assert err.count("\n") == 1
        return err.removeprefix("patchtst-har: error: ")

    assert error("--out", path).startswith(f"{path}: exists already")
    assert error("--out", tmp_path / "b.onnx", model=tmp_path) == f"{tmp_path / 'config.json'}: missing " + (
        "from the model folder\n"
    )
    assert "is a run folder, its model is" in error("--out", tmp_path / "b.onnx", model=small_run.folder)
    assert error("--out", tmp_path / "b.onnx", "--check-on", tmp_path / "c.csv").startswith(
        str(tmp_path / "c.csv")
    )
    assert error("--out", path / "b.onnx").startswith(str(path))
    assert path.read_text() == "keep me"
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def test_an_unknown_format_is_a_usage_error(export, tmp_path):
    status, _, err = export("--format", "coreml", "--out", tmp_path / "model")
    assert status == 2
    assert "'coreml' is not one of 'onnx', 'torch-export', 'executorch'" in err
