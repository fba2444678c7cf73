"""`patchtst-har benchmark` as a script meets it."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from feasibility_documents import MEDIAN_US, measured
from patchtst_har.benchmark import feasibility
from patchtst_har.benchmark.loops import fresh_process
from patchtst_har.cli.commands.benchmark import FAILED
from patchtst_har.data import write_recording
from patchtst_har.records.measurement import Unmeasured
from patchtst_har.support.host_limits import ProcessorUse
from patchtst_har.synthetic import recording as make_recording
from streams import small_recognizer

EASY = "targets:\n- {name: easy, percentile: p95}\n"
IMPOSSIBLE = "targets:\n- {name: easy, percentile: p95}\n- {name: impossible, memory_mb: 0.5}\n"


@pytest.fixture
def files(tmp_path):
    small_recognizer().save_pretrained(tmp_path / "model")
    write_recording(tmp_path / "walk.csv", make_recording(bouts=(("walking", 30.0),), seed=0))
    (tmp_path / "easy.yaml").write_text(EASY)
    (tmp_path / "impossible.yaml").write_text(IMPOSSIBLE)
    return tmp_path


@pytest.fixture
def quicker(monkeypatch):
    for name, value in (("n_decisions", 80), ("n_blocks", 4), ("n_rested", 1), ("open_loop_s", 0.5)):
        monkeypatch.setitem(feasibility._QUICK, name, value)
    monkeypatch.setattr(fresh_process, "_N_COLD_STARTS", 1)


@pytest.mark.spawns
@pytest.mark.usefixtures("quicker")
@pytest.mark.long
def test_standard_output_is_one_json_document(cli, files):
    common = ("benchmark", files / "model", "--quick", "--budget", files / "easy.yaml")
    own = pd.read_csv(files / "walk.csv").rename(columns={"x": "ax"})
    own.to_csv(files / "own.csv", index=False)
    recorded = ("--recording", files / "own.csv", "--columns", "x=ax")
    status, out, err = cli(*common, "--out", files / "first", *recorded)
    assert status == 0, err
    (line,) = out.splitlines()
    document = json.loads(line)
    assert document == json.loads((files / "first" / "feasibility.json").read_text(encoding="utf-8"))
    assert "recorded" in document["devices"]["cpu"]["workloads"]
    assert (files / "first" / "feasibility.html").exists()
    assert "easy" in err
    assert "measured on this host" in err

    status, out, err = cli(
        *common[:-1],
        files / "impossible.yaml",
        *("--out", files / "second", "--compare", files / "first", "--smoothing", "none"),
    )
    assert status == 2, "it was the filter before"
    assert "smoothing was filter, is none" in err

    options = ("--compare", files / "first", "--fail-on", "not-feasible", "--fail-on", "regression")
    status, out, err = cli(*common[:-1], files / "impossible.yaml", "--out", files / "second", *options)
    assert status == FAILED == 3
    document = json.loads(out.splitlines()[-1])
    assert [target["verdict"] for target in document["targets"]][1] == "not feasible"
    assert document["comparison"]["saved"] == str(files / "first")
    assert "0 slower, 0 faster of 4 comparisons" in err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("facts", "verdict", "status"),
    [
        ({"waited_share": 0.4, "stolen_share": 0.0}, "undecided", {"not-feasible": 0, "undecided": FAILED}),
        (
            {"waited_share": 0.0, "stolen_share": 0.0},
            "not feasible",
            {"not-feasible": FAILED, "undecided": 0},
        ),
    ],
)
def test_a_latency_that_is_too_long_fails_a_script_only_on_a_quiet_machine(
    cli, files, monkeypatch, facts, verdict, status
):
    """What others did is injected, and the times are made up."""
    (files / "tight.yaml").write_text("targets:\n- {name: tight, deadline_s: 0.00001}\n")
    monkeypatch.setattr(ProcessorUse, "until", lambda before, later: facts)
    monkeypatch.setattr(feasibility, "measure_feasibility", lambda *arguments, **options: measured())
    monkeypatch.setattr(
        feasibility,
        "_workloads",
        lambda *arguments: dict.fromkeys(MEDIAN_US, SimpleNamespace(samples=np.zeros(3, np.float32))),
    )
    monkeypatch.setattr(
        feasibility,
        "measure_cuda",
        lambda *arguments, **options: Unmeasured(device="cuda", status="no device"),
    )
    for fail_on, expected in status.items():
        got, out, err = cli(
            "benchmark",
            files / "model",
            "--budget",
            files / "tight.yaml",
            "--out",
            files / "o",
            "--fail-on",
            fail_on,
        )
        assert got == expected, err
        (target,) = json.loads(out)["targets"]
        assert (target["verdict"], target["busy"]) == (verdict, verdict == "undecided")
        assert ("undecided (busy)" in err) == (verdict == "undecided")
        assert "Real-time feasibility of patchtst_har_v1, measured on this host" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fail-on", "regression"], "--fail-on regression: needs --compare"),
        (["--budget", "absent.yaml"], "absent.yaml"),
        (["--budget", "wrong.yaml"], "wrong.yaml: targets.0.hop_s: Input should be greater than 0"),
        (["--compare", "absent"], "absent: no such saved report"),
        (["--recording", "absent.csv"], "absent.csv"),
        (["--hop", "0"], "hop_s: Input should be greater than 0"),
        (["--smoothing", "median"], "smoothing: must be filter, lag:K"),
    ],
)
@pytest.mark.slow
def test_mistakes_are_one_line_and_leave_nothing(cli, files, monkeypatch, options, message):
    monkeypatch.chdir(files)
    (files / "wrong.yaml").write_text("targets: [{name: a, hop_s: 0}]\n")
    status, out, err = cli("benchmark", files / "model", "--out", files / "out", *options)
    assert status == 2, err
    assert out == ""
    assert message in err
    assert "Traceback" not in err
    assert not (files / "out").exists()
