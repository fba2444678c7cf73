import io
import json
import math

import numpy as np
import pytest
from rich.console import Console

from patchtst_har.benchmark.latency import measure_stages
from patchtst_har.errors import DataError
from patchtst_har.support.host import host_facts
from patchtst_har.support.percentiles import MIN_SAMPLES, quantile_curve, summarise


class FakeTime:
    """A clock that only the stages move."""

    def __init__(self):
        self.now = 1_000

    def __call__(self):
        return self.now

    def stage(self, duration_ns, result=lambda value: value):
        def call(value):
            self.now += duration_ns(value) if callable(duration_ns) else duration_ns
            return result(value)

        return call


def measure(durations, n_windows=200, *, hop_s=10.0, warm_up=0):
    clock = FakeTime()
    stages = {name: clock.stage(duration) for name, duration in durations.items()}
    return measure_stages(stages, n_windows, hop_s=hop_s, warm_up=warm_up, clock=clock)


def test_stages_form_a_pipeline_over_all_windows_in_order():
    clock, seen = FakeTime(), []
    stages = {
        "read": clock.stage(10, lambda i: f"window {i}"),
        "decide": clock.stage(30, seen.append),
    }
    report = measure_stages(stages, 3, hop_s=1, warm_up=2, clock=clock)
    assert seen == [f"window {i}" for i in range(6)]
    assert report.stages == ("read", "decide")
    np.testing.assert_array_equal(report.stage_ns, [[10, 30]] * 3)
    np.testing.assert_array_equal(report.end_to_end_ns, [40] * 3)


def test_end_to_end_is_measured_and_not_a_sum_of_stage_percentiles():
    # The stages are slow on different windows: their p95 add up to far more than any window took.
    report = measure(
        {
            "a": lambda i: 1_000_000 if i % 10 == 0 else 1_000,
            "b": lambda i: 1_000_000 if i % 10 == 5 else 1_000,
        },
        n_windows=1000,
    )
    document = report.to_dict()
    sums = sum(stage["p95_us"] for stage in document["stages"])
    assert sums == pytest.approx(2000)
    assert document["end_to_end"]["p95_us"] == pytest.approx(1001)
    assert document["end_to_end"]["max_us"] == pytest.approx(1001)


def test_cold_start_and_warm_up_stay_out_of_the_percentiles():
    report = measure({"a": lambda i: {0: 9_000_000, 1: 500_000, 2: 400_000}.get(i, 1_000)}, warm_up=2)
    document = report.to_dict()
    assert document["cold_start"] == {"end_to_end_us": 9000.0, "stages": [{"name": "a", "us": 9000.0}]}
    assert document["end_to_end"]["max_us"] == 1.0
    assert (document["n_windows"], document["warm_up"]) == (200, 2)


@pytest.mark.parametrize("name", ["p90", "p95", "p99", "p99_9"])
def test_a_percentile_needs_its_number_of_samples(name):
    enough = MIN_SAMPLES[name]
    assert summarise(np.arange(1, enough))[f"{name}_us"] is None
    assert summarise(np.arange(enough))[f"{name}_us"] is not None
    quantile = {"p90": 0.9, "p95": 0.95, "p99": 0.99, "p99_9": 0.999}[name]
    assert 1 - quantile**enough > 0.998


def test_percentiles_are_those_of_the_samples():
    samples = np.arange(1, 10_001) * 1000
    np.random.default_rng(0).shuffle(samples)
    row = summarise(samples)
    assert row["p50_us"] == pytest.approx(5000.5)
    assert row["p99_9_us"] == pytest.approx(9990.001)
    assert row["max_us"] == 10_000
    assert row["mean_us"] == pytest.approx(5000.5)
    curve = quantile_curve(samples)
    assert curve["us"][0] == 1
    assert curve["us"][-1] == 10_000
    assert len(curve["us"]) == len(curve["fraction"]) == 101 + 4


def test_feasible_when_every_window_fits_the_hop():
    report = measure({"a": 2_000_000_000}, hop_s=10.0, n_windows=300)
    assert report.real_time_factor == pytest.approx(0.2)
    assert report.deadline_misses == 0
    assert report.feasible is True
    assert report.verdict().startswith("Feasible in real time on this machine: none of 300 windows missed")
    assert "below 0.01 with 95 % confidence" in report.verdict()
    assert "the slowest took 2e+03 ms" in report.verdict()


def test_one_miss_in_a_thousand_is_not_feasible():
    report = measure({"a": lambda i: 11_000_000_000 if i == 500 else 1_000}, hop_s=10.0, n_windows=1000)
    assert report.deadline_misses == 1
    assert report.feasible is False
    assert report.verdict() == "Not feasible in real time: 1 of 1000 windows missed the 10 s hop."
    assert report.real_time_factor < 1


def test_a_window_of_exactly_the_hop_is_in_time():
    assert measure({"a": 10_000_000_000}, hop_s=10.0).deadline_misses == 0
    assert measure({"a": 10_000_000_001}, hop_s=10.0).deadline_misses == 200


def test_few_windows_decide_nothing():
    report = measure({"a": 1_000}, n_windows=129)
    assert report.feasible is None
    assert report.verdict().startswith("Undecided: none of 129 windows missed")


def test_document_is_json_and_table_prints_not_available():
    report = measure({"features": 1_500_000, "model": 40_000}, n_windows=100)
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False)) == report.to_dict()
    output = io.StringIO()
    Console(file=output, width=120).print(report.table())
    lines = output.getvalue().splitlines()
    features = next(line for line in lines if "features" in line)
    assert "1,500.0" in features
    assert "n/a" in features
    assert any("end to end" in line and "1,540.0" in line for line in lines)


def test_a_stage_that_fails_is_not_swallowed():
    with pytest.raises(ZeroDivisionError):
        measure_stages({"a": lambda i: 1 // 0}, 1, hop_s=1)


@pytest.mark.parametrize(
    ("stages", "arguments", "message"),
    [
        ({}, {}, "stages: needs at least one"),
        ({"a": id}, {"n_windows": 0}, "n_windows: needs at least 1, is 0"),
        ({"a": id}, {"warm_up": -1}, "warm_up: needs at least 0, is -1"),
        ({"a": id}, {"hop_s": 0.0}, "hop_s: needs a finite positive number"),
        ({"a": id}, {"hop_s": math.nan}, "hop_s: needs a finite positive number"),
    ],
)
def test_arguments_are_checked(stages, arguments, message):
    with pytest.raises(DataError, match=message):
        measure_stages(stages, **{"n_windows": 10, "hop_s": 1.0, **arguments})


def test_real_clock_gives_non_negative_integers():
    report = measure_stages({"sum": lambda i: np.arange(1000).sum()}, 20, hop_s=10)
    assert report.stage_ns.dtype == np.int64
    assert (report.stage_ns >= 0).all()
    assert (report.end_to_end_ns >= report.stage_ns[:, 0]).all()


def test_host_facts_name_the_processor(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    facts = host_facts()
    assert facts["cpu"]
    assert facts["n_usable_cores"] >= 1
    assert facts["threads"]["OMP_NUM_THREADS"] == "3"
    json.dumps(facts, allow_nan=False)
