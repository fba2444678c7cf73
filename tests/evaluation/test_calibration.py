import numpy as np
import pytest
from sklearn.metrics import log_loss

from patchtst_har.errors import DataError
from patchtst_har.evaluation.calibration import brier, ece, fit_temperature, nll, reliability_bins
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


@pytest.mark.parametrize("true_temperature", [0.7, 1.0, 3.0])
@pytest.mark.slow
def test_the_temperature_is_that_of_a_grid_search(true_temperature):
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 2, (800, 4))
    odds = np.exp(logits / true_temperature)
    chances = odds / odds.sum(axis=1, keepdims=True)
    truth = (rng.random((800, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    grid = np.exp(np.linspace(np.log(0.5), np.log(10), 3000))

    def loss(temperature):
        scaled = np.exp(logits / temperature)
        return nll(truth, scaled / scaled.sum(axis=1, keepdims=True))

    best = grid[np.argmin([loss(value) for value in grid])]
    found = fit_temperature(logits, truth)
    assert found == pytest.approx(best, rel=2e-3)
    assert found == pytest.approx(true_temperature, rel=0.15)
    # Logarithms of probabilities differ from logits by a constant per window.
    assert fit_temperature(np.log(chances) * true_temperature, truth) == pytest.approx(found, rel=1e-4)


def test_a_temperature_has_bounds():
    logits = 3.0 * np.eye(3)
    assert fit_temperature(logits, np.arange(3)) == pytest.approx(0.5, rel=1e-4)
    assert fit_temperature(logits, np.array([1, 2, 0])) == pytest.approx(10.0, rel=1e-4)


@pytest.mark.parametrize(
    ("logits", "truth", "text"),
    [
        (np.zeros((0, 3)), np.zeros(0, int), "need shape"),
        (np.zeros((2, 3)), np.zeros(3, int), "need shape"),
        (np.zeros(3), np.zeros(3, int), "need shape"),
        (np.array([[0.0, -np.inf]]), np.zeros(1, int), "not finite"),
    ],
)
def test_no_temperature_is_made_up(logits, truth, text):
    with pytest.raises(DataError, match=text):
        fit_temperature(logits, truth)
