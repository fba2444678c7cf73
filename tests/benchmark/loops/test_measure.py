"""The whole document, with the real clock and small numbers."""

import json

import pytest
import torch

from patchtst_har import Recognizer
from patchtst_har.benchmark.loops import (
    HarnessSettings,
    fresh_process,
    measure,
    measure_cuda,
    measure_feasibility,
)
from patchtst_har.benchmark.loops.fresh_process import FreshProcess
from patchtst_har.benchmark.loops.schedule import Feed, StreamGeometry
from patchtst_har.benchmark.workloads import Workload, simulated_workloads
from patchtst_har.errors import DataError
from patchtst_har.realtime.decision import STAGES
from patchtst_har.records.measurement import Unmeasured
from streams import make_samples, small_recognizer
from without_torch import run_without_torch

SETTINGS = HarnessSettings(
    n_decisions=140,
    n_blocks=2,
    n_rested=9,
    rest_s=0.01,
    open_loop_s=0.4,
    open_loop_streams=5,
    hop_s=0.2,
    capacity=False,
)
WALKING = {"walking": simulated_workloads(100.0, 20.0, 0)["walking"]}


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    return small_recognizer().save_pretrained(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture(scope="module")
def document(model_dir):
    recorded = Workload("recorded", "recorded", "Made up.", make_samples(20)[0])
    told = []
    measured = measure_feasibility(
        Recognizer.from_pretrained(model_dir),
        {**WALKING, "recorded": recorded},
        SETTINGS,
        model_dir=model_dir,
        on_progress=lambda done, total, what: told.append((done, total, what)),
    )
    assert told[:2] == [(70, 140, "closed loop, walking"), (140, 140, "closed loop, walking")]
    assert told[-4:] == [(done, 1, what) for what in ("cold start", "memory") for done in (0, 1)]
    return measured.model_dump(mode="json")


@pytest.mark.spawns
def test_the_document_is_json_and_has_every_part(document):
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert list(document) == [
        "device",
        "status",
        "settings",
        "workloads",
        "open_loop",
        "capacity",
        "cold_start",
        "push_one_sample",
        "memory",
        "gc",
        "energy",
        "threads",
    ]
    assert (document["device"], document["status"], document["threads"]) == ("cpu", "measured", 1)
    assert document["settings"]["n_decisions"] == 140
    assert document["capacity"] is None


@pytest.mark.spawns
def test_every_workload_has_its_closed_loop(document):
    assert list(document["workloads"]) == ["walking", "recorded"]
    for workload in document["workloads"].values():
        loop = workload["closed_loop"]
        assert loop["end_to_end"]["n"] == 140
        assert loop["end_to_end"]["p95_us"] > 0
        assert loop["end_to_end"]["p99_us"] is None
        assert tuple(stage["name"] for stage in loop["stages"]) == STAGES
        parts = sum(stage["mean_us"] for stage in loop["stages"]) + loop["overhead"]["mean_us"]
        assert parts == pytest.approx(loop["end_to_end"]["mean_us"])
        assert len(loop["blocks"]) == 2
        assert all(block["calibration_us"] > 0 for block in loop["blocks"])


@pytest.mark.spawns
def test_the_open_loop_runs_on_the_slowest_workload(document):
    medians = {
        name: workload["closed_loop"]["end_to_end"]["p50_us"]
        for name, workload in document["workloads"].items()
    }
    assert document["open_loop"]["workload"] == max(medians, key=medians.get)
    assert document["open_loop"]["from_schedule"]["n"] == 5 * 2
    assert document["open_loop"]["duration_s"] == pytest.approx(0.4)


@pytest.mark.spawns
def test_a_cold_start_is_that_of_a_fresh_process(document):
    cold = document["cold_start"]
    assert cold["n_processes"] == 3
    assert 0 < cold["import_s"] + cold["load_s"] < cold["process_s"]
    assert cold["first_decision_us"] > 0
    assert cold["second_decision_us"] > 0
    # This process has loaded torch; a fresh one with the native engine does not.
    assert 20 < cold["peak_rss_mb"] < document["memory"]["peak_rss_mb"]


@pytest.mark.spawns
def test_after_a_rest_every_workload_is_decided_again(document):
    for workload in document["workloads"].values():
        rested, closed = workload["rested"], workload["closed_loop"]["end_to_end"]
        assert (rested["rest_s"], rested["times"]["n"]) == (0.01, 9)
        ratio = rested["times"]["p50_us"] / closed["p50_us"]
        assert rested["ratio_of_medians"] == pytest.approx(ratio)


@pytest.mark.slow
def test_a_rest_is_never_longer_than_the_hop(monkeypatch):
    monkeypatch.setattr(measure, "N_PUSHES", 50)
    slept = []
    monkeypatch.setattr(measure.time, "sleep", slept.append)
    settings = SETTINGS.replace(n_rested=2, rest_s=9.0, n_decisions=4, n_blocks=1)
    measured = measure_feasibility(small_recognizer(), WALKING, settings, model_dir=None)
    assert measured.workloads["walking"].rested.rest_s == 0.2
    # One decision more: the first is not counted.
    assert slept.count(0.2) == 3


@pytest.mark.spawns
def test_memory_is_that_of_a_process_with_nothing_but_streams(document):
    """This one has loaded torch and pandas, which no stream needs."""
    one, five = document["memory"]["of_streams"]
    assert (one["n_streams"], five["n_streams"]) == (1, 5)
    assert 20 < one["peak_rss_mb"] <= five["peak_rss_mb"] < document["memory"]["rss_mb_before"]


@pytest.mark.spawns
def test_memory_grows_with_streams(model_dir):
    geometry = StreamGeometry.of(small_recognizer(), 0.2, None)
    feeds = [Feed(workload.samples, 100.0) for workload in WALKING.values()]
    one, many = FreshProcess(model_dir, geometry, None).memory(feeds, [1, 400])
    # A stream holds at least two windows of three float32.
    assert many.peak_rss_mb - one.peak_rss_mb > 300 * 2 * geometry.window_size * 12 / 2**20


@pytest.mark.spawns
def test_memory_of_this_process_is_kept_apart(document):
    memory = document["memory"]
    assert memory["peak_rss_mb"] >= memory["rss_mb_after"] > 0
    assert document["push_one_sample"]["n"] == 7000


@pytest.mark.spawns
def test_a_failing_process_is_named(model_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(fresh_process, "_N_COLD_STARTS", 1)
    with pytest.raises(DataError, match=r"cold start: the process ended with 1 .*ModelFolderError"):
        measure_feasibility(small_recognizer(), WALKING, SETTINGS, model_dir=tmp_path / "none")


@pytest.mark.spawns
@pytest.mark.long
def test_torchs_engine_and_a_lag_are_measured_as_well(model_dir, monkeypatch):
    monkeypatch.setattr(fresh_process, "_N_COLD_STARTS", 1)
    monkeypatch.setattr(measure, "N_PUSHES", 50)
    recognizer = Recognizer.from_pretrained(model_dir, "torch")
    threads = torch.get_num_threads()
    settings = HarnessSettings(
        n_decisions=10,
        n_blocks=1,
        n_rested=2,
        open_loop_s=0.1,
        open_loop_streams=2,
        hop_s=0.05,
        smoothing="lag:2",
        capacity=False,
    )
    measured = measure_feasibility(recognizer, WALKING, settings, model_dir=model_dir)
    assert torch.get_num_threads() == threads
    assert measured.device == "cpu"
    assert measured.cold_start.first_decision_us > 0
    # Torch alone takes more.
    assert measured.memory.of_streams[0].peak_rss_mb > 100


@pytest.mark.slow
def test_the_capacity_is_searched_with_a_pool_of_streams(monkeypatch):
    monkeypatch.setattr(measure, "N_PUSHES", 50)
    settings = HarnessSettings(
        n_decisions=10,
        n_blocks=1,
        n_rested=0,
        open_loop_s=0.1,
        open_loop_streams=1,
        hop_s=0.02,
        capacity_s=0.02,
    )
    measured = measure_feasibility(small_recognizer(), WALKING, settings, model_dir=None)
    assert measured.workloads["walking"].rested is None
    capacity = measured.capacity
    assert capacity.criterion.endswith("samples: walking")
    # Whatever the machine does meanwhile: what is claimed is what a probe showed.
    passed = [probe.n_streams for probe in capacity.probes if probe.passed]
    assert capacity.max_streams == max(passed, default=0)
    assert all(probe.p99_us <= 20_000 for probe in capacity.probes if probe.passed)


def test_without_a_model_folder_there_is_no_fresh_process():
    measured = measure_feasibility(small_recognizer(), WALKING, SETTINGS, model_dir=None)
    assert measured.cold_start is None
    assert measured.memory.of_streams == ()


def test_without_a_device_there_is_no_number(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    unmeasured = measure_cuda(small_recognizer(), WALKING, SETTINGS, model_dir=None)
    assert unmeasured == Unmeasured(device="cuda", status="no device")


def test_a_hop_or_a_smoothing_that_does_not_fit_is_refused_first():
    for settings in (HarnessSettings(hop_s=3.0), HarnessSettings(smoothing="much")):
        with pytest.raises(DataError, match=r"hop_s|smoothing"):
            measure_feasibility(small_recognizer(), WALKING, settings, model_dir=None)
    with pytest.raises(DataError, match="nothing to measure on"):
        measure_feasibility(small_recognizer(), {}, SETTINGS, model_dir=None)


@pytest.mark.spawns
def test_the_native_engine_is_measured_without_torch(model_dir):
    run_without_torch(
        f"""
from patchtst_har import Recognizer
from patchtst_har.benchmark.loops import HarnessSettings, measure_feasibility
from patchtst_har.benchmark.workloads import simulated_workloads
settings = HarnessSettings(n_decisions=5, n_blocks=1, n_rested=1, open_loop_s=0.1, open_loop_streams=2,
                           hop_s=0.1, capacity=False, cold_start=False)
workloads = simulated_workloads(100.0, 10.0, 0)
recognizer = Recognizer.from_pretrained({str(model_dir)!r})
assert measure_feasibility(recognizer, workloads, settings, model_dir=None).status == "measured"
assert "torch" not in sys.modules
"""
    )
