"""Smoothing a day of windows, compared with hmmlearn; the results are compared first.

With certain observations (one class has probability 1) the smoother is hmmlearn's `CategoricalHMM`.
"""

from __future__ import annotations

import numpy as np
import pytest
from hmmlearn.hmm import CategoricalHMM

from recognizers import CLASSES, HOP_S, reference_smoother

N_WINDOWS = round(86_400 / HOP_S)
ONE_SEQUENCE = np.zeros(N_WINDOWS, np.int64)
LAG = 2


@pytest.fixture(scope="module")
def smoother():
    return reference_smoother()


@pytest.fixture(scope="module")
def symbols():
    """Return a day of observed classes (8640,) that stay for a while, every class among them."""
    rng = np.random.default_rng(0)
    seen = np.repeat(rng.integers(0, len(CLASSES), N_WINDOWS // 30 + 1), 30)[:N_WINDOWS]
    wrong = rng.random(N_WINDOWS) < 0.2
    return np.where(wrong, rng.integers(0, len(CLASSES), N_WINDOWS), seen)


@pytest.fixture(scope="module")
def probabilities(symbols):
    """Return the same day as probabilities (8640, K) float64, each certain."""
    return np.eye(len(CLASSES))[symbols]


@pytest.fixture(scope="module")
def hmmlearn(smoother):
    model = CategoricalHMM(n_components=len(CLASSES), n_features=len(CLASSES), init_params="", params="")
    model.startprob_, model.transmat_ = smoother.start_probabilities, smoother.transition_matrix
    model.emissionprob_ = smoother.emission_matrix
    return model


def log_likelihood(smoother, path, symbols):
    emitted = np.log(smoother.emission_matrix[path, symbols]).sum()
    moved = np.log(smoother.transition_matrix[path[:-1], path[1:]]).sum()
    return np.log(smoother.start_probabilities[path[0]]) + moved + emitted


def check_paths(smoother, hmmlearn, probabilities, symbols):
    """Both paths are the most probable one; where two are, they may differ."""
    ours = smoother.predict(probabilities, ONE_SEQUENCE)
    _, theirs = hmmlearn.decode(symbols[:, np.newaxis])
    scores = [log_likelihood(smoother, path, symbols) for path in (ours, theirs)]
    assert scores[0] == pytest.approx(scores[1], rel=1e-12)


def check_causal(smoother, hmmlearn, symbols, posterior, lag):
    """A posterior is hmmlearn's of the part of the day that it may see."""
    for t in (0, 1, 100, 2000):
        expected = hmmlearn.predict_proba(symbols[: t + lag + 1, np.newaxis])[t]
        np.testing.assert_allclose(posterior[t], expected, rtol=1e-8, atol=1e-12)


def test_viterbi_of_a_day(smoother, hmmlearn, probabilities, symbols, measure):
    check_paths(smoother, hmmlearn, probabilities, symbols)
    measure(lambda rows: smoother.predict(rows, ONE_SEQUENCE), [probabilities], rounds=700)


def test_viterbi_of_a_day_hmmlearn(smoother, hmmlearn, probabilities, symbols, measure):
    check_paths(smoother, hmmlearn, probabilities, symbols)
    measure(hmmlearn.decode, [symbols[:, np.newaxis]], rounds=130)


def test_forward_backward_of_a_day(smoother, hmmlearn, probabilities, symbols, measure):
    posterior = smoother.predict_proba(probabilities, ONE_SEQUENCE)
    expected = hmmlearn.predict_proba(symbols[:, np.newaxis])
    np.testing.assert_allclose(posterior, expected, rtol=1e-8, atol=1e-12)
    measure(lambda rows: smoother.predict_proba(rows, ONE_SEQUENCE), [probabilities], rounds=700)


def test_forward_backward_of_a_day_hmmlearn(smoother, hmmlearn, probabilities, symbols, measure):
    posterior = hmmlearn.predict_proba(symbols[:, np.newaxis])
    np.testing.assert_allclose(smoother.predict_proba(probabilities, ONE_SEQUENCE), posterior, rtol=1e-8)
    measure(hmmlearn.predict_proba, [symbols[:, np.newaxis]], rounds=130)


def test_filter_of_a_day(smoother, hmmlearn, probabilities, symbols, measure):
    check_causal(smoother, hmmlearn, symbols, smoother.filter_proba(probabilities, ONE_SEQUENCE), 0)
    measure(lambda rows: smoother.filter_proba(rows, ONE_SEQUENCE), [probabilities], rounds=700)


def test_fixed_lag_of_a_day(smoother, hmmlearn, probabilities, symbols, measure):
    posterior = smoother.fixed_lag_proba(probabilities, ONE_SEQUENCE, LAG)
    check_causal(smoother, hmmlearn, symbols, posterior, LAG)
    measure(lambda rows: smoother.fixed_lag_proba(rows, ONE_SEQUENCE, LAG), [probabilities], rounds=700)
