from __future__ import annotations

import re

import numpy as np
import pytest

from patchtst_har.config import N_STATISTICAL_FEATURES
from patchtst_har.errors import DataError
from patchtst_har.features import (
    compute_statistical_features,
    compute_statistical_features_batch,
    compute_topological_features,
    compute_topological_features_batch,
)

SINGLE = [compute_statistical_features, compute_topological_features]
BATCH = [compute_statistical_features_batch, compute_topological_features_batch]
N_FEATURES = {
    compute_statistical_features_batch: N_STATISTICAL_FEATURES,
    compute_topological_features_batch: 24,
}


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize("function", SINGLE)
@pytest.mark.parametrize(
    ("window", "message"),
    [
        (zeros(100), "window must have shape (n_samples, 3), not (100,)"),
        (zeros(100, 4), "not (100, 4)"),
        (zeros(3, 100), "not (3, 100): channels come last"),
        (zeros(2, 100, 3), "not (2, 100, 3): several windows at once need the _batch function"),
        (zeros(0, 3), "window must have 1 to 1048576 samples, has shape (0, 3)"),
        (zeros(2**20 + 1, 3), "has shape (1048577, 3)"),
        (
            zeros(9, 3, dtype=np.float64),
            "must be float32, not float64 (shape (9, 3)): pass window.astype",
        ),
        (zeros(9, 3, dtype=np.int16), "must be float32, not int16"),
        (zeros(9, 3, dtype=">f4"), "must be float32, not >f4"),
        (zeros(3, 9).T, "of shape (9, 3) must be C-ordered and aligned: pass np.ascontiguousarray(window)"),
        (zeros(18, 3)[::2], "C-ordered"),
        (np.frombuffer(bytes(1 + 9 * 12), np.uint8)[1:].view(np.float32).reshape(9, 3), "aligned"),
    ],
)
def test_a_wrong_window_is_refused_with_its_shape(function, window, message):
    with pytest.raises(DataError, match=re.escape(message)):
        function(window)


@pytest.mark.parametrize("function", BATCH)
@pytest.mark.parametrize(
    ("windows", "message"),
    [
        (zeros(100, 3), "not (100, 3): one window needs a leading axis"),
        (
            zeros(5, 3, 100),
            "windows must have shape (n_windows, n_samples, 3), not (5, 3, 100): channels",
        ),
        (zeros(5, 0, 3), "has shape (5, 0, 3)"),
        (zeros(5, 9, 3, dtype=np.float64), "pass windows.astype(np.float32)"),
        (zeros(5, 18, 3)[:, ::2], "np.ascontiguousarray(windows)"),
    ],
)
def test_wrong_windows_are_refused_with_their_shape(function, windows, message):
    with pytest.raises(DataError, match=re.escape(message)):
        function(windows)


def test_topology_takes_no_overlapping_windows_and_statistics_no_scattered_ones():
    overlapping = np.lib.stride_tricks.sliding_window_view(zeros(90, 3), 60, axis=0)[::10].transpose(0, 2, 1)
    with pytest.raises(DataError, match="C-ordered"):
        compute_topological_features_batch(overlapping)
    assert compute_statistical_features_batch(overlapping).shape == (4, N_STATISTICAL_FEATURES)
    for windows in (zeros(5, 60, 6)[:, :, ::2], zeros(5, 3, 60).transpose(0, 2, 1)):
        with pytest.raises(DataError, match="C-ordered"):
            compute_statistical_features_batch(windows)


@pytest.mark.parametrize("value", [[[0.0, 0.0, 1.0]], None, "abc", np.ma.zeros((9, 3), np.float32)])
def test_only_plain_arrays_are_accepted(value):
    for function in SINGLE:
        with pytest.raises(TypeError, match=f"window must be a numpy array, not {type(value).__name__}"):
            function(value)


@pytest.mark.parametrize("sr", [0.0, -1.0, np.nan, np.inf, 1e39, 10**400, np.longdouble("1e400")])
def test_a_rate_must_be_positive_and_finite(sr):
    for function in SINGLE:
        with pytest.raises(DataError, match=re.escape(f"sr must be positive and finite, in Hz, not {sr!r}")):
            function(zeros(9, 3), sr)


@pytest.mark.parametrize("sr", ["100", None, True, [100.0]])
def test_a_rate_must_be_a_number(sr):
    for function in SINGLE:
        with pytest.raises(TypeError, match=f"sr must be a number of Hz, not {type(sr).__name__}"):
            function(zeros(9, 3), sr)


@pytest.mark.parametrize("function", BATCH)
def test_thread_counts(function):
    windows = zeros(4, 9, 3)
    for n_threads in (0, -2):
        with pytest.raises(DataError, match=f"n_threads must be at least 1, not {n_threads}"):
            function(windows, n_threads=n_threads)
    for n_threads in (1.0, "2", None, True):
        with pytest.raises(TypeError, match="n_threads must be an integer"):
            function(windows, n_threads=n_threads)


@pytest.mark.parametrize("function", BATCH)
def test_out_must_fit(function):
    windows, n_features = zeros(4, 60, 3), N_FEATURES[function]
    read_only = zeros(4, n_features)
    read_only.flags.writeable = False
    overlapping = windows.reshape(-1)[: 4 * n_features].reshape(4, n_features)
    for out, message in [
        (zeros(3, n_features), f"out must have shape (4, {n_features}), not (3, {n_features})"),
        (zeros(4, n_features, dtype=np.float64), "out must be float32, not float64"),
        (zeros(n_features, 4).T, "out of shape"),
        (read_only, "out is read-only"),
        (overlapping, "out shares memory with windows"),
    ]:
        with pytest.raises(DataError, match=re.escape(message)):
            function(windows, out=out)
    with pytest.raises(TypeError, match="out must be a numpy array, not list"):
        function(windows, out=[0.0])
