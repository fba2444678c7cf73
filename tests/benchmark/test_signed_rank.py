import itertools

import numpy as np
import pytest
from scipy import stats

from patchtst_har.benchmark.signed_rank import estimate_shift, holm


def alternating(n, seed):
    """Return differences whose neighbours are unlike, so that nothing is widened."""
    values = np.sort(np.random.default_rng(seed).normal(0.3, 1, n))
    order = np.ravel(np.column_stack([np.arange(n // 2), np.arange(n // 2, n)]))
    return values[order]


@pytest.mark.parametrize("n", [4, 8, 14, 20, 40])
def test_p_is_that_of_scipy_where_neighbours_share_nothing(n):
    differences = alternating(n, n)
    assert np.corrcoef(differences[1:], differences[:-1])[0, 1] < -0.2
    expected = stats.wilcoxon(differences, method="exact").pvalue
    assert estimate_shift(differences, 0.9).p == pytest.approx(expected, rel=1e-9)


def test_the_interval_holds_the_shifts_that_the_test_does_not_reject():
    differences = alternating(14, 3)
    shift = estimate_shift(differences, 0.95)

    def p(moved):
        return stats.wilcoxon(differences - moved, method="exact").pvalue

    assert p(shift.low + 1e-6) > 0.05 > p(shift.low - 1e-6)
    assert p(shift.high - 1e-6) > 0.05 > p(shift.high + 1e-6)


def test_the_estimate_is_the_median_of_all_pairwise_means():
    differences = np.array([0.3, -1.0, 2.0, 0.7, 5.0])
    pairs = itertools.combinations_with_replacement(differences, 2)
    assert estimate_shift(differences, 0.5).estimate == pytest.approx(
        np.median([sum(pair) / 2 for pair in pairs])
    )


@pytest.mark.parametrize(("n", "known"), [(7, False), (8, True)])
def test_so_few_differences_have_no_interval(n, known):
    # The most extreme of 2 ** 7 sign patterns has a two-sided probability of 1.6 %.
    shift = estimate_shift(alternating(n + n % 2, 1)[:n], 0.99)
    assert (shift.low is not None) == known
    assert (shift.high is not None) == known


def test_a_drift_that_neighbours_share_widens_interval_and_p():
    rng = np.random.default_rng(4)
    independent = rng.normal(0.2, 0.3, 20)
    drifting = np.sort(independent)
    shift, widened = estimate_shift(alternating_of(independent), 0.95), estimate_shift(drifting, 0.95)
    assert widened.estimate == pytest.approx(shift.estimate)
    assert widened.high - widened.low > 1.5 * (shift.high - shift.low)
    assert widened.p > shift.p


def alternating_of(values):
    ordered = np.sort(values)
    half = len(values) // 2
    return np.ravel(np.column_stack([ordered[:half], ordered[half:]]))


def test_differences_without_any_spread_do_not_fail():
    assert estimate_shift(np.zeros(12), 0.95).p == 1.0
    shift = estimate_shift(np.full(12, 0.2), 0.95)
    assert (shift.estimate, shift.low, shift.high) == pytest.approx((0.2, 0.2, 0.2))


def test_many_differences_have_a_p_that_is_not_nan():
    p = estimate_shift(np.linspace(1, 2, 1500), 0.99).p
    assert 0 <= p < 1e-6


def test_holm_is_the_step_down_of_bonferroni():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []
