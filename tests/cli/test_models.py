"""Shipped models on the command line: by name, by default, as a list."""

import html
import json
import re

import pandas as pd
import pytest

from patchtst_har import pretrained
from patchtst_har.data import write_recording
from patchtst_har.synthetic import recording as make_recording
from shipped import a_model, an_encoder, ship

SCORE = "cross-validated macro F1 0.81 (0.75 to 0.88) on 3 people"
LINE = f"wrist, as none was named: 3 classes (running, sitting, walking), trained on 3 people; {SCORE}"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("weights")
    for record in (a_model(), an_encoder()):
        ship(root, record)
    return root


@pytest.fixture(autouse=True)
def here(made, tmp_path, monkeypatch):
    """A working directory with a recording; two models in place of those of the package."""
    monkeypatch.setattr(pretrained, "WEIGHTS", made)
    monkeypatch.chdir(tmp_path)
    write_recording(tmp_path / "a.csv", make_recording(bouts=(("sitting", 10.0), ("walking", 10.0))))
    return tmp_path


def error_of(result):
    status, out, err = result
    assert (status, out) == (2, ""), err
    (line,) = [line for line in err.splitlines() if "error:" in line]
    return line


def test_a_recording_is_labelled_without_a_named_model(cli, here):
    status, out, err = cli("predict", "a.csv", "--no-report")
    assert status == 0, err
    assert [line for line in out.splitlines() if "wrist" in line] == [f"model:     {LINE}"]
    facts = json.loads((here / "a_summary.json").read_text())["model"]
    assert (facts["model"], facts["score"], facts["licence"]) == ("wrist", SCORE, a_model().licence)
    assert len(pd.read_csv(here / "a_labels.csv")) == 10
    status, out, err = cli("predict", "a.csv", "--no-report", "--model", "wrist", "--out", "named")
    assert status == 0, err
    assert f"model:     {LINE.replace(', as none was named', '')}" in out
    assert (here / "named" / "a_labels.csv").read_text() == (here / "a_labels.csv").read_text()


@pytest.mark.draws
def test_the_report_names_the_model(cli, here):
    assert cli("predict", "a.csv")[0] == 0
    page = html.unescape((here / "a_report.html").read_text())
    for text in ("wrist", SCORE, a_model().licence):
        assert re.search(rf"<td[^>]*>{re.escape(text)}</td>", page), text


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("wrist",)])
def test_a_stream_needs_no_model_either(cli, arguments):
    status, out, err = cli("stream", *arguments, "--from", "a.csv", "--speed", "max", "--json")
    assert status == 0, err
    assert len([json.loads(line) for line in out.splitlines()]) == 10
    assert [line for line in err.splitlines() if "wrist" in line] == ([] if arguments else [f"model: {LINE}"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "a.csv", "--model"),
        ("stream", "--from", "a.csv"),
        ("evaluate", "data", "--model"),
        ("benchmark",),
        ("export", "--out", "model.onnx"),
    ],
)
@pytest.mark.slow
def test_every_command_takes_names_and_says_which_there_are(cli, here, arguments):
    message = "wirst: no such model folder, and no shipped model is called so (wrist, wrist-base)"
    assert message in error_of(cli(*arguments, "wirst"))
    assert error_of(cli(*arguments, "./wirst")).endswith("error: wirst: no such model folder")
    if arguments[0] != "export":
        said = "wrist-base: is for fine-tuning (patchtst-har train --init wrist-base)"
        assert said in error_of(cli(*arguments, "wrist-base"))
    assert {path.name for path in here.iterdir()} == {"a.csv"}


def test_a_recording_in_the_place_of_a_model_is_said(cli):
    assert "a.csv: is a file, no model; a recording to replay is named by --from a.csv" in error_of(
        cli("stream", "a.csv")
    )


@pytest.mark.filterwarnings("always")
def test_a_name_that_is_also_a_folder(cli, here, made):
    (here / "wrist").symlink_to(made / "wrist")
    status, _, err = cli("predict", "a.csv", "--no-report", "--model", "wrist")
    assert status == 0
    assert "warning: wrist: the shipped model is used, not the folder of the same name here" in err
    status, _, err = cli("predict", "a.csv", "--no-report", "--model", "./wrist")
    assert (status, err.count("warning: wrist")) == (0, 0)
    status, _, err = cli("predict", "a.csv", "--no-report")
    assert (status, err.count("warning: wrist")) == (0, 0)


def test_without_weights_a_model_has_to_be_named(cli, here, monkeypatch):
    monkeypatch.setattr(pretrained, "WEIGHTS", here / "none")
    for arguments in (("predict", "a.csv"), ("stream", "--from", "a.csv")):
        assert "no model was named, and this installation lacks the model wrist" in error_of(cli(*arguments))
    assert "this installation ships no model" in error_of(cli("models"))
    assert json.loads(cli("models", "--json")[1]) == []


def test_the_models_are_listed(cli, made):
    status, out, err = cli("models")
    assert status == 0, err
    # The cells of a row stand beside each other, line by line.
    lines = [re.split(r"[│┃]", line)[1:-1] for line in out.splitlines()]
    names, classes, people, scores, _ = (
        " ".join(" ".join(column).split()) for column in zip(*filter(None, lines), strict=True)
    )
    assert "wrist-base" in names
    assert "none: an encoder for fine-tuning" in classes
    assert "3 (made)" in people
    assert "0.81 (0.75 to 0.88)" in scores
    status, out, err = cli("models", "--json")
    assert status == 0, err
    first, second = json.loads(out)
    assert (first["name"], first["folder"]) == ("wrist", str(made / "wrist"))
    assert first["cross_validated"]["macro_f1"] == {"estimate": 0.8125, "low": 0.75, "high": 0.875}
    assert (second["purpose"], second["cross_validated"]) == ("fine-tuning", None)


def test_the_card_of_a_model(cli, here, made):
    status, out, err = cli("models", "wrist-base")
    assert status == 0, err
    assert out == (made / "wrist-base" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert json.loads(cli("models", "wrist", "--json")[1])["name"] == "wrist"
    (here / "mine").mkdir()
    assert "mine/MODEL_CARD.md: missing from the model folder" in error_of(cli("models", "mine"))
    assert "mine/summary.json: missing from the model folder" in error_of(cli("models", "mine", "--json"))
    assert "no shipped model is called so" in error_of(cli("models", "wirst"))


def test_info_lists_the_models(cli):
    assert json.loads(cli("info", "--json")[1])["shipped_models"] == "wrist, wrist-base"
