"""Operations as users see them."""

import asyncio
import io
import json
import threading
import time

import numpy as np
import pytest
from rich.console import Console

from patchtst_har.benchmark.profiling.operation import Covered
from patchtst_har.errors import DataError
from patchtst_har.evaluation import ComprehensiveProfiler
from without_torch import run_without_torch

MIB = 2**20


class Clock:
    """Takes the place of `time.perf_counter_ns`: a step on each reading, and jumps."""

    def __init__(self):
        self.now = 1_000

    def __call__(self):
        self.now += 1
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter_ns", clock)
    return clock


def rows_of(profiler):
    return {row["path"]: row for row in profiler.to_dict()["operations"]}


def test_nested_operations_have_paths_and_their_own_time(clock):
    profiler = ComprehensiveProfiler()
    with profiler.profile_operation("train") as train:
        clock.now += 1_000_000
        for _ in range(3):
            with profiler.profile_operation("forward") as forward:
                clock.now += 10_000_000
    with profiler.profile_operation("forward"):
        clock.now += 7_000_000
    rows = rows_of(profiler)
    assert list(rows) == ["forward", "train", "train/forward"]
    assert forward.path == "train/forward"
    assert rows["train/forward"]["n_calls"] == 3
    assert rows["train/forward"]["total_s"] == pytest.approx(0.030, abs=1e-6)
    assert rows["train"]["total_s"] == pytest.approx(0.031, abs=1e-6)
    assert rows["train"]["self_s"] == pytest.approx(0.001, abs=1e-6)
    assert rows["forward"]["self_s"] == rows["forward"]["total_s"] == pytest.approx(0.007, abs=1e-6)
    assert train.call.self_ns < train.call.wall_ns


def test_processor_time_is_that_of_thread_and_process():
    profiler = ComprehensiveProfiler()

    def burn():
        end = time.thread_time_ns() + 20_000_000
        while time.thread_time_ns() < end:
            pass

    with profiler.profile_operation("asleep") as asleep:
        time.sleep(0.02)
    with profiler.profile_operation("awake") as awake:
        burn()
        other = threading.Thread(target=burn)
        other.start()
        other.join()
    assert asleep.call.wall_ns >= 20_000_000
    assert asleep.call.thread_ns < 10_000_000
    assert 20_000_000 <= awake.call.thread_ns < 38_000_000
    assert awake.call.process_ns >= 40_000_000


def test_memory_of_an_operation():
    profiler = ComprehensiveProfiler()
    with profiler.profile_operation("keeps") as keeps:
        block = np.ones(4 * MIB)
    with profiler.profile_operation("returns") as returns:
        del block
        del_me = np.ones(6 * MIB)
        del del_me
    assert 30 * MIB < keeps.call.resident_change < 40 * MIB
    assert -40 * MIB < returns.call.resident_change < -30 * MIB
    assert returns.call.resident_peak - keeps.call.resident_peak > 10 * MIB


def test_peaks_can_be_left_alone():
    profiler = ComprehensiveProfiler(resets_peaks=False)
    with profiler.profile_operation("work") as operation:
        pass
    assert operation.call.resident_peak is None
    assert operation.call.resident_change is not None


def test_a_failure_is_recorded_marked_and_heard(clock):
    profiler = ComprehensiveProfiler()
    for fails in (False, True, False):
        try:
            with profiler.profile_operation("work"):
                clock.now += 5_000 + 90_000_000 * fails
                if fails:
                    raise KeyError("gone")
        except KeyError:
            assert fails
    row = rows_of(profiler)["work"]
    assert (row["n_calls"], row["n_failed"], row["last_error"]) == (3, 1, "KeyError")
    assert row["wall"]["n"] == 2
    assert row["wall"]["max_us"] < 10
    assert row["total_s"] > 0.09


def test_only_failures_have_no_percentiles():
    profiler = ComprehensiveProfiler()
    with pytest.raises(KeyboardInterrupt), profiler.profile_operation("work"):
        raise KeyboardInterrupt
    row = rows_of(profiler)["work"]
    assert (row["wall"], row["self"], row["last_error"]) == (None, None, "KeyboardInterrupt")
    assert "n/a" in printed(profiler)


def test_the_decorator_returns_passes_on_and_keeps_the_name():
    profiler = ComprehensiveProfiler()

    @profiler.profiled("double")
    def double(x, *, plus=0):
        """Twice."""
        return 2 * x + plus

    assert double(4, plus=1) == 9
    assert (double.__name__, double.__doc__) == ("double", "Twice.")
    with pytest.raises(TypeError):
        double(None)
    row = rows_of(profiler)["double"]
    assert (row["n_calls"], row["n_failed"]) == (2, 1)


