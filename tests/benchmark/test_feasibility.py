"""The whole benchmark with a small model: everything measured, nothing asserted of a time."""

import json
import subprocess
import sys

import pytest

from patchtst_har.benchmark.budget import Budget, Target
from patchtst_har.benchmark.compare import RECORD_FILE
from patchtst_har.benchmark.feasibility import run_benchmark, settings_for, too_short
from patchtst_har.benchmark.loops import HarnessSettings
from patchtst_har.errors import DataError
from patchtst_har.records.feasibility import FeasibilityRecord
from patchtst_har.synthetic import recording as make_recording
from streams import small_recognizer

pytestmark = pytest.mark.spawns

TINY = HarnessSettings(
    n_decisions=60,
    n_blocks=6,
    n_rested=1,
    open_loop_s=1.0,
    open_loop_streams=3,
    capacity=False,
    cold_start=False,
)
BUDGET = Budget(
    targets=(
        Target(name="easy", percentile="p95", deadline_s=1.0),
        Target(name="three", streams=3),
        Target(name="tiny memory", memory_mb=1),
        Target(name="other hop", hop_s=0.5),
        Target(name="graphics", device="cuda"),
    )
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("feasibility") / "model"
    small_recognizer(n_topo_features=24).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def recording():
    return make_recording(bouts=(("sitting", 30.0), ("walking", 30.0)), seed=1)


@pytest.fixture(scope="module")
def report_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def result(model, recording, report_dir):
    out = report_dir
    told = []
    done = run_benchmark(
        model,
        out,
        budget=BUDGET,
        recording=recording,
        settings=TINY,
        on_progress=lambda done, total, what: told.append(what),
    )
    assert any("still" in what for what in told)
    return done


def test_the_record_is_what_was_written(result, report_dir):
    written = json.loads((report_dir / RECORD_FILE).read_text(encoding="utf-8"))
    assert written == result.model_dump(mode="json")
    assert FeasibilityRecord.model_validate(written) == result


def test_every_movement_was_decided(result):
    cpu = result.devices.cpu
    assert list(cpu.workloads) == ["still", "walking", "noisy", "worst_case", "recorded"]
    assert set(result.samples) == set(cpu.workloads)
    for workload in cpu.workloads.values():
        assert workload.closed_loop.end_to_end.n == TINY.n_decisions
    assert cpu.open_loop.n_streams == 3
    assert [peak.n_streams for peak in cpu.memory.of_streams] == [1, 3]
    # What the streams did, and not that nothing was asked for.
    assert cpu.settings.smoothing == "filter"


def test_verdicts_follow_from_what_was_measured(result):
    verdicts = {target.name: target.verdict for target in result.targets}
    assert verdicts["tiny memory"] == "not feasible"
    # 60 decisions carry no p95, and 6 no p99.
    assert verdicts["easy"] in ("undecided", "not feasible")
    assert verdicts["three"] in ("undecided", "not feasible")
    assert verdicts["other hop"] == "not measured"


@pytest.mark.cuda
def test_cuda_has_no_number_without_a_device(result):
    import torch

    cuda = result.devices.cuda
    assert cuda.status == ("measured" if torch.cuda.is_available() else "no device")


def test_no_accuracy_is_claimed_for_a_model_without_a_run(result):
    assert result.accuracy is None
    assert result.artefact.smoothing == "filter"


@pytest.mark.usefixtures("result")
def test_a_second_run_is_compared_with_the_first(model, report_dir, tmp_path):
    again = run_benchmark(model, tmp_path, budget=BUDGET, settings=TINY, compare_with=report_dir)
    compared = again.comparison
    assert {change.name for change in compared.changes} == {"still", "walking", "noisy", "worst_case"}
    assert {change.outcome for change in compared.changes} == {"too few blocks"}
    assert compared.missing == ("recorded",)
    assert all("busy" in warning for warning in compared.warnings)


@pytest.mark.usefixtures("result")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (TINY.replace(hop_s=0.5), "hop_s was 1.0, is 0.5"),
        (TINY.replace(smoothing="none"), "smoothing was filter, is none"),
        (TINY.replace(smoothing="lag:x"), "smoothing: must be"),
        (TINY.replace(n_decisions=61), "n_decisions was 60, is 61"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_measuring(
    model, report_dir, tmp_path, monkeypatch, settings, message
):
    monkeypatch.setattr("patchtst_har.benchmark.feasibility.measure_feasibility", None)
    out = tmp_path / "out"
    with pytest.raises(DataError, match=message):
        run_benchmark(model, out, settings=settings, compare_with=report_dir / RECORD_FILE)
    assert not out.exists()


@pytest.mark.usefixtures("result")
def test_another_model_is_refused(report_dir, tmp_path):
    other = tmp_path / "other"
    small_recognizer(d_model=28).save_pretrained(other)
    with pytest.raises(DataError, match="the model is another one"):
        run_benchmark(other, tmp_path / "out", settings=TINY, compare_with=report_dir / RECORD_FILE)


def test_settings_carry_what_the_budget_asks():
    default = settings_for(Budget())
    assert (default.hop_s, default.open_loop_streams, default.open_loop_s) == (1.0, 500, 14.0)
    assert default.n_decisions >= 6636
    assert default.n_decisions / default.n_blocks >= 130


def test_the_hop_of_the_most_targets_is_measured():
    hops = [Target(name=f"{i}", hop_s=hop, streams=10 * i + 1) for i, hop in enumerate((2.0, 0.5, 0.5))]
    settings = settings_for(Budget(targets=tuple(hops)))
    assert (settings.hop_s, settings.open_loop_streams) == (0.5, 21)
    chosen = settings_for(Budget(targets=tuple(hops)), hop_s=2.0, smoothing="lag:1")
    assert (chosen.hop_s, chosen.smoothing) == (2.0, "lag:1")
    assert chosen.open_loop_streams == HarnessSettings().open_loop_streams


def test_a_quick_run_leaves_out_what_takes_long():
    quick = settings_for(Budget(), quick=True)
    assert not quick.capacity
    assert not quick.cold_start
    assert quick.n_decisions < 1000
    assert quick.open_loop_streams == 500


def test_a_quick_run_is_too_short_for_rare_decisions_and_many_streams():
    budget = Budget()
    quick, whole = (settings_for(budget, quick=shortened) for shortened in (True, False))
    assert too_short(budget, quick) == ("one wearer, live",)
    assert too_short(budget, whole) == ()
    few = Budget(
        targets=(Target(name="twenty", streams=20), Target(name="other hop", hop_s=9, percentile="max"))
    )
    assert too_short(few, settings_for(few, quick=True)) == ("twenty",)


def test_the_record_says_what_others_took(result):
    assert 0 <= result.host["waited_share"] <= 1
    assert 0 <= result.host["stolen_share"] <= 1
    assert result.title == result.artefact.name == "patchtst_har_v1"


def test_nothing_is_loaded_that_measuring_does_not_need():
    heavy = ("torch", "matplotlib", "jinja2", "sklearn", "hmmlearn", "scipy.stats")
    program = (
        "import sys, patchtst_har.benchmark.feasibility\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
