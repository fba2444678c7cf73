"""Growth over repeats: real leaks are found, flat processes are not accused."""

import gc
import mmap

import numpy as np
import pytest

from patchtst_har.benchmark.profiling.leaks import LeakEstimate, Slope, slope, watch_repeats
from patchtst_har.errors import DataError

PAGE = 4096


def watched(function, repeats=30, warm_up=5):
    return watch_repeats(function, repeats, warm_up, tolerance_bytes=1024)


@pytest.mark.slow
def test_memory_that_is_kept_is_a_leak():
    kept = []

    def work():
        # Straight from the system: the C library may have room left from what others gave back.
        kept.append(mmap.mmap(-1, 512_000))
        kept[-1].write(b"x" * 512_000)

    estimate = watched(work)
    assert estimate.leaks
    assert estimate.resident_bytes.per_repeat == pytest.approx(512_000, rel=0.1)
    assert estimate.resident_bytes.low > 400_000
    assert estimate.verdict().startswith("a leak: ")


@pytest.mark.slow
def test_small_objects_that_are_kept_are_a_leak_of_blocks():
    kept = []
    estimate = watched(lambda: kept.append(object()))
    assert estimate.leaks
    assert estimate.python_blocks.low > 0.9
    assert estimate.python_blocks.per_repeat == pytest.approx(1, abs=0.1)


@pytest.mark.slow
def test_what_is_given_back_is_no_leak():
    def work():
        return np.ones(500_000).sum() + len([object() for _ in range(1000)])

    estimate = watched(work)
    assert not estimate.leaks
    assert estimate.python_blocks.high < 0.5
    assert estimate.verdict().startswith("no leak found")


@pytest.mark.slow
def test_garbage_in_cycles_is_no_leak():
    def work():
        knot = [bytearray(100_000)]
        knot.append(knot)

    assert not watched(work).leaks


@pytest.mark.slow
def test_a_cache_that_fills_up_is_no_leak_after_the_warm_up():
    cache = {}

    def work():
        cache.setdefault(len(cache) if len(cache) < 5 else 0, np.ones(64_000))

    assert not watched(work).leaks


def test_a_few_steps_are_no_growth_and_many_are():
    flat = np.full(61, 100.0 * PAGE)
    for n_steps, grows in ((0, False), (1, False), (5, False), (6, True), (20, True)):
        steps = np.zeros(61)
        steps[np.linspace(3, 57, n_steps).astype(int)] = 64 * PAGE
        found = slope(flat + steps.cumsum())
        assert (found.low > 0) is grows, n_steps
        assert found.per_repeat == pytest.approx(n_steps * 64 * PAGE / 60)


def test_levels_that_go_up_and_down_do_not_grow():
    rng = np.random.default_rng(0)
    accused = sum(slope(rng.normal(1e8, 1e6, 61)).low > 0 for _ in range(500))
    assert accused == 0


def test_the_bound_covers_the_growth_of_a_random_walk():
    rng = np.random.default_rng(1)
    found = [slope(rng.normal(100, 500, 61).cumsum()) for _ in range(1000)]
    below = np.mean([s.low < 100 for s in found])
    assert 0.975 < below < 1
    assert 0.975 < np.mean([s.high > 100 for s in found]) < 1


@pytest.mark.slow
def test_a_function_that_fails_is_heard_and_the_collector_is_as_before():
    frozen = gc.get_freeze_count()
    with pytest.raises(ZeroDivisionError):
        watched(lambda: 1 / 0)
    assert gc.get_freeze_count() == frozen


def test_nothing_known_is_no_leak():
    estimate = LeakEstimate(30, None, Slope(0, -1, 1), 1024)
    assert not estimate.leaks
    assert (
        LeakEstimate(30, None, None, 1024).verdict()
        == "no leak found: nothing measured a repeat over 30 repeats"
    )


@pytest.mark.parametrize(
    ("repeats", "warm_up", "message"),
    [(29, 0, "repeats: needs at least 30, is 29"), (30, -1, "warm_up: needs at least 0, is -1")],
)
def test_wrong_numbers_are_named(repeats, warm_up, message):
    with pytest.raises(DataError, match=message):
        watched(lambda: None, repeats, warm_up)
