"""Windows and the comparison with the reference that the tests of the statistical features share."""

from __future__ import annotations

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import reference
from patchtst_har.features import STATISTICAL_FEATURE_NAMES, compute_statistical_features
from patchtst_har.synthetic import bout as activity_signal

INDEX = {name: position for position, name in enumerate(STATISTICAL_FEATURE_NAMES)}

samples = arrays(
    np.float32,
    st.tuples(st.integers(1, 40), st.just(3)),
    elements=st.floats(width=32, allow_nan=True, allow_infinity=True, allow_subnormal=True),
)
fixed = settings(deadline=None, max_examples=150, derandomize=True, database=None)


def noisy(n_samples, seed=0):
    rng = np.random.default_rng([n_samples, seed])
    return rng.normal([0.3, 0.5, 0.8], 0.3, (n_samples, 3)).astype(np.float32)


def walking(n_samples=1000, seed=0):
    return activity_signal("walking", n_samples, np.random.default_rng(seed))


def check(window, sr=100.0):
    features = compute_statistical_features(window, sr)
    assert np.isfinite(features).all()
    reference.assert_features_close(
        features, reference.statistical_features(window, sr), STATISTICAL_FEATURE_NAMES
    )
    return features


def feature(window, name, sr=100.0):
    return float(compute_statistical_features(window, sr)[INDEX[name]])
