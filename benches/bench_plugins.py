"""Latency of the plug-ins that are shipped, per window and batch, and per thread count.

Every result is checked before it is timed.
"""

from __future__ import annotations

import math
import os

import numpy as np
import pytest

from patchtst_har.features import compute_plugin_features, compute_plugin_features_batch, feature_outputs

N_BATCH = 64
SAMPLE_RATE_HZ = 100.0


def jerk_rms(window):
    jerk = np.diff(window.astype(np.float64), axis=0) * SAMPLE_RATE_HZ
    return [math.sqrt((jerk**2).sum(axis=1).mean())]


def hjorth(window):
    m = np.linalg.norm(window.astype(np.float64), axis=1)
    first = np.diff(m) * SAMPLE_RATE_HZ
    second = np.diff(first) * SAMPLE_RATE_HZ
    mobility = math.sqrt(first.var() / m.var())
    return [mobility, math.sqrt(second.var() / first.var()) / mobility]


def sample_entropy(window):
    m = np.linalg.norm(window.astype(np.float64), axis=1)
    m = m.reshape(-1, 2).mean(axis=1)  # the plug-in halves the rate of windows longer than 512 samples
    near = np.abs(m[:, np.newaxis] - m) <= 0.2 * m.std()
    n_templates = len(m) - 2
    two = near[:n_templates, :n_templates] & near[1:-1, 1:-1]
    three = two & near[2:, 2:]
    return [math.log((two.sum() - n_templates) / (three.sum() - n_templates))]


EXPECTED = {"jerk_rms": jerk_rms, "hjorth": hjorth, "sample_entropy": sample_entropy}


def check(windows, name, values):
    assert values.shape == (len(windows), len(feature_outputs([name])))
    expected = [EXPECTED[name](window) for window in windows[:3]]
    np.testing.assert_allclose(values[:3], expected, rtol=1e-3)


@pytest.mark.parametrize("name", EXPECTED)
def test_plugin_of_one_window(windows, measure, name):
    def run(window):
        return compute_plugin_features(window, [name], SAMPLE_RATE_HZ)

    check(windows[:3], name, np.stack([run(window) for window in windows[:3]]))
    measure(run, windows, rounds=700)


@pytest.mark.bench_long
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("name", EXPECTED)
def test_plugin_of_a_batch_per_window(windows, measure, name, n_threads):
    if n_threads > (os.cpu_count() or 1):
        pytest.skip(f"fewer than {n_threads} cores")

    def run(batch):
        return compute_plugin_features_batch(batch, [name], SAMPLE_RATE_HZ, n_threads=n_threads)

    check(windows, name, run(windows))
    measure(run, [windows], rounds=20, per_round=N_BATCH)
