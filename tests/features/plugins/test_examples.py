"""The shipped plug-ins against slow versions written from the papers' definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from patchtst_har.features import compute_plugin_features
from patchtst_har.features.plugins.hjorth import hjorth
from patchtst_har.features.plugins.jerk_rms import jerk_rms
from patchtst_har.features.plugins.sample_entropy import sample_entropy
from patchtst_har.synthetic import bout as activity_signal
from plugin_reference import REFERENCES


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize(("activity", "n_samples", "sr"), [("walking", 300, 50.0), ("sitting", 601, 100.0)])
@pytest.mark.slow
def test_agrees_with_the_slow_reference(name, activity, n_samples, sr):
    window = activity_signal(activity, n_samples, np.random.default_rng(5), sample_rate_hz=sr)
    computed = compute_plugin_features(window, [name], sr)
    np.testing.assert_allclose(computed, REFERENCES[name](window, sr), rtol=1e-5)


@pytest.mark.parametrize("function", [hjorth, jerk_rms, sample_entropy])
@pytest.mark.parametrize("n_samples", [1, 4, 40])
def test_compiled_and_interpreted_results_agree(function, n_samples):
    rng = np.random.default_rng(n_samples)
    ramp = np.outer(np.arange(n_samples), [1.0, 0.0, 0.0])
    for window in (rng.normal(size=(n_samples, 3)), ramp, np.ones((n_samples, 3))):
        window = window.astype(np.float32)
        computed = compute_plugin_features(window, [function.__name__])
        np.testing.assert_allclose(computed, np.atleast_1d(function(window, 100.0)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("n_samples", [1, 2, 3, 4, 5, 511, 512, 513, 1024, 1025])
def test_is_defined_for_every_length(name, n_samples):
    rng = np.random.default_rng(n_samples)
    for window in (rng.normal(size=(n_samples, 3)), np.ones((n_samples, 3)), np.zeros((n_samples, 3))):
        assert np.isfinite(compute_plugin_features(window.astype(np.float32), [name])).all()


def test_known_values():
    time_s = np.arange(2000) / 100
    window = np.zeros((2000, 3), np.float32)
    window[:, 2] = 1 + 0.5 * np.sin(2 * np.pi * time_s)
    mobility, complexity = compute_plugin_features(window, ["hjorth"])
    assert mobility == pytest.approx(2 * np.pi, rel=1e-2)
    assert complexity == pytest.approx(1.0, rel=1e-2)
    slope_rms = 0.5 * 2 * np.pi / np.sqrt(2)
    assert compute_plugin_features(window, ["jerk_rms"])[0] == pytest.approx(slope_rms, rel=1e-2)


def test_noise_is_less_regular_than_a_sine_and_stillness_is_regular():
    rng = np.random.default_rng(0)
    noise, sine = np.zeros((2, 500, 3), np.float32)
    noise[:, 2] = 1 + rng.normal(0, 0.1, 500)
    sine[:, 2] = 1 + 0.1 * np.sin(np.arange(500) / 8)
    irregular, regular = (compute_plugin_features(window, ["sample_entropy"])[0] for window in (noise, sine))
    # Richman and Moorman give 2.2 for long Gaussian noise at r = 0.2.
    assert irregular == pytest.approx(2.2, abs=0.3)
    assert regular < 0.5
    assert compute_plugin_features(np.ones((500, 3), np.float32), ["sample_entropy"])[0] == 0


def test_without_any_agreement_sample_entropy_is_its_upper_bound():
    window = np.zeros((6, 3), np.float32)
    window[:, 0] = [1, 2, 4, 8, 16, 32]
    expected = math.log(3) + math.log(4) - math.log(2)
    assert compute_plugin_features(window, ["sample_entropy"])[0] == pytest.approx(expected, rel=1e-6)
