import json

import numpy as np
import pytest

from patchtst_har.errors import DataError
from patchtst_har.evaluation.bootstrap import bootstrap_intervals
from patchtst_har.evaluation.scores import evaluate
from patchtst_har.records.run import Interval


def people(n_people=30, n_each=40, spread=0.3, seed=0):
    """Windows of people who differ in how well they are recognised."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, n_people * n_each)
    participants = np.repeat([f"P{i:03d}" for i in range(n_people)], n_each)
    skill = np.repeat(np.clip(rng.normal(0.6, spread, n_people), 0, 1), n_each)
    guess = np.where(rng.random(truth.size) < skill, truth, rng.integers(0, 4, truth.size))
    return truth, guess, participants


def slow_macro_f1(pairs):
    """Mean F1 over the classes that occur in the truth."""
    scores = []
    for k in {t for t, _ in pairs}:
        hits = sum(t == g == k for t, g in pairs)
        scores.append(2 * hits / (sum(t == k for t, _ in pairs) + sum(g == k for _, g in pairs)))
    return sum(scores) / len(scores)


def test_estimates_are_the_pooled_scores():
    truth, guess, participants = people()
    found = bootstrap_intervals(truth, guess, participants, 4)
    pooled = evaluate(truth, guess, classes=("a", "b", "c", "d"))
    for name in ("accuracy", "macro_f1", "cohen_kappa"):
        assert found[name].estimate == pytest.approx(pooled[name])
        assert found[name].low < found[name].estimate < found[name].high
    assert found.n_participants == 30
    json.dumps(found.to_json(), allow_nan=False)


def test_equals_a_slow_resampling_of_windows_by_person():
    truth, guess, participants = people(n_people=5, n_each=12)
    found = bootstrap_intervals(truth, guess, participants, 4, n_resamples=1000, seed=3)
    draws = np.random.default_rng(3).multinomial(5, np.full(5, 0.2), size=1000)
    names = np.unique(participants)
    rows_of = {name: np.flatnonzero(participants == name).tolist() for name in names}
    slow = {"accuracy": [], "macro_f1": []}
    for draw in draws:
        pairs = [
            (truth[i], guess[i])
            for name, n_drawn in zip(names, draw, strict=True)
            for i in rows_of[name] * n_drawn
        ]
        slow["accuracy"].append(sum(t == g for t, g in pairs) / len(pairs))
        slow["macro_f1"].append(slow_macro_f1(pairs))
    for name, values in slow.items():
        assert found[name].low == pytest.approx(np.quantile(values, 0.025), rel=1e-9)
        assert found[name].high == pytest.approx(np.quantile(values, 0.975), rel=1e-9)


def test_people_are_resampled_not_windows():
    truth, guess, participants = people(spread=0.35)
    by_person = bootstrap_intervals(truth, guess, participants, 4)["accuracy"]
    by_window = bootstrap_intervals(truth, guess, np.arange(truth.size), 4)["accuracy"]
    assert by_person.high - by_person.low > 2 * (by_window.high - by_window.low)


def test_same_seed_same_interval_other_seed_other_interval():
    truth, guess, participants = people()
    first = bootstrap_intervals(truth, guess, participants, 4, seed=1)
    assert first == bootstrap_intervals(truth, guess, participants, 4, seed=1)
    assert first["macro_f1"] != bootstrap_intervals(truth, guess, participants, 4, seed=2)["macro_f1"]


def test_a_class_missing_from_a_resample_is_left_out_of_it():
    # Only person b shows class 1; both people are always right, so no resample may score below 1.
    truth, participants = np.array([0, 0, 0, 1]), np.array(["a", "a", "b", "b"])
    found = bootstrap_intervals(truth, truth, participants, 2)
    assert found["macro_f1"] == Interval(estimate=1.0, low=1.0, high=1.0)
    # A class that nobody shows stays 0, as in the estimate.
    three = bootstrap_intervals(truth, truth, participants, 3)["macro_f1"]
    assert three.estimate == pytest.approx(2 / 3)
    assert three.high == pytest.approx(2 / 3)


def test_paired_difference_is_narrower_than_its_parts():
    truth, guess, participants = people(spread=0.35)
    better = np.where(np.random.default_rng(1).random(truth.size) < 0.3, truth, guess)
    found = bootstrap_intervals(truth, better, participants, 4, other=guess)
    alone = bootstrap_intervals(truth, guess, participants, 4)
    assert found["accuracy"].estimate == pytest.approx((better == truth).mean() - (guess == truth).mean())
    assert found["accuracy"].low > 0
    width = {n: r["accuracy"].high - r["accuracy"].low for n, r in (("pair", found), ("one", alone))}
    assert width["pair"] < width["one"]
    same = bootstrap_intervals(truth, guess, participants, 4, other=guess)
    assert same["macro_f1"] == Interval(estimate=0.0, low=0.0, high=0.0)


def test_one_person_has_no_interval():
    found = bootstrap_intervals([0, 1, 1], [0, 1, 0], ["p"] * 3, 2)
    assert found["accuracy"] == Interval(estimate=2 / 3, low=None, high=None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_resamples": 999}, "n_resamples: needs at least 1000, is 999"),
        ({"confidence": 1.0}, "confidence: needs to be between 0 and 1"),
        ({"participants": ["p"]}, r"participants: needs shape \(2,\), has \(1,\)"),
        ({"y_pred": [0]}, "have 2 and 1"),
    ],
)
def test_arguments_are_checked(options, message):
    arguments = {"y_true": [0, 1], "y_pred": [0, 1], "participants": ["p", "q"], "n_classes": 2, **options}
    with pytest.raises(DataError, match=message):
        bootstrap_intervals(**arguments)
