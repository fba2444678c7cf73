from __future__ import annotations

import numpy as np
import pytest

import reference
from patchtst_har.errors import DataError
from patchtst_har.features import takens_embedding
from patchtst_har.features.embedding import decimate, embedding_plan


@pytest.mark.parametrize(("n_samples", "dimension", "delay"), [(10, 3, 2), (9, 1, 5), (5, 5, 1), (100, 4, 7)])
def test_rows_are_delayed_samples(n_samples, dimension, delay):
    series = np.random.default_rng(0).normal(size=n_samples)
    points = takens_embedding(series, dimension, delay)
    assert points.shape == (n_samples - (dimension - 1) * delay, dimension)
    for i, row in enumerate(points):
        assert row.tolist() == [series[i + k * delay] for k in range(dimension)]


@pytest.mark.parametrize("n_samples", [0, 1, 4])
def test_a_short_series_has_no_points(n_samples):
    points = takens_embedding(np.zeros(n_samples, np.float32), 3, 2)
    assert points.shape == (0, 3)
    assert points.dtype == np.float32


def test_bad_arguments_are_named():
    with pytest.raises(TypeError, match="series must be a numpy array, not list"):
        takens_embedding([1.0, 2.0])
    with pytest.raises(DataError, match=r"series must have shape \(n,\), not \(4, 2\)"):
        takens_embedding(np.zeros((4, 2)))
    for dimension, delay in ((0, 1), (3, 0), (-1, 2)):
        with pytest.raises(DataError, match=f"at least 1, are {dimension} and {delay}"):
            takens_embedding(np.zeros(9), dimension, delay)


@pytest.mark.parametrize("n_samples", [1, 2, 20, 127, 128, 129, 150, 256, 500, 1000, 1001, 3000])
@pytest.mark.parametrize("rate_hz", [1.0, 20.0, 30.0, 50.0, 100.0, 104.26, 400.0])
@pytest.mark.parametrize(("max_points", "dimension", "delay_s"), [(128, 3, 0.1), (2, 2, 0.05), (490, 3, 0.1)])
@pytest.mark.slow
def test_the_plan_is_the_first_that_fits(n_samples, rate_hz, max_points, dimension, delay_s):
    arguments = (n_samples, rate_hz, max_points, dimension, delay_s)
    assert embedding_plan(*arguments) == reference.embedding_plan(*arguments)


def test_the_plan_of_a_ten_second_window():
    assert embedding_plan(1000, 100.0, 128, 3, 0.1) == (8, 1)


@pytest.mark.parametrize("factor", [1, 2, 3, 7, 8, 30])
@pytest.mark.parametrize("n_samples", [1, 2, 5, 64, 999, 1000])
def test_decimation_equals_the_reference(factor, n_samples):
    series = np.random.default_rng(n_samples).normal(1, 0.3, n_samples).astype(np.float32)
    np.testing.assert_allclose(
        decimate(series, factor), reference.decimated(series, factor), rtol=0, atol=1e-12
    )


def test_decimation_keeps_a_constant_and_slow_waves_and_removes_fast_ones():
    series = np.full(500, np.float32(0.7))
    np.testing.assert_allclose(decimate(series, 8), series[::8], rtol=0, atol=1e-14)
    time_s = np.arange(1000) / 100
    slow = np.sin(2 * np.pi * 2 * time_s).astype(np.float32)
    fast = np.sin(2 * np.pi * 12 * time_s).astype(np.float32)
    middle = slice(20, -20)
    np.testing.assert_allclose(decimate(slow, 8)[middle], slow[::8][middle], rtol=0, atol=5e-3)
    assert np.abs(decimate(fast, 8)[middle]).max() < 5e-3
