from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import reference
from patchtst_har import _core
from patchtst_har.config import TopologyConfig
from patchtst_har.errors import DataError
from patchtst_har.features import (
    TOPOLOGICAL_FEATURE_NAMES,
    compute_topological_features,
    compute_topological_features_batch,
    topology,
)
from patchtst_har.synthetic import bout as activity_signal

LENGTHS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 21, 22, 23, 24, 31, 32, 33, 50, 63, 64, 65, 97, 100, 127]
LENGTHS += [128, 129, 148, 149, 250, 500, 997, 1000, 1001, 1024, 2048]
INDEX = {name: position for position, name in enumerate(TOPOLOGICAL_FEATURE_NAMES)}


def activity(name, n_samples=1000, seed=0):
    return activity_signal(name, n_samples, np.random.default_rng([seed, n_samples]))


def assert_engines_agree(windows, sr=100.0, **settings):
    native = compute_topological_features_batch(windows, sr, TopologyConfig(**settings))
    ripser = compute_topological_features_batch(windows, sr, TopologyConfig(engine="ripser", **settings))
    # What float32 can hold of numbers that were float64 on the way.
    np.testing.assert_allclose(native, ripser, rtol=2e-6, atol=1e-7)


def check(window, sr=100.0, **settings):
    features = compute_topological_features(window, sr, TopologyConfig(**settings) if settings else None)
    assert np.isfinite(features).all()
    expected = reference.topological_features(window, sr, **settings)
    reference.assert_features_close(features, expected, TOPOLOGICAL_FEATURE_NAMES)
    return features


@pytest.mark.parametrize("n_samples", LENGTHS)
@pytest.mark.slow
def test_equals_the_reference_at_every_length(n_samples):
    check(activity("walking", n_samples))


@pytest.mark.parametrize("sr", [1, 12.5, 31.25, 97.1, 104.26, 400])
@pytest.mark.slow
def test_equals_the_reference_at_every_rate(sr):
    check(activity("running", 600), sr)


@pytest.mark.parametrize("name", ["sitting", "walking", "running"])
def test_equals_the_reference_on_a_device_grid(name):
    check((np.round(activity(name) * 64) / 64).astype(np.float32))


@pytest.mark.parametrize(
    "settings",
    [
        {"max_points": 20},
        {"max_points": 250},
        {"dimension": 1},
        {"dimension": 2, "delay_s": 0.25},
        {"dimension": 5, "delay_s": 0.02, "max_points": 60},
        {"max_points": 2, "dimension": 2},
    ],
)
@pytest.mark.slow
def test_equals_the_reference_with_other_settings(settings):
    check(activity("walking", 500), **settings)


@pytest.mark.parametrize("n_samples", [1, 2, 9, 20, 21, 22, 23, 64, 130, 333, 1000])
@pytest.mark.slow
def test_the_engines_agree(n_samples):
    windows = np.stack([activity(name, n_samples) for name in ("sitting", "walking", "running")])
    assert_engines_agree(windows)
    assert_engines_agree((np.round(windows * 64) / 64).astype(np.float32))
    assert_engines_agree(windows, 37.3, max_points=50, dimension=2, delay_s=0.2)


def test_a_delay_beyond_the_window_leaves_no_points():
    window = activity("walking", 300)
    for engine in ("native", "ripser"):
        config = TopologyConfig(delay_s=3600.0, engine=engine)
        assert not compute_topological_features(window, 100.0, config).any()
    check(window, dimension=1, delay_s=3600.0)


def test_every_instruction_set_gives_the_same_bits():
    active = _core.active_isa()
    windows = np.stack([activity(name, 500, seed) for seed, name in enumerate(("sitting", "walking"))])
    try:
        results = set()
        for isa in _core.available_isas():
            _core.select_isa(isa)
            results.add(compute_topological_features_batch(windows).tobytes())
    finally:
        _core.select_isa(active)
    assert len(results) == 1


