"""Latency of the 56 statistical features, checked against the reference before it is timed."""

from __future__ import annotations

import reference
from patchtst_har.features import (
    STATISTICAL_FEATURE_NAMES,
    compute_statistical_features,
    compute_statistical_features_batch,
)


def check(window, features):
    reference.assert_features_close(
        features, reference.statistical_features(window), STATISTICAL_FEATURE_NAMES
    )


def test_one_window(windows, measure):
    for window in windows[:3]:
        check(window, compute_statistical_features(window))
    measure(compute_statistical_features, windows, rounds=3000)


def test_batch_of_64_per_window(windows, measure):
    check(windows[5], compute_statistical_features_batch(windows)[5])
    measure(compute_statistical_features_batch, [windows], rounds=60, per_round=len(windows))


def test_reference_one_window(windows, measure):
    measure(reference.statistical_features, windows, rounds=40)
