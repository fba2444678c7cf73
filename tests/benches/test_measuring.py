import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from measuring import Measure, instruction_sets, percentiles_us
from patchtst_har import cpu_info


class FakeBenchmark:
    """What `Measure` uses of pytest-benchmark's fixture; every round takes a millisecond more."""

    name = "fake"

    def __init__(self, *, disabled=False):
        self.disabled = disabled
        self.extra_info = {}
        self.calls = None

    def pedantic(self, function, setup, iterations, rounds, warmup_rounds):
        assert iterations == 1
        self.calls = (rounds, warmup_rounds)
        for _ in range(warmup_rounds + rounds):
            args, kwargs = setup()
            function(*args, **kwargs)
        self.stats = SimpleNamespace(stats=SimpleNamespace(data=[1e-3 * (n + 1) for n in range(rounds)]))


def test_percentiles_need_their_rounds():
    assert percentiles_us([1e-6] * 129) == {"p50_us": 1.0, "p95_us": None, "p99_us": None}
    assert percentiles_us([1e-6] * 130) == {"p50_us": 1.0, "p95_us": 1.0, "p99_us": None}
    seconds = np.arange(1, 1001) * 1e-6
    found = percentiles_us(seconds.tolist(), per_round=10)
    expected = np.percentile(seconds, [50, 95, 99]) * 1e5
    np.testing.assert_allclose(list(found.values()), expected, atol=1e-3)


def test_inputs_are_taken_in_turn_and_extra_info_is_complete():
    benchmark, seen = FakeBenchmark(), []
    measure = Measure(benchmark, 2.0)
    seconds = measure(seen.append, "abc", rounds=8, per_round=4)
    assert benchmark.calls == (16, 4)
    assert "".join(seen) == "abc" * 6 + "ab"
    assert len(seconds) == 16
    info = measure.extra_info
    assert info["p50_us"] == pytest.approx(8500 / 4)
    assert (info["p95_us"], info["device"], info["per_round"]) == (None, "cpu", 4)
    assert len(info["speed_us"]) == 2
    assert all(speed > 0 for speed in info["speed_us"])
    assert 0 <= info["interrupted_share"] <= 1


def test_an_iterator_prepares_every_call():
    seen = []
    Measure(FakeBenchmark())(seen.append, itertools.count(), rounds=4)
    assert seen == [0, 1, 2, 3, 4]


def test_a_factor_leaves_one_round():
    assert [Measure(FakeBenchmark(), 0.01).rounds(n) for n in (1, 60, 3000)] == [1, 1, 30]


def test_a_ratio_alternates():
    calls = []
    measure = Measure(FakeBenchmark())
    measure.ratio(
        "ratio", lambda row: calls.append(("slow", row)), lambda row: calls.append(("fast", row)), "ab", 3
    )
    assert calls == [(side, row) for row in "aba" for side in ("slow", "fast")]
    assert measure.extra_info["ratio"] > 0


def test_nothing_is_noted_if_benchmarks_are_disabled():
    benchmark = FakeBenchmark(disabled=True)
    measure = Measure(benchmark)
    assert measure(len, ["a"], rounds=2) == []
    measure.ratio("ratio", len, len, ["a"], 2)
    assert benchmark.extra_info == {}


def test_only_the_active_instruction_set_is_not_long():
    short = [parameter.values[0] for parameter in instruction_sets() if not parameter.marks]
    assert short == [cpu_info()["active"]]
    assert [parameter.values[0] for parameter in instruction_sets()] == cpu_info()["available"]