def test_steps_are_periodic_and_stillness_is_small():
    walking = compute_topological_features(activity("walking"))
    still = compute_topological_features(activity("sitting"))
    assert walking[INDEX["enclosing_radius"]] > 10 * still[INDEX["enclosing_radius"]]
    assert walking[INDEX["h1_life_1"]] > 10 * still[INDEX["h1_life_1"]]
    time_s = np.arange(1000) / 100
    circle = np.zeros((1000, 3), np.float32)
    circle[:, 2] = 1 + 0.5 * np.sin(2 * np.pi * 1.1 * time_s)
    assert compute_topological_features(circle)[INDEX["periodicity"]] > 0.5


def test_summaries_of_h1_belong_together():
    features = dict(
        zip(TOPOLOGICAL_FEATURE_NAMES, compute_topological_features(activity("running")), strict=True)
    )
    life = features["h1_death_longest"] - features["h1_birth_longest"]
    assert features["h1_life_1"] == pytest.approx(life, rel=1e-5)
    assert features["periodicity"] == pytest.approx(life / features["enclosing_radius"], rel=1e-5)
    assert features["h1_life_1"] <= features["h1_l2"] <= features["h1_total"]
    assert features["h1_birth_max"] < features["h1_death_max"] <= features["enclosing_radius"]
    assert features["h0_life_1"] >= features["h0_life_2"] >= features["h0_life_3"] > 0


@pytest.mark.parametrize("n_samples", [1, 2, 20, 21, 300, 1000])
@pytest.mark.parametrize("level", [0.0, 1 / 3, -1.0, 1e-40, 1e18, np.nan, np.inf])
def test_a_constant_window_has_no_topology(n_samples, level):
    window = np.full((n_samples, 3), level, np.float32)
    np.testing.assert_array_equal(compute_topological_features(window), np.zeros(24, np.float32))


def test_a_still_window_with_few_distinct_values():
    rng = np.random.default_rng(0)
    window = np.tile(np.float32([0, 0, 1]), (1000, 1))
    window[:, 2] += rng.choice([0, 1 / 64], 1000, p=[0.99, 0.01]).astype(np.float32)
    features = compute_topological_features(window)
    assert np.isfinite(features).all()
    assert 0 < features[INDEX["enclosing_radius"]] < 1 / 64


def test_invalid_samples_are_repaired():
    window = activity("walking", 400)
    window[100:110, 0], window[:5, 1], window[-3:, 2], window[200] = np.nan, np.inf, -np.inf, 1e30
    before = window.copy()
    features = check(window)
    np.testing.assert_array_equal(features, compute_topological_features(reference.repair(window)))
    np.testing.assert_array_equal(window, before)


@pytest.mark.parametrize("scale", [1e-15, 1e-6, 1e6, 9e18])
def test_extreme_scales_stay_finite(scale):
    window = np.random.default_rng(2).uniform(-scale, scale, (300, 3)).astype(np.float32)
    features = compute_topological_features(window)
    assert np.isfinite(features).all()
    unit = compute_topological_features(window / np.float32(scale))
    assert features[INDEX["periodicity"]] == pytest.approx(unit[INDEX["periodicity"]], rel=1e-3)
    assert features[INDEX["h0_total"]] == pytest.approx(unit[INDEX["h0_total"]] * scale, rel=1e-3)


@settings(deadline=None, max_examples=60, derandomize=True, database=None)
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 60), st.just(3)),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True, allow_subnormal=True),
    ),
    st.floats(0.01, 1e4),
)
def test_any_window_gives_finite_features(window, sr):
    assert np.isfinite(compute_topological_features(window, sr)).all()


def test_the_batch_equals_its_windows_bit_for_bit_whatever_the_threads():
    windows = np.stack([activity("walking", 250, seed) for seed in range(7)])
    one_by_one = np.stack([compute_topological_features(window) for window in windows])
    for n_threads in (1, 2, 16):
        batch = compute_topological_features_batch(windows, n_threads=n_threads)
        assert batch.tobytes() == one_by_one.tobytes()
    out = np.full((7, 24), np.nan, np.float32)
    assert compute_topological_features_batch(windows, out=out) is out
    assert out.tobytes() == one_by_one.tobytes()


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_the_batch_size_changes_nothing(batch_size, n_threads):
    windows = np.stack([activity("running", 200, seed) for seed in range(7)])
    batch = compute_topological_features_batch(windows, n_threads=n_threads, batch_size=batch_size)
    assert batch.tobytes() == compute_topological_features_batch(windows).tobytes()


