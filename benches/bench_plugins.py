"""Latency of the plug-ins that are shipped, per window and batch, and per thread count.

Every result is checked before it is timed.
"""

from __future__ import annotations

import numpy as np
import pytest

from patchtst_har.features import compute_plugin_features, compute_plugin_features_batch, feature_outputs
from plugin_reference import REFERENCES

N_BATCH = 64
SAMPLE_RATE_HZ = 100.0


def check(windows, name, values):
    assert values.shape == (len(windows), len(feature_outputs([name])))
    np.testing.assert_allclose(values[0], REFERENCES[name](windows[0], SAMPLE_RATE_HZ), rtol=1e-3)


@pytest.mark.parametrize("name", REFERENCES)
def test_plugin_of_one_window(windows, measure, name):
    def run(window):
        return compute_plugin_features(window, [name], SAMPLE_RATE_HZ)

    check(windows[:3], name, np.stack([run(window) for window in windows[:3]]))
    measure(run, windows, rounds=700)


@pytest.mark.bench_long
@pytest.mark.parametrize("n_threads", [1, 2], indirect=True)
@pytest.mark.parametrize("name", REFERENCES)
def test_plugin_of_a_batch_per_window(windows, measure, name, n_threads):
    def run(batch):
        return compute_plugin_features_batch(batch, [name], SAMPLE_RATE_HZ, n_threads=n_threads)

    check(windows, name, run(windows))
    measure(run, [windows], rounds=20, per_round=N_BATCH)
