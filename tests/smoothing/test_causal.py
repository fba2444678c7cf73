import numpy as np
import pytest

from patchtst_har.errors import DataError
from patchtst_har.smoothing import HMMSmoother


def random_model(rng, size):
    start, transitions, emissions = (
        rng.dirichlet(np.ones(size)),
        rng.dirichlet(np.ones(size), size),
        rng.dirichlet(np.ones(size), size),
    )
    smoother = HMMSmoother.from_parameters(start, transitions, emissions, n_classes=size)
    # No wheels for CPython 3.14.
    model = pytest.importorskip("hmmlearn.hmm").CategoricalHMM(n_components=size, n_features=size)
    model.startprob_, model.transmat_, model.emissionprob_ = start, transitions, emissions
    return smoother, model


def posterior_given(model, symbols, t, last):
    """hmmlearn's posterior of window t, given the windows up to `last`."""
    return model.predict_proba(symbols[: last + 1, np.newaxis])[t]


@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_filter_and_fixed_lag_equal_hmmlearn_on_the_part_they_may_see(size):
    rng = np.random.default_rng(size)
    smoother, model = random_model(rng, size)
    symbols = rng.integers(0, size, 25)
    symbols[0] = size - 1
    probabilities, sequences = np.eye(size)[symbols], np.zeros(25, np.int64)
    for lag in (0, 1, 3, 24, 100):
        got = smoother.fixed_lag_proba(probabilities, sequences, lag)
        for t in range(25):
            expected = posterior_given(model, symbols, t, min(t + lag, 24))
            np.testing.assert_allclose(got[t], expected, rtol=1e-9, atol=1e-12)
    filtered = smoother.filter_proba(probabilities, sequences)
    waited = smoother.fixed_lag_proba(probabilities, sequences, 0)
    np.testing.assert_allclose(filtered, waited, rtol=1e-12)


def test_a_lag_as_long_as_the_sequence_is_forward_backward():
    rng = np.random.default_rng(0)
    smoother, _ = random_model(rng, 4)
    probabilities = rng.dirichlet(np.ones(4), 60)
    sequences = np.repeat([0, 1, 2], 20)
    np.testing.assert_allclose(
        smoother.fixed_lag_proba(probabilities, sequences, 19),
        smoother.predict_proba(probabilities, sequences),
        rtol=1e-12,
    )


def test_later_windows_and_other_sequences_have_no_influence():
    rng = np.random.default_rng(1)
    smoother, _ = random_model(rng, 3)
    probabilities = rng.dirichlet(np.ones(3), 50)
    sequences = np.repeat([0, 1], [20, 30])
    whole = smoother.fixed_lag_proba(probabilities, sequences, 2)
    for t in (0, 5, 17, 20, 31, 47):
        part = smoother.fixed_lag_proba(probabilities[: t + 3], sequences[: t + 3], 2)
        np.testing.assert_array_equal(part[t], whole[t])
    alone = smoother.filter_proba(probabilities[20:], sequences[20:])
    np.testing.assert_array_equal(alone, smoother.filter_proba(probabilities, sequences)[20:])


def test_several_lags_in_one_pass_are_the_lags_one_by_one():
    rng = np.random.default_rng(3)
    smoother, _ = random_model(rng, 4)
    probabilities, sequences = rng.dirichlet(np.ones(4), 60), np.repeat([0, 1], [25, 35])
    for lag, together in zip(
        (0, 1, 5), smoother.fixed_lags_proba(probabilities, sequences, (0, 1, 5)), strict=True
    ):
        np.testing.assert_array_equal(together, smoother.fixed_lag_proba(probabilities, sequences, lag))


def test_ten_thousand_windows_do_not_underflow():
    rng = np.random.default_rng(2)
    smoother, _ = random_model(rng, 6)
    probabilities = rng.dirichlet(np.full(6, 0.05), 10_000)
    for posterior in (
        smoother.filter_proba(probabilities, np.zeros(10_000, np.int64)),
        smoother.fixed_lag_proba(probabilities, np.zeros(10_000, np.int64), 50),
    ):
        assert np.isfinite(posterior).all()
        np.testing.assert_allclose(posterior.sum(axis=1), 1)


def test_a_class_that_cannot_be_reached_has_no_weight():
    # The second class explains the windows better and better, but no path leads to it.
    smoother = HMMSmoother.from_parameters(
        [1.0, 0.0], np.eye(2), [[1 - 1e-6, 1e-6], [1e-6, 1 - 1e-6]], n_classes=2
    )
    probabilities, sequences = np.eye(2)[np.ones(200, np.int64)], np.zeros(200, np.int64)
    expected = np.eye(2)[np.zeros(200, np.int64)]
    np.testing.assert_array_equal(smoother.predict_proba(probabilities, sequences), expected)
    np.testing.assert_array_equal(smoother.fixed_lag_proba(probabilities, sequences, 150), expected)


def test_a_class_far_below_the_smallest_float_may_come_back():
    smoother = HMMSmoother.from_parameters(
        [0.5, 0.5], np.eye(2), [[1 - 1e-6, 1e-6], [1e-6, 1 - 1e-6]], n_classes=2
    )
    symbols = np.repeat([0, 1], [50, 60])
    posterior = smoother.predict_proba(np.eye(2)[symbols], np.zeros(110, np.int64))
    np.testing.assert_allclose(posterior, np.eye(2)[np.ones(110, np.int64)], atol=1e-12)
    assert (smoother.filter_proba(np.eye(2)[symbols], np.zeros(110, np.int64))[49, 0]) > 0.999


def test_an_impossible_window_is_named():
    smoother = HMMSmoother.from_parameters([1, 0], np.eye(2), np.eye(2), n_classes=2)
    with pytest.raises(DataError, match="row 1 is impossible under the model"):
        smoother.filter_proba(np.eye(2), [0, 0])


@pytest.mark.parametrize("lag", [-1, 1.5, True, "2"])
def test_a_bad_lag_is_refused(lag):
    smoother, _ = random_model(np.random.default_rng(3), 2)
    with pytest.raises(DataError, match="lag: needs an integer of at least 0"):
        smoother.fixed_lag_proba(np.eye(2), [0, 0], lag)


def test_no_window_gives_no_row():
    smoother, _ = random_model(np.random.default_rng(4), 3)
    assert smoother.filter_proba(np.empty((0, 3)), np.empty(0, np.int64)).shape == (0, 3)