def test_a_function_that_calls_itself_nests():
    profiler = ComprehensiveProfiler()

    @profiler.profiled("f")
    def factorial(n):
        return 1 if n == 0 else n * factorial(n - 1)

    assert factorial(2) == 2
    assert list(rows_of(profiler)) == ["f", "f/f", "f/f/f"]


def generator():
    yield


async def coroutine():
    pass


async def asynchronous_generator():
    yield


@pytest.mark.parametrize("function", [generator, coroutine, asynchronous_generator])
def test_functions_that_only_make_an_object_are_refused(function):
    with pytest.raises(TypeError, match=f"{function.__name__} is a.* function: .*profile_operation"):
        ComprehensiveProfiler().profiled("name")(function)


@pytest.mark.parametrize("name", ["", "a/b"])
def test_impossible_names_are_refused(name):
    with pytest.raises(DataError, match="name: must not be empty and have no slash"):
        ComprehensiveProfiler().profile_operation(name)
    with pytest.raises(DataError, match="name"):
        ComprehensiveProfiler().profiled(name)
    with pytest.raises(DataError, match="keep: needs at least 1, is 0"):
        ComprehensiveProfiler(keep=0)


def test_an_operation_is_for_one_use():
    operation = ComprehensiveProfiler().profile_operation("work")
    with pytest.raises(RuntimeError, match="work: the operation has not ended"):
        _ = operation.call
    with operation:
        pass
    with pytest.raises(RuntimeError, match="work: an operation is entered once"), operation:
        pass


def test_threads_do_not_nest_in_each_other_and_lose_nothing():
    profiler = ComprehensiveProfiler()
    barrier = threading.Barrier(4)

    def work():
        barrier.wait()
        for _ in range(100):
            with profiler.profile_operation("a"), profiler.profile_operation("b"):
                pass

    with profiler.profile_operation("outer"):
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {path: row["n_calls"] for path, row in rows_of(profiler).items()} == {
        "a": 400,
        "a/b": 400,
        "outer": 1,
    }


def test_tasks_nest_in_what_started_them_and_not_in_each_other():
    profiler = ComprehensiveProfiler()

    async def part(name):
        with profiler.profile_operation(name):
            await asyncio.sleep(0.01)

    async def whole():
        with profiler.profile_operation("whole"):
            await asyncio.gather(part("a"), part("b"))

    asyncio.run(whole())
    rows = rows_of(profiler)
    assert list(rows) == ["whole", "whole/a", "whole/b"]
    assert rows["whole/a"]["total_s"] >= 0.009
    # The parts ran at the same time: their sum is more than there was.
    assert 0 <= rows["whole"]["self_s"] < rows["whole"]["total_s"]


def test_covered_time_counts_what_overlaps_once():
    covered = Covered()
    covered.begin(10)
    covered.begin(12)
    covered.end(15)
    assert covered.until(16) == 6
    covered.end(20)
    covered.begin(30)
    assert covered.until(31) == 11


def test_an_operation_held_open_by_a_generator_does_no_harm():
    profiler = ComprehensiveProfiler()

    def steps():
        with profiler.profile_operation("steps"):
            yield 1
            yield 2

    held = steps()
    next(held)
    with profiler.profile_operation("between"):
        held.close()
        with profiler.profile_operation("inside"):
            pass
    with profiler.profile_operation("after"):
        pass
    assert list(rows_of(profiler)) == ["after", "steps", "steps/between", "steps/between/inside"]
    assert rows_of(profiler)["steps"]["last_error"] == "GeneratorExit"


def test_an_operation_that_another_thread_ends_has_no_processor_time_of_its_thread():
    profiler = ComprehensiveProfiler()
    operation = profiler.profile_operation("work")
    operation.__enter__()
    other = threading.Thread(target=operation.__exit__, args=(None, None, None))
    other.start()
    other.join()
    assert operation.call.thread_ns is None
    assert rows_of(profiler)["work"]["cpu_thread_s"] is None
    with profiler.profile_operation("next"):
        pass
    assert "next" in rows_of(profiler)


def test_profilers_do_not_nest_in_each_other():
    one, other = ComprehensiveProfiler(), ComprehensiveProfiler()
    with one.profile_operation("a"), other.profile_operation("x"), one.profile_operation("b"):
        pass
    assert list(rows_of(one)) == ["a", "a/b"]
    assert list(rows_of(other)) == ["x"]