@pytest.mark.parametrize(
    ("factor", "dimension", "delay", "n_samples", "message"),
    [
        (0, 3, 1, 100, "factor, dimension and delay must be at least 1"),
        (1, 0, 1, 100, "factor, dimension and delay must be at least 1"),
        (1, 3, 0, 100, "factor, dimension and delay must be at least 1"),
        (1, 1, 1, 2049, "too many points"),
        (1, 3, 1, 2051, "too many points"),
    ],
)
def test_the_kernel_refuses_what_would_leave_its_memory(factor, dimension, delay, n_samples, message):
    windows, out = np.zeros((1, n_samples, 3), np.float32), np.zeros((1, 24), np.float32)
    with pytest.raises(ValueError, match=message):
        _core.topological_features(windows, factor, dimension, delay, out)
    with pytest.raises(ValueError, match=r"out must have shape \(n, 24\)"):
        _core.topological_features(windows, 8, 3, 1, np.zeros((2, 24), np.float32))


def test_the_batch_size_bounds_the_windows_of_one_call(monkeypatch):
    sizes = []

    def engine(windows, rate_hz, config, out):
        sizes.append(len(windows))
        out[:] = 1

    monkeypatch.setitem(topology._ENGINES, "native", engine)
    windows = np.zeros((7, 50, 3), np.float32)
    assert (compute_topological_features_batch(windows, batch_size=3) == 1).all()
    assert sizes == [3, 3, 1]


@pytest.mark.parametrize(
    ("batch_size", "error", "message"),
    [
        (0, DataError, "batch_size must be at least 1, not 0"),
        (2.5, TypeError, "batch_size must be an integer, not float"),
        (True, TypeError, "batch_size must be an integer, not bool"),
    ],
)
def test_bad_batch_sizes_are_refused(batch_size, error, message):
    with pytest.raises(error, match=message):
        compute_topological_features_batch(np.zeros((2, 50, 3), np.float32), batch_size=batch_size)


def test_settings_and_rate_reach_the_batch():
    windows = activity("running", 300)[np.newaxis]
    config = TopologyConfig(max_points=40, dimension=2)
    batch = compute_topological_features_batch(windows, 50.0, config)
    np.testing.assert_array_equal(batch[0], compute_topological_features(windows[0], 50.0, config))
    assert (batch != compute_topological_features_batch(windows)).any()


def test_no_windows_give_no_rows():
    result = compute_topological_features_batch(np.empty((0, 100, 3), np.float32), n_threads=2)
    assert result.shape == (0, 24)
    assert result.dtype == np.float32


@pytest.mark.parametrize("engine", ["native", "ripser"])
def test_the_profile_is_measured_and_changes_nothing(engine):
    window, config = activity("walking"), TopologyConfig(engine=engine)
    started = time.perf_counter()
    features, times = compute_topological_features(window, 100.0, config, profile=True)
    assert sum(times.values()) <= time.perf_counter() - started
    np.testing.assert_array_equal(features, compute_topological_features(window, 100.0, config))
    assert list(times) == ["magnitude", "decimation", "embedding", "persistence", "summary"]
    assert all(isinstance(seconds, float) and seconds > 0 for seconds in times.values())


@pytest.mark.spawns
@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_child_processes_compute_after_the_parent_used_threads(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this platform")
    windows = np.stack([activity("walking", 150, seed) for seed in range(3)])
    expected = compute_topological_features_batch(windows, n_threads=2)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        result = pool.submit(compute_topological_features_batch, windows, n_threads=2).result(60)
    np.testing.assert_array_equal(result, expected)
