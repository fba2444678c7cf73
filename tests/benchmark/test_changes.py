import numpy as np
import pytest
from scipy import stats

from patchtst_har.benchmark.changes import N_DEVIATIONS, THRESHOLD, Paired, find_changes

pytestmark = pytest.mark.slow


def alternating(values):
    """Return values in an order in which neighbours are unlike, so that nothing is widened."""
    ordered = np.sort(values)
    half = len(ordered) // 2
    return np.ravel(np.column_stack([ordered[:half], ordered[half:]]))


def change_of(logs, **options):
    (change,) = find_changes([Paired("a", "p50", np.asarray(logs, float), **options)])
    return change


@pytest.mark.parametrize("n", [8, 14, 20, 40])
def test_p_is_that_of_scipy_where_neighbours_share_nothing(n):
    logs = alternating(np.random.default_rng(n).normal(0.3, 1, n))
    change = change_of(logs)
    assert change.p == change.p_adjusted == pytest.approx(stats.wilcoxon(logs).pvalue, rel=1e-9)


@pytest.mark.parametrize("n", [14, 40])
def test_the_interval_holds_about_the_shifts_that_the_test_does_not_reject(n):
    logs = alternating(np.random.default_rng(3).normal(0.3, 1, n))
    change = change_of(logs)
    for bound in np.log([change.low, change.high]):
        assert stats.wilcoxon(logs - bound - 1e-6).pvalue == pytest.approx(0.05, abs=0.015)


def test_the_interval_covers_the_true_ratio():
    rng = np.random.default_rng(0)
    changes = find_changes([Paired(f"{i}", "p50", rng.normal(0.1, 0.05, 20)) for i in range(400)])
    covered = sum(change.low <= np.exp(0.1) <= change.high for change in changes)
    assert covered >= 370


def test_a_drift_that_neighbours_share_widens_interval_and_p():
    logs = np.random.default_rng(4).normal(0.2, 0.3, 20)
    independent, drifting = change_of(alternating(logs)), change_of(np.sort(logs))
    assert drifting.ratio == pytest.approx(independent.ratio)
    assert np.log(drifting.high / drifting.low) > 1.5 * np.log(independent.high / independent.low)
    assert drifting.p > independent.p


def test_a_minority_of_disturbed_blocks_does_not_hide_a_change():
    rng = np.random.default_rng(5)
    logs = np.log(1.15) + rng.normal(0, 0.03, 40)
    logs[::7] += rng.choice([-0.7, 0.7], 6)
    assert change_of(logs).outcome == "slower"
    assert change_of(-logs).outcome == "faster"


@pytest.mark.parametrize(("ratio", "outcome"), [(1.04, "no clear change"), (1.08, "slower")])
def test_only_what_exceeds_the_threshold_counts(ratio, outcome):
    logs = np.log(ratio) + np.random.default_rng(6).normal(0, 0.01, 40)
    change = change_of(logs)
    assert change.p_adjusted < 0.05
    assert change.outcome == outcome
    assert THRESHOLD == 0.05


def test_what_whole_runs_differ_in_widens_and_must_be_exceeded():
    logs = np.log(1.2) + np.random.default_rng(7).normal(0, 0.01, 40)
    alone, widened = change_of(logs), change_of(logs, between=0.05)
    assert alone.outcome == "slower"
    assert widened.outcome == "no clear change"
    assert np.log(1.2) < N_DEVIATIONS * 0.05
    assert widened.low < alone.low
    assert widened.high > alone.high


def test_p_is_adjusted_for_the_number_of_comparisons_each_percentile_for_itself():
    rng = np.random.default_rng(8)
    pairs = [
        Paired(f"{i}", percentile, rng.normal(0.02, 0.1, 20))
        for percentile in ("p50", "p95")
        for i in range(6)
    ]
    changes = find_changes(pairs)
    for part in (changes[:6], changes[6:]):
        expected = stats.false_discovery_control([change.p for change in part])
        np.testing.assert_allclose([change.p_adjusted for change in part], expected)


def test_of_many_equal_benchmarks_hardly_any_is_flagged():
    rng = np.random.default_rng(9)
    flagged = 0
    for _ in range(20):
        pairs = [Paired(f"{i}", "p50", rng.standard_t(3, 30) * 0.1) for i in range(100)]
        flagged += sum(change.outcome != "no clear change" for change in find_changes(pairs))
    assert flagged <= 1


@pytest.mark.parametrize(
    ("n", "together", "told"), [(6, 1, True), (5, 1, False), (8, 10, False), (9, 10, True)]
)
def test_so_few_blocks_can_show_nothing(n, together, told):
    pairs = [Paired(f"{i}", "p50", np.full(n, 1.0) + 0.01 * (np.arange(n) % 2)) for i in range(together)]
    assert {change.outcome for change in find_changes(pairs)} == {"slower" if told else "too few blocks"}


def test_what_is_unusable_keeps_its_ratio_and_tells_nothing():
    change, other = find_changes(
        [Paired("a", "p50", np.full(20, 0.5), unusable="interrupted"), Paired("b", "p50", np.full(20, 0.5))]
    )
    assert (change.outcome, change.low, change.high) == ("interrupted", None, None)
    assert change.ratio == pytest.approx(np.exp(0.5))
    assert (other.outcome, other.p_adjusted) == ("slower", other.p)


def test_blocks_without_any_spread_do_not_fail():
    same = change_of(np.zeros(12))
    assert (same.ratio, same.low, same.high, same.p, same.outcome) == (1, 1, 1, 1, "no clear change")
    shifted = change_of(np.full(12, 0.2))
    assert (shifted.ratio, shifted.low, shifted.high) == pytest.approx((np.exp(0.2),) * 3)
    assert find_changes([]) == ()