def test_percentiles_need_their_calls_and_memory_is_bounded(clock):
    profiler = ComprehensiveProfiler(keep=700)
    for i in range(1000):
        with profiler.profile_operation("often"):
            clock.now += 1000 * i
        if i < 129:
            with profiler.profile_operation("seldom"):
                pass
    often, seldom = rows_of(profiler)["often"], rows_of(profiler)["seldom"]
    assert often["n_calls"] == 1000
    assert often["wall"]["n"] == 700
    assert often["wall"]["p50_us"] == pytest.approx(649.5, abs=0.1)
    assert often["wall"]["p99_us"] == pytest.approx(992, abs=1)
    assert seldom["wall"]["p50_us"] is not None
    assert seldom["wall"]["p95_us"] is None


def test_json_and_table(tmp_path):
    profiler = ComprehensiveProfiler()
    with profiler.profile_operation("a b"), profiler.profile_operation("[red]"):
        pass
    with profiler.profile_operation("a"), profiler.profile_operation("inner"):
        pass
    profiler.write_json(tmp_path / "profile.json")
    assert [path.name for path in tmp_path.iterdir()] == ["profile.json"]
    stored = json.loads((tmp_path / "profile.json").read_text())
    assert stored == json.loads(json.dumps(profiler.to_dict()))
    assert [row["path"] for row in stored["operations"]] == ["a", "a/inner", "a b", "a b/[red]"]
    assert stored["host"]["n_cores"] >= 1
    text = printed(profiler)
    assert "  [red]" in text
    assert "An empty operation records" in text


def printed(profiler):
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(profiler.table())
    return console.export_text()


def test_own_overhead_is_measured_once():
    profiler = ComprehensiveProfiler()
    overhead = profiler.overhead()
    assert 0 < overhead["recorded_us"] < overhead["whole_us"]
    assert profiler.overhead() is overhead
    assert profiler.to_dict()["operations"] == []


@pytest.mark.slow
def test_own_records_are_no_leak():
    profiler = ComprehensiveProfiler()

    def work():
        for _ in range(20):
            with profiler.profile_operation("inner"):
                pass

    leak = profiler.find_leak("outer", work, repeats=30, warm_up=5)
    assert not leak.leaks, leak.verdict()


@pytest.mark.slow
def test_a_leak_is_found_and_kept_with_its_operation():
    profiler, kept = ComprehensiveProfiler(), []
    with profiler.profile_operation("test"):
        leak = profiler.find_leak("grow", lambda: kept.append(b"x" * 300_000), repeats=30)
    assert leak.leaks
    rows = rows_of(profiler)
    assert rows["test/grow"]["n_calls"] == 40
    assert rows["test/grow"]["leak"]["leaks"] is True
    assert rows["test"]["leak"] is None
    assert f"test/grow: {leak.verdict()}" in profiler.table().caption


@pytest.mark.spawns
def test_it_needs_no_torch():
    run_without_torch(
        """
import sys
from patchtst_har.evaluation import ComprehensiveProfiler
profiler = ComprehensiveProfiler()
with profiler.profile_operation("work"):
    pass
assert profiler.to_dict()["device"]["cuda"] == "torch is not imported"
profiler.table()
assert "torch" not in sys.modules
"""
    )


def test_torch_is_imported_where_it_is_asked_for():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a device")
    profiler = ComprehensiveProfiler(imports_torch=True)
    with profiler.profile_operation("work"):
        pass
    assert profiler.to_dict()["device"]["cuda"] == "no device"


def test_complexity_is_asserted_against_the_closed_form():
    import torch

    from architectures import random_inputs
    from patchtst_har.config import ModelConfig
    from patchtst_har.models import PatchTSTClassifier

    profiler, config = ComprehensiveProfiler(), ModelConfig()
    model, inputs = PatchTSTClassifier(config, 5), random_inputs(config, 1)
    found = profiler.profile_model_complexity(model, inputs)
    assert found["expected"] == {"parameters": found["parameters"], "flops": found["flops"]}
    assert found["flops"] > 1e6
    by_name = dict(zip(("topo", "stats", "times", "patches"), reversed(inputs), strict=True))
    assert profiler.profile_model_complexity(model, by_name) == found

    linear = profiler.profile_model_complexity(torch.nn.Linear(4, 3), [torch.zeros(1, 4)])
    assert (linear["flops"], linear["expected"]) == (24, None)

    model.head.project = torch.nn.Linear(56, 6)
    with pytest.raises(RuntimeError, match=r"parameters: counted \d+, but the closed form has \d+"):
        profiler.profile_model_complexity(model, inputs)
    with pytest.raises(DataError, match="needs one window"):
        profiler.profile_model_complexity(model, random_inputs(config, 2))
