"""Bounds against exact binomial sums."""

from fractions import Fraction
from itertools import accumulate
from math import comb

import numpy as np
import pytest

from patchtst_har.support.percentiles import (
    MIN_SAMPLES,
    describe,
    miss_rate_upper,
    quantile_curve,
    quantile_ranks,
    summarise,
)

ERROR = Fraction(1, 200)


def at_most(k, n, p):
    """P(at most k of n), exactly."""
    return sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))


@pytest.mark.parametrize("percent", [50, 90, 95, 99])
@pytest.mark.parametrize("n", [8, 20, 64, 130, 200])
def test_ranks_are_the_narrowest_that_hold(n, percent):
    q = Fraction(percent, 100)
    below = list(accumulate(comb(n, i) * q**i * (1 - q) ** (n - i) for i in range(n)))
    low = max((r for r in range(1, n + 1) if below[r - 1] <= ERROR), default=None)
    high = min((r for r in range(1, n + 1) if 1 - below[r - 1] <= ERROR), default=None)
    expected = None if low is None or high is None else (low, high)
    assert quantile_ranks(n, percent / 100) == expected


@pytest.mark.slow
def test_bounds_hold_the_true_percentile_as_often_as_they_say():
    rng = np.random.default_rng(0)
    samples = np.rint(rng.exponential(1e6, (2000, 130))).astype(np.int64)
    true_us = -np.log(0.05) * 1e3
    held = [low <= true_us <= high for low, high in (describe(row)["bounds"]["p95"] for row in samples)]
    # Exactly 99 % or a little more; 0.984 is three standard errors below.
    assert np.mean(held) > 0.984


@pytest.mark.parametrize("name", ["p90", "p95", "p99", "p99_9"])
def test_where_a_percentile_is_given_it_has_bounds(name):
    enough = MIN_SAMPLES[name]
    row = describe(np.arange(1, enough + 1) * 1000)
    low, high = row["bounds"][name]
    assert low <= row[f"{name}_us"] <= high <= enough
    assert describe(np.arange(1, enough) * 1000)["bounds"][name] is None


def test_a_median_of_few_samples_has_no_bounds():
    assert describe(np.arange(1, 8))["bounds"]["p50"] is None
    assert describe(np.arange(1, 9) * 1000)["bounds"]["p50"] == [1, 8]


def test_describing_adds_only_the_bounds():
    samples = np.random.default_rng(0).integers(1, 10**6, 700)
    row = describe(samples)
    assert {key: value for key, value in row.items() if key != "bounds"} == summarise(samples)


@pytest.mark.parametrize(("misses", "n"), [(0, 1), (0, 100), (1, 50), (3, 40), (39, 40)])
def test_the_upper_bound_of_a_rate_is_where_so_few_misses_become_improbable(misses, n):
    upper = miss_rate_upper(misses, n)
    assert float(at_most(misses, n, Fraction(upper))) == pytest.approx(0.05, rel=1e-9)


def test_without_a_miss_the_bound_is_the_rule_of_three_and_all_misses_bound_nothing():
    assert miss_rate_upper(0, 7000) == pytest.approx(3 / 7000, rel=0.01)
    assert miss_rate_upper(5, 5) == 1.0
    with pytest.raises(ValueError, match="are 3 and 4"):
        miss_rate_upper(4, 3)


@pytest.mark.parametrize(("n", "n_tail"), [(100, 0), (199, 0), (200, 1), (1000, 2), (7000, 3), (10_000, 4)])
def test_the_curve_reaches_as_far_into_the_tail_as_there_are_samples(n, n_tail):
    curve = quantile_curve(np.arange(n) * 1000)
    assert len(curve["fraction"]) == len(curve["us"]) == 101 + n_tail
    assert curve["fraction"] == sorted(curve["fraction"])
    assert (curve["fraction"][0], curve["fraction"][-1]) == (0, 1)
    assert curve["us"] == pytest.approx([f * (n - 1) for f in curve["fraction"]])


@pytest.mark.parametrize("name", ["p90", "p95", "p99", "p99_9"])
def test_a_percentile_needs_its_number_of_samples(name):
    enough = MIN_SAMPLES[name]
    assert summarise(np.arange(1, enough))[f"{name}_us"] is None
    assert summarise(np.arange(enough))[f"{name}_us"] is not None
    quantile = {"p90": 0.9, "p95": 0.95, "p99": 0.99, "p99_9": 0.999}[name]
    assert 1 - quantile**enough > 0.998


def test_percentiles_are_those_of_the_samples():
    samples = np.arange(1, 10_001) * 1000
    np.random.default_rng(0).shuffle(samples)
    row = summarise(samples)
    assert row["p50_us"] == pytest.approx(5000.5)
    assert row["p99_9_us"] == pytest.approx(9990.001)
    assert row["max_us"] == 10_000
    assert row["mean_us"] == pytest.approx(5000.5)
    curve = quantile_curve(samples)
    assert curve["us"][0] == 1
    assert curve["us"][-1] == 10_000
    assert len(curve["us"]) == len(curve["fraction"]) == 101 + 4
