"""`patchtst-har tune` as its users meet it."""

import json
import sys

import pytest
import yaml

from patchtst_har.config import ExperimentConfig
from searches import SPACE, search_values


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("tune")


@pytest.fixture
def config(root, tmp_path):
    """Return a function that writes a configuration file with a space."""

    def write(space=SPACE, **values):
        content = {**search_values(root), "output_dir": str(tmp_path / "runs"), **values}
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump({**content, "search": space} if space else content))
        return path

    return write


def error_of(result):
    status, out, err = result
    assert (status, out) == (2, ""), err
    (line,) = [line for line in err.splitlines() if "error:" in line]
    return line


def test_help(cli):
    status, out, _ = cli("tune", "--help")
    assert status == 0
    for option in ("--config", "--trials", "--storage", "--pruner", "--seeds", "--sampler-seed", "--out"):
        assert option in out


@pytest.mark.trains
@pytest.mark.draws
@pytest.mark.long
def test_a_search_and_a_training_with_its_best_settings(cli, config, tmp_path):
    path = config()
    storage = tmp_path / "trials.db"
    command = ("tune", "--config", path, "--storage", f"sqlite:///{storage}", "--trials")
    status, out, err = cli(*command, "2")
    assert status == 0, err
    assert "of 2 trials is the best: macro F1 0." in out
    folder = tmp_path / "runs" / "small-tune"
    status, out, err = cli(*command, "4")
    assert status == 0, err
    assert storage.exists()
    assert {file.name for file in folder.iterdir()} == {"best.yaml", "search.json", "tune.html"}
    record = json.loads((folder / "search.json").read_text())
    assert [trial["state"] for trial in record["trials"]] == ["complete"] * 4
    best = record["trials"][record["best"]]
    assert f"trial {record['best']} of 4 trials is the best: macro F1 {best['score']:.3f} on 1 valid" in out
    found = ExperimentConfig.load(folder / "best.yaml")
    assert found.training.lr == best["settings"]["training.lr"]
    assert f"Search: {record['name']}" in (folder / "tune.html").read_text()

    status, out, err = cli("train", "--config", folder / "best.yaml")
    assert status == 0, err
    provenance = json.loads((tmp_path / "runs" / "small-best" / "model" / "provenance.json").read_text())
    assert provenance["split"]["val"] == record["val"]
    assert len(provenance["split"]["test"]) == 2
    summary = yaml.safe_load((tmp_path / "runs" / "small-best" / "experiment_summary.yaml").read_text())
    assert summary["final_metrics"]["best_val_macro_f1"] == pytest.approx(best["score"])


@pytest.mark.slow
def test_interrupting_says_how_to_go_on(cli, config, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("patchtst_har.search.study.Search.run", interrupt)
    status, _, err = cli("tune", "--config", config(), "--trials", "1")
    assert status == 130
    assert "interrupted; the same command goes on with the search" in err


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        (None, (), "config.yaml: search: is missing"),
        (
            {"training.lrr": {}, "seed": {}},
            (),
            "search.training.lrr: no such field (did you mean lr?)",
        ),
        ([1], (), "search: needs a mapping of fields to ranges"),
        (SPACE, ("--storage", "postgresql://host/db"), "--storage: needs sqlite:///PATH or the path of an"),
        (SPACE, ("--storage", "sqlite:///"), "--storage: needs sqlite:///PATH"),
        (SPACE, ("--set", "data.val_n=0"), "nobody validates, so that trials cannot be scored"),
        (SPACE, ("--set", "data.proc_dir=absent"), "absent: no such folder of prepared data"),
        (SPACE, ("--set", "training.epochs=0"), "training.epochs: Input should be greater"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(cli, config, tmp_path, monkeypatch, space, options, message):
    monkeypatch.chdir(tmp_path)
    assert message in error_of(cli("tune", "--config", config(space), *options))
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_without_optuna_the_extra_is_named(cli, config, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.delitem(sys.modules, "patchtst_har.search.study", raising=False)
    assert "tune: needs the extra tune: pip install 'patchtst-har[tune]'" in error_of(
        cli("tune", "--config", config())
    )
