from __future__ import annotations

import builtins
import logging
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import reference
from patchtst_har.config import TopologyConfig
from patchtst_har.errors import DataError, MissingDependencyError
from patchtst_har.features import (
    SIMPLIFIED_TOPOLOGICAL_FEATURE_NAMES,
    compute_simplified_topological_features,
    compute_topological_features_batch,
    compute_topology,
    fallback,
    safe_compute_topo_features,
    topology,
)
from patchtst_har.synthetic import bout as activity_signal

CONFIG = TopologyConfig(max_points=32)


@pytest.fixture
def windows():
    return np.stack([activity_signal("walking", 200, np.random.default_rng(seed)) for seed in range(4)])


@pytest.fixture
def break_engine(monkeypatch):
    """Return a function that makes the native engine fail on windows whose first sample is 7 g."""
    native = topology._ENGINES["native"]

    def breaking(error):
        def engine(some, rate_hz, config, out):
            if (some[:, 0] == 7).any():
                raise error
            return native(some, rate_hz, config, out)

        monkeypatch.setitem(topology._ENGINES, "native", engine)

    return breaking


def check_simplified(window):
    got = compute_simplified_topological_features(window[np.newaxis])[0]
    assert np.isfinite(got).all()
    expected = reference.simplified_topological_features(window)
    reference.assert_features_close(got, expected, SIMPLIFIED_TOPOLOGICAL_FEATURE_NAMES, rtol=1e-5, atol=1e-6)
    return dict(zip(SIMPLIFIED_TOPOLOGICAL_FEATURE_NAMES, got.tolist(), strict=True))


@pytest.mark.parametrize("n_samples", [*range(1, 18), 31, 32, 33, 100, 250])
@pytest.mark.parametrize("name", ["sitting", "walking"])
@pytest.mark.slow
def test_simplified_features_equal_the_reference(name, n_samples):
    window = activity_signal(name, n_samples, np.random.default_rng(n_samples))
    check_simplified(window)
    check_simplified((np.round(window * 64) / 64).astype(np.float32))


@settings(deadline=None, max_examples=150, derandomize=True, database=None)
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 40), st.just(3)),
        elements=st.one_of(
            st.integers(-2, 2).map(float),
            st.floats(-8, 8, width=32, allow_subnormal=False),
            st.just(np.nan),
            st.just(np.inf),
        ),
    )
)
@pytest.mark.slow
def test_simplified_features_of_any_window(window):
    check_simplified(window)


def test_valleys_and_peaks_of_a_known_series():
    window = np.zeros((9, 3), np.float32)
    window[:, 2] = [5, 1, 4, 2, 6, 3, 6, 0, 7]
    features = check_simplified(window)
    # Valleys at 1, 2 and 3 join deeper ones at 6, 4 and 6; peaks at 5, 4 and 6 (twice) stand below 7.
    assert [features[f"valley_life_{i}"] for i in (1, 2, 3)] == [5, 3, 2]
    assert [features[f"peak_life_{i}"] for i in (1, 2, 3)] == [6, 4, 3]
    assert features["magnitude_range"] == 7


@pytest.mark.parametrize("level", [0.0, 0.5, np.nan, np.inf])
def test_constant_windows_have_neither_valleys_nor_peaks(level):
    window = np.full((50, 3), level, np.float32)
    assert not compute_simplified_topological_features(window[np.newaxis]).any()


def test_nothing_falls_back_where_nothing_fails(windows, caplog):
    result = safe_compute_topo_features(windows, 100.0, CONFIG, n_threads=2)
    expected = compute_topological_features_batch(windows, 100.0, CONFIG)
    np.testing.assert_array_equal(result.features, expected)
    assert result.counts == {"native": 4}
    assert not caplog.records


def test_a_single_window_is_a_batch_of_one(windows):
    result = safe_compute_topo_features(windows[1], 100.0, CONFIG)
    assert result.features.shape == (1, 24)
    np.testing.assert_array_equal(
        result.features, compute_topological_features_batch(windows[1:2], 100.0, CONFIG)
    )


@pytest.mark.parametrize(
    "error", [MemoryError("too many edges"), ImportError("gone"), ValueError("a defect")]
)
def test_a_window_that_fails_is_simplified_and_the_others_are_not(windows, break_engine, error, caplog):
    expected = compute_topological_features_batch(windows, 100.0, CONFIG)
    windows[2, 0] = 7
    break_engine(error)
    with caplog.at_level(logging.WARNING, "patchtst_har"):
        result = safe_compute_topo_features(windows, 100.0, CONFIG)
    assert result.engines.tolist() == ["native", "native", "simplified", "native"]
    assert result.counts == {"native": 3, "simplified": 1}
    np.testing.assert_array_equal(result.features[[0, 1, 3]], expected[[0, 1, 3]])
    np.testing.assert_array_equal(result.features[2:3], compute_simplified_topological_features(windows[2:3]))
    assert f"window 2: {error!r}; simplified ones instead" in caplog.text


def test_zeros_are_the_last_resort(windows, break_engine, monkeypatch, caplog):
    windows[[0, 3], 0] = 7
    break_engine(MemoryError())

    def fail(_):
        raise RuntimeError("simplified too")

    monkeypatch.setattr(fallback, "compute_simplified_topological_features", fail)
    with caplog.at_level(logging.WARNING, "patchtst_har"):
        result = safe_compute_topo_features(windows, 100.0, CONFIG)
    assert result.counts == {"native": 2, "zeros": 2}
    assert not result.features[[0, 3]].any()
    assert result.features[1:3].any(axis=1).all()
    assert "window 3: RuntimeError('simplified too'); zeros instead" in caplog.text


def test_a_missing_ripser_falls_back_or_is_named(windows, monkeypatch):
    real_import = builtins.__import__

    def without_ripser(name, *args, **kwargs):
        if name == "ripser":
            raise ImportError("No module named 'ripser'")
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_ripser)
    config = CONFIG.replace(engine="ripser")
    assert safe_compute_topo_features(windows, 100.0, config).counts == {"simplified": 4}
    with pytest.raises(MissingDependencyError, match=re.escape('topology.engine="ripser" needs ripser')):
        compute_topological_features_batch(windows, 100.0, config)


def test_bad_arguments_are_errors_and_never_replaced(windows):
    for bad, kind in (
        (windows.astype(np.float64), DataError),
        (windows[:, :, :2].copy(), DataError),
        (windows.tolist(), TypeError),
    ):
        with pytest.raises(kind, match="windows must"):
            safe_compute_topo_features(bad)
    with pytest.raises(DataError, match="sr must be positive"):
        safe_compute_topo_features(windows, -1.0)
    with pytest.raises(DataError, match="n_threads must be at least 1"):
        safe_compute_topo_features(windows, n_threads=0)


def test_the_configuration_says_whether_failures_raise(windows, break_engine):
    windows[1, 0] = 7
    break_engine(MemoryError("too many edges"))
    with pytest.raises(MemoryError, match="too many edges"):
        compute_topology(windows, 100.0, CONFIG)
    result = compute_topology(windows, 100.0, CONFIG.replace(on_error="fallback"))
    assert result.counts == {"native": 3, "simplified": 1}
    windows[1, 0] = 1
    assert compute_topology(windows, 100.0, CONFIG).counts == {"native": 4}
