import numpy as np
import pytest
from sklearn.metrics import log_loss

from patchtst_har.evaluation.calibration import brier, ece, nll, reliability_bins
from patchtst_har.records.run import Bin


def slow_ece(truth, probabilities, n_bins):
    total = 0.0
    for b in range(n_bins):
        rows = [i for i, row in enumerate(probabilities) if b / n_bins < max(row) <= (b + 1) / n_bins]
        if rows:
            confidence = sum(max(probabilities[i]) for i in rows) / len(rows)
            correct = sum(int(np.argmax(probabilities[i]) == truth[i]) for i in rows) / len(rows)
            total += len(rows) / len(truth) * abs(confidence - correct)
    return total


def test_equals_the_definitions():
    rng = np.random.default_rng(0)
    truth, probabilities = rng.integers(0, 4, 500), rng.dirichlet(np.ones(4), 500)
    assert ece(truth, probabilities) == pytest.approx(slow_ece(truth, probabilities, 15), rel=1e-9)
    assert nll(truth, probabilities) == pytest.approx(
        log_loss(truth, probabilities, labels=range(4)), rel=1e-9
    )
    squares = ((probabilities - np.eye(4)[truth]) ** 2).sum(axis=1)
    assert brier(truth, probabilities) == pytest.approx(squares.mean())
    bins = reliability_bins(truth, probabilities)
    assert sum(row.n for row in bins) == 500
    assert len(bins) == 15


def test_perfect_and_perfectly_wrong():
    certain, right, wrong = np.eye(3)[[0, 1, 2]], np.array([0, 1, 2]), np.array([1, 2, 0])
    assert [metric(right, certain) for metric in (ece, brier, nll)] == [0.0, 0.0, 0.0]
    bins = reliability_bins(right, certain)
    assert bins[-1] == Bin(lower=14 / 15, upper=1.0, n=3, confidence=1.0, accuracy=1.0)
    assert bins[0].accuracy is None
    assert (ece(wrong, certain), brier(wrong, certain)) == (1.0, 2.0)
    assert nll(wrong, certain) == pytest.approx(-np.log(1e-15))


def test_overconfidence_is_the_difference():
    probabilities = np.tile([0.9, 0.1], (10, 1))
    truth = np.array([0] * 6 + [1] * 4)
    assert ece(truth, probabilities) == pytest.approx(0.3)
