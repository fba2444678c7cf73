"""Collector, energy, calibration, settings, single pushes."""

import gc
import math
import sys
import types

import numpy as np
import pytest
import torch

from fake_streams import MS, FakeClock, FakePool
from patchtst_har.benchmark.loops import HarnessSettings
from patchtst_har.benchmark.loops.hop_loop import run_single_pushes
from patchtst_har.benchmark.loops.machine_speed import MachineSpeed
from patchtst_har.benchmark.loops.resources import EnergyMeter, GarbageWatch
from patchtst_har.benchmark.loops.schedule import ChunkFeed, Feed, WallClock
from patchtst_har.errors import ConfigError
from patchtst_har.records.measurement import Energy
from streams import make_samples

SAMPLES, _ = make_samples(20)


@pytest.mark.slow
def test_collections_are_counted_by_generation_and_the_longest_pause_kept():
    before = list(gc.callbacks)
    with GarbageWatch() as watch:
        gc.collect(0)
        gc.collect(2)
        gc.collect(2)
    assert gc.callbacks == before
    record = watch.record()
    assert record.enabled is True
    assert record.collections[0] >= 1
    assert record.collections[2] == 2
    assert record.longest_pause_us > 0
    gc.collect()
    assert watch.record() == record


def rapl(folder, name="package-0", uj=1_000_000, largest=262_143_328_850):
    folder.mkdir(parents=True, exist_ok=True)
    for file, value in (("name", name), ("energy_uj", uj), ("max_energy_range_uj", largest)):
        (folder / file).write_text(f"{value}\n")


def test_energy_of_all_packages_is_added_and_parts_of_a_package_are_not(tmp_path):
    rapl(tmp_path / "intel-rapl:0")
    rapl(tmp_path / "intel-rapl:1", "package-1")
    rapl(tmp_path / "intel-rapl:0:0", "core")
    meter = EnergyMeter("cpu", tmp_path)
    meter.start()
    rapl(tmp_path / "intel-rapl:0", uj=4_000_000)
    rapl(tmp_path / "intel-rapl:1", "package-1", uj=2_000_000)
    rapl(tmp_path / "intel-rapl:0:0", "core", uj=9_000_000)
    assert meter.record(8) == Energy(status="measured", source="RAPL", joules_per_decision=0.5)


def test_a_counter_that_began_anew_still_adds_up(tmp_path):
    rapl(tmp_path / "intel-rapl:0", uj=999_000, largest=999_999)
    meter = EnergyMeter("cpu", tmp_path)
    meter.start()
    rapl(tmp_path / "intel-rapl:0", uj=1_000, largest=999_999)
    assert meter.record(1).joules_per_decision == pytest.approx(2_000e-6)


def test_energy_that_cannot_be_read_is_not_measured_and_says_why(tmp_path):
    why = f"{tmp_path} shows no energy counter of a processor package (RAPL)"
    assert EnergyMeter("cpu", tmp_path).record(5) == Energy(status="not measured", why=why)
    rapl(tmp_path / "intel-rapl:0")
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    (tmp_path / "intel-rapl:0" / "energy_uj").mkdir()
    why = EnergyMeter("cpu", tmp_path).record(5).why
    assert why == f"{tmp_path}/intel-rapl:0/energy_uj: Is a directory"


def test_a_gpu_is_read_through_nvml_by_its_uuid(monkeypatch):
    mj, asked = iter([0, 1000, 7000]), []
    nvml = types.SimpleNamespace(
        NVMLError=RuntimeError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=asked.append,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: next(mj),
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: types.SimpleNamespace(uuid="12ab-34")
    )
    meter = EnergyMeter("cuda")
    meter.start()
    assert meter.record(3) == Energy(status="measured", source="NVML", joules_per_decision=2.0)
    assert asked == ["GPU-12ab-34"]


def test_a_machine_without_nvml_says_so(monkeypatch):
    def fail():
        raise RuntimeError("NVML Shared Library Not Found")

    nvml = types.SimpleNamespace(NVMLError=RuntimeError, nvmlInit=fail)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    assert EnergyMeter("cuda").record(1).why == "NVML: NVML Shared Library Not Found"
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert EnergyMeter("cuda").record(1).why == "nvidia-ml-py is not installed (extra cuda)"


def test_the_calibration_never_changes():
    """Two runs can be compared only if it did the same in both."""
    assert MachineSpeed().run() == pytest.approx(MachineSpeed().run())
    assert MachineSpeed().run() == pytest.approx(EXPECTED_CALIBRATION)


EXPECTED_CALIBRATION = 159003.0613306793


def test_the_calibration_is_timed_with_warm_caches(monkeypatch):
    clock, calibration = FakeClock(), MachineSpeed()

    def run():
        clock.ns += costs.pop(0)

    costs = [50, 7]
    monkeypatch.setattr(calibration, "run", run)
    assert calibration.time_ns(clock.now_ns) == 7


def test_single_pushes_leave_out_those_that_complete_a_window():
    clock = FakeClock()
    pool = FakePool(clock, lambda number: 100 * MS, feed_ns=1234)
    times = run_single_pushes(lambda s, t: pool.push(0, s, t), Feed(SAMPLES, 100.0), 700, clock.now_ns)
    np.testing.assert_array_equal(times, [1234] * 700)
    assert pool.n_samples[0] == 1200 + pool.n_decided == 1211


def test_a_feed_goes_around_and_keeps_its_pace():
    feed = Feed(SAMPLES[:7], 30.0)
    rows, stamps = feed.block(5, 10, shift=3)
    np.testing.assert_array_equal(rows, SAMPLES[(np.arange(5, 15) + 3) % 7])
    assert feed.one(5) == (tuple(SAMPLES[5].tolist()), int(stamps[0]))
    every = feed.block(0, 3000)[1] - feed.block(0, 1)[1][0]
    np.testing.assert_array_equal(every, [-(-n * 10**9 // 30) for n in range(3000)])


def test_chunks_are_the_feed_in_parts():
    feed = Feed(SAMPLES, 100.0)
    chunks = ChunkFeed(feed, 10, 200)
    for number, shift in ((0, 0), (3, 5), (199, 1), (450, 30)):
        samples, stamps = chunks.chunk(number, shift)
        np.testing.assert_array_equal(samples, feed.block(10 * number, 10, 10 * shift)[0])
        np.testing.assert_array_equal(stamps, feed.block(10 * number, 10)[1])
    np.testing.assert_array_equal(chunks.chunks(4, 2)[0], feed.block(0, 40, 20)[0])


def test_waiting_ends_at_the_time_or_after_it():
    clock = WallClock()
    for wait_ns in (-MS, 0, 50_000, 2 * MS):
        due = clock.now_ns() + wait_ns
        clock.wait_until(due)
        assert clock.now_ns() >= due


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("hop_s", 0.0, "hop_s: Input should be greater than 0"),
        ("open_loop_s", math.inf, "open_loop_s: Input should be a finite number"),
        ("capacity_s", -1.0, "capacity_s: Input should be greater than 0"),
        ("n_decisions", 0, "n_decisions: Input should be greater than or equal to 1"),
        ("rest_s", 0.0, "rest_s: Input should be greater than 0"),
        ("n_rested", -1, "n_rested: Input should be greater than or equal to 0"),
        ("n_blocks", 7001, "n_blocks: 7001 are more than n_decisions, 7000"),
        ("open_loop_streams", 0, "open_loop_streams: Input should be greater than or equal to 1"),
    ],
)
def test_settings_are_checked(field, value, message):
    with pytest.raises(ConfigError, match=message):
        HarnessSettings(**{field: value})
