"""Batches: independent rows, threads, processes, ``out=`` and windows of a ring buffer."""

from __future__ import annotations

import itertools
import multiprocessing
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchtst_har.config import N_STATISTICAL_FEATURES
from patchtst_har.features import compute_statistical_features, compute_statistical_features_batch
from statistical_windows import feature, fixed, noisy, samples, walking


@fixed
@given(samples, st.integers(0, 5))
@pytest.mark.slow
def test_features_do_not_depend_on_the_rest_of_the_batch(window, position):
    rng = np.random.default_rng(position)
    windows = rng.normal(size=(6, *window.shape)).astype(np.float32)
    windows[position] = window
    batch = compute_statistical_features_batch(windows)
    np.testing.assert_array_equal(batch[position], compute_statistical_features(window))


def test_the_batch_equals_its_windows_bit_for_bit_whatever_the_threads():
    windows = np.stack([walking(250, seed) for seed in range(37)])
    one_by_one = np.stack([compute_statistical_features(window) for window in windows])
    for n_threads in (1, 2, 3, 64):
        batch = compute_statistical_features_batch(windows, n_threads=n_threads)
        assert batch.tobytes() == one_by_one.tobytes()


def test_threads_that_compute_at_the_same_time_do_not_disturb_each_other():
    batches = [np.stack([noisy(n, seed) for seed in range(6)]) for n in (7, 250, 997, 1000)]
    expected = [compute_statistical_features_batch(batch).tobytes() for batch in batches]

    def hammer(first):
        order = np.random.default_rng(first).integers(0, len(batches), 60)
        return all(
            compute_statistical_features_batch(batches[i], n_threads=1 + first % 2).tobytes() == expected[i]
            for i in order
        )

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(hammer, range(6)))


@pytest.mark.parametrize("function", [compute_statistical_features, compute_statistical_features_batch])
def test_other_threads_run_while_the_kernel_does(function):
    """Threads never switch by themselves here: this one goes on only when the kernel lets it."""
    given = walking(1000) if function is compute_statistical_features else np.stack([walking(1000)])
    started, stop = threading.Event(), []

    def compute():
        deadline = time.monotonic() + 30
        started.set()
        while not stop and time.monotonic() < deadline:
            function(given)
        return bool(stop)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)
    try:
        with ThreadPoolExecutor(1) as pool:
            computing = pool.submit(compute)
            started.wait()
            stop.append(True)
            assert computing.result(60)
    finally:
        sys.setswitchinterval(interval)


def test_interleaved_lengths_do_not_disturb_each_other():
    fresh = {n: compute_statistical_features(noisy(n)).tobytes() for n in (1000, 7, 997, 64)}
    for first, second in itertools.permutations(fresh, 2):
        for n_samples in (first, second, first):
            assert compute_statistical_features(noisy(n_samples)).tobytes() == fresh[n_samples]


def test_out_is_filled_and_returned():
    windows = np.stack([walking(100, seed) for seed in range(5)])
    out = np.full((5, N_STATISTICAL_FEATURES), np.nan, np.float32)
    assert compute_statistical_features_batch(windows, out=out, n_threads=2) is out
    np.testing.assert_array_equal(out, compute_statistical_features_batch(windows))


@pytest.mark.parametrize("hop", [1, 7, 100, 130])
def test_overlapping_windows_of_a_ring_buffer_are_read_in_place(hop):
    ring = walking(700)
    windows = np.lib.stride_tricks.sliding_window_view(ring, 100, axis=0)[::hop].transpose(0, 2, 1)
    assert np.shares_memory(windows, ring)
    expected = compute_statistical_features_batch(np.ascontiguousarray(windows))
    for n_threads in (1, 2):
        assert (
            compute_statistical_features_batch(windows, n_threads=n_threads).tobytes() == expected.tobytes()
        )
    backwards = compute_statistical_features_batch(windows[::-1])
    assert backwards.tobytes() == expected[::-1].tobytes()
    same = np.broadcast_to(ring[:100], (3, 100, 3))
    np.testing.assert_array_equal(compute_statistical_features_batch(same), expected[[0, 0, 0]])


def test_no_windows_give_no_rows():
    result = compute_statistical_features_batch(np.empty((0, 100, 3), np.float32), n_threads=4)
    assert result.shape == (0, N_STATISTICAL_FEATURES)
    assert result.dtype == np.float32


def test_the_rate_reaches_the_batch():
    windows = np.stack([walking(200)])
    np.testing.assert_array_equal(
        compute_statistical_features_batch(windows, 50)[0], compute_statistical_features(windows[0], 50.0)
    )
    assert feature(windows[0], "freq_1", 50) == feature(windows[0], "freq_1", 100) / 2


def test_read_only_windows_are_welcome():
    window = walking(100)
    window.flags.writeable = False
    assert compute_statistical_features(window).shape == (N_STATISTICAL_FEATURES,)


@pytest.mark.spawns
@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_child_processes_compute_after_the_parent_used_threads(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this platform")
    windows = np.stack([walking(200, seed) for seed in range(4)])
    expected = compute_statistical_features_batch(windows, n_threads=2)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        result = pool.submit(compute_statistical_features_batch, windows, 100.0, n_threads=2).result(60)
    np.testing.assert_array_equal(result, expected)
