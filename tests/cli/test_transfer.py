"""`pretrain`, and `train` that begins with a stored model."""

import json
import re
from pathlib import Path

import pytest
import yaml

from transfer import WINDOW, experiment, prepare

# Said as a user would who has another network in mind than the presets.
NETWORK = yaml.safe_dump(
    experiment(Path()).model_dump(
        mode="json", include={"data": {"window_size", "hop_size"}, "features": {"groups"}, "model": True}
    )
)
FEW = ("--set", "training={epochs: 1, batch_size: 16, keep: last}")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with two prepared data sets and the description of a network."""
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path / "a", n_participants=3)
    prepare(tmp_path / "b", n_participants=2, seed=1)
    for name in "ab":
        facts = {"window_size": WINDOW, "hop_size": WINDOW, "sample_rate_hz": 100.0}
        (tmp_path / name / "preparation.json").write_text(json.dumps(facts))
    (tmp_path / "network.yaml").write_text(NETWORK)
    return tmp_path


def error_of(result) -> str:
    status, _, err = result
    assert status == 2, err
    (line,) = [line for line in err.splitlines() if "error:" in line]
    return line


@pytest.mark.trains
def test_an_encoder_of_two_data_sets_is_trained_and_then_fine_tuned(cli, here, monkeypatch):
    # What comes after training is the same for every run, and takes long.
    monkeypatch.setattr("patchtst_har.benchmark.run_measurements.measure_run", lambda *_, **__: None)
    monkeypatch.setattr("patchtst_har.reports.run.render_report", lambda run_dir: run_dir)
    status, out, err = cli("pretrain", "a", "b", "--output", "encoder", "--config", "network.yaml", *FEW)
    assert status == 0, err
    assert "to use it: patchtst-har train --init encoder" in out
    assert "preset: seed, as network.yaml says something of the model; --preset base is the default" in out
    assert "pre-training" in err
    refusal = error_of(cli("predict", "a.csv", "--model", "encoder"))
    assert refusal.endswith("gives no labels; models that do: wrist, wrist-9")
    # Neither a network nor windows are named: they follow the encoder and the data set.
    follow = ("--set", "data.proc_dir=a", "--set", "smoothing.method=none", "--set", "data.val_n=1", *FEW)
    status, out, err = cli("train", "--init", "encoder", "--fine-tune", "frozen", *follow)
    assert status == 0, err
    assert "begins with: encoder (only heads are trained)" in out
    assert "preset: base (training alone; features and model are those of encoder)" in out
    (folder,) = (here / "runs").iterdir()
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["training"]["init"] == "encoder"
    assert config["model"]["d_model"] == 16
    assert config["features"]["groups"] == ["statistical"]
    assert json.loads((folder / "model" / "provenance.json").read_text())["init"]["name"] == "encoder"
    again = cli("pretrain", "a", "b", "--output", "encoder", "--config", "network.yaml", *FEW)
    assert "encoder: already holds a model" in error_of(again)


@pytest.mark.trains
def test_an_encoder_trained_on_labels_tells_its_score(cli, here):
    options = ("--output", "encoder", "--config", "network.yaml", *FEW)
    status, out, err = cli("pretrain", "a", "--supervised", *options)
    assert status == 0, err
    assert re.search(r"^macro F1 over the classes of all data sets: 0\.\d{3}$", out, re.MULTILINE)


@pytest.mark.trains
def test_another_network_than_that_of_the_encoder_is_refused(cli, here):
    network = ("--config", "network.yaml", *FEW)
    assert cli("pretrain", "a", "--output", "encoder", *network)[0] == 0
    begin = ("train", "--init", "encoder", "--set", "data.proc_dir=a")
    assert "model.d_ff: encoder has 16, the experiment 24" in error_of(
        cli(*begin, *FEW, "--set", "model.d_ff=24", "--set", "smoothing.method=none")
    )
    windows = (
        "data={window_size: 200, hop_size: 200, proc_dir: a}",
        "model.window_size=200",
        "training.hop_s=1",
    )
    options = [word for text in (*windows, "smoothing.method=none") for word in ("--set", text)]
    line = error_of(cli(*begin, "--preset", "small", *options))
    assert "training.init: features.groups: encoder has ['statistical']" in line
    assert not (here / "runs").exists()


def test_the_usage_of_pretrain_is_plain(cli):
    status, out, _ = cli("pretrain", "--help")
    assert status == 0
    usage = next(line for line in out.splitlines() if "Usage" in line)
    assert usage.strip().endswith("[OPTIONS] DATA..."), usage


def test_pretrain_is_refused_in_several_processes_and_says_so_once(cli, here, monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    status, _, err = cli("pretrain", "a", "--output", "x")
    assert status == 2
    assert "pretrain works in one process; start it without torchrun" in err
    monkeypatch.setenv("RANK", "1")
    assert cli("pretrain", "a", "--output", "x") == (2, "", "")
    monkeypatch.delenv("TORCHELASTIC_RUN_ID")
    assert "torchrun" not in cli("pretrain", "a", "--output", "x", "--mask-fraction", "1")[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("train", "--resume", "--overwrite"), "--resume goes on with a run, --overwrite begins it again"),
        (("pretrain", "a", "--output", "x", "--resume", "--overwrite"), "--overwrite begins it again"),
        (("pretrain", "a", "--output", "x", "--supervised", "--mask-fraction", "0.5"), "nothing is hidden"),
    ],
)
def test_options_that_exclude_each_other_are_refused(cli, here, options, message):
    status, out, err = cli(*options)
    assert (status, out) == (2, "")
    assert message in " ".join(err.replace("│", "").split())
    assert not (here / "x").exists()
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("train", "--init", "nowhere"), "nowhere: no such model folder"),
        (("train", "--set", "training.init=nowhere"), "nowhere: no such model folder"),
        (("train", "--fine-tune", "frozen"), "training.fine_tune (frozen) has no meaning with no init"),
        (("pretrain", "nowhere", "--output", "x"), "nowhere: no such folder of prepared data"),
        (
            ("pretrain", "a", "--output", "x", "--mask-fraction", "1"),
            "mask_fraction: must be above 0 and below 1",
        ),
        (("pretrain", "a", "a", "--output", "x"), "a: given more than once"),
        (("pretrain", "a", "--output", "x", "--set", "data.test_participants=[P9]"), "unknown P9"),
        (
            (
                *("pretrain", "a", "--output", "x", "--set", "data.split=lists"),
                *("--set", "data.train_participants=[P9]"),
            ),
            "P9",
        ),
        (
            ("pretrain", "a", "--output", "x", "--supervised", "--set", "training.keep=best"),
            'training.keep: pre-training needs "last"',
        ),
    ],
)
@pytest.mark.slow
def test_bad_input_is_one_line(cli, here, options, message):
    assert message in error_of(cli(*options))
    assert not (here / "x").exists()
    assert not (here / "runs").exists()
