from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from patchtst_har.config import N_STATISTICAL_FEATURES
from patchtst_har.errors import DataError
from patchtst_har.evaluation import baselines
from patchtst_har.evaluation.baselines import (
    BASELINES,
    Baseline,
    LabelledFeatures,
    compare_with_baselines,
    minirocket_ridge,
    random_forest,
)
from patchtst_har.evaluation.bootstrap import bootstrap_intervals
from patchtst_har.evaluation.held_out import HeldOut
from patchtst_har.smoothing.decide import decide

FOREST = Baseline("forest of few", partial(random_forest, n_trees=20))
CLASSES = ("a", "b", "c")


def features(people: list[str], labels: np.ndarray, signal: float, seed: int) -> LabelledFeatures:
    rng = np.random.default_rng(seed)
    n = len(labels)
    stats = rng.normal(size=(n, N_STATISTICAL_FEATURES)).astype(np.float32)
    stats[:, :20] += signal * labels[:, None]
    return LabelledFeatures(stats, labels, np.repeat(people, n // len(people)), CLASSES)


def judged_by(network: np.ndarray, pairs) -> HeldOut:
    """Return what a network that decides as given was judged on."""
    labels = np.concatenate([judged.labels for _, judged in pairs])
    people = np.concatenate([judged.participants for _, judged in pairs])
    decisions = decide(np.eye(len(CLASSES))[network], np.zeros(len(labels), np.int64), None)
    return HeldOut(people, np.arange(len(labels)), labels, decisions, CLASSES)


def compared(pairs, one: Baseline = FOREST):
    labels = np.concatenate([judged.labels for _, judged in pairs])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BASELINES, "one", one)
        (found,) = compare_with_baselines(judged_by(labels, pairs), pairs, ["one"]).values()
    return found


def test_the_forest_learns_what_is_there_and_nothing_that_is_not():
    labels = np.tile([0, 1, 2], 40)
    accuracy = {}
    for signal in (0.0, 6.0):
        folds = [
            (features(["P1", "P2"], labels, signal, 1), features(["P3"], labels, signal, 2)),
            (features(["P2", "P3"], labels, signal, 3), features(["P1"], labels, signal, 4)),
        ]
        scores = compared(folds)
        accuracy[signal] = scores["accuracy"]
        assert [row.participant for row in scores.per_participant.scores] == ["P1", "P3"]
        assert scores.n_fitted == 120
        # The network is right everywhere.
        assert scores.model_minus_baseline.accuracy.estimate == pytest.approx(1 - scores.accuracy)
    assert accuracy[6.0] > 0.95
    assert 0.2 < accuracy[0.0] < 0.47


def test_trees_grown_a_few_at_a_time_are_those_of_one_forest():
    labels = np.tile([0, 2, 2, 1], 30)
    fitted, judged = (features(["P1"], labels, 0.5, seed) for seed in (1, 2))
    rows = np.arange(10, 110)
    one = RandomForestClassifier(25, class_weight="balanced", random_state=3)
    one.fit(fitted.stats[rows], labels[rows])
    found = random_forest(fitted, rows, judged, 3, n_trees=25)
    np.testing.assert_array_equal(found, one.predict_proba(judged.stats))


def test_the_difference_is_paired_over_participants():
    labels = np.tile([0, 1, 2], 40)
    pairs = [(features(["P1", "P2"], labels, 1.0, 1), features(["P3", "P4", "P5"], labels, 1.0, 2))]
    network = np.where(np.arange(120) % 7 == 0, 0, labels)
    held_out = judged_by(network, pairs)
    found = compare_with_baselines(held_out, pairs, ["majority"])["majority class"]
    most_frequent = np.zeros(120, np.int64)
    expected = bootstrap_intervals(labels, network, held_out.participants, 3, other=most_frequent)
    assert found.model_minus_baseline == expected
    assert found.accuracy == pytest.approx(1 / 3)


def test_a_class_that_the_training_people_lack_is_scored_as_missed():
    fitted = features(["P1"], np.tile([0, 2], 30), 6.0, 1)
    judged = features(["P2"], np.tile([0, 1, 2], 20), 6.0, 2)
    scores = compared([(fitted, judged)])
    assert scores.per_class[1].recall == 0
    assert scores.per_class[2].recall > 0.9
    # One participant: nothing to draw from.
    assert scores.model_minus_baseline is None


def test_plug_ins_do_not_reach_the_baseline():
    labels = np.tile([0, 1, 2], 40)
    plain = features(["P1", "P2"], labels, 0.0, 1), features(["P3"], labels, 0.0, 2)
    telling = [
        replace(part, stats=np.hstack([part.stats, np.float32(part.labels)[:, None]])) for part in plain
    ]
    assert compared([tuple(telling)]) == compared([plain])


def test_topological_features_reach_the_forest_that_is_named_after_them():
    labels = np.tile([0, 1, 2], 40)
    plain = [features(["P1", "P2"], labels, 0.0, 1), features(["P3", "P4"], labels, 0.0, 2)]
    telling = [replace(part, topo=np.tile(np.float32(labels)[:, None], 24)) for part in plain]
    one = Baseline("with topology", partial(random_forest, n_trees=20, topology=True), needs=("topo",))
    assert compared([tuple(telling)], one).accuracy > 0.95
    assert compared([tuple(telling)]).accuracy < 0.5
    without = [replace(part, topo=np.empty((120, 0), np.float32)) for part in plain]
    names = ["majority", "forest-topology", "minirocket"]
    for pair in (plain, without):
        found = compare_with_baselines(judged_by(labels, [tuple(pair)]), [tuple(pair)], names)
        assert list(found) == ["majority class"]


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [1, 2, 3])
def test_minirocket_learns_the_rhythm_of_windows(n_classes):
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(n_classes), 12)
    times = np.arange(100) / 100

    def windows(seed: int) -> np.ndarray:
        phases = np.random.default_rng(seed).uniform(0, 6, len(labels))
        waves = np.sin(2 * np.pi * (2 + 5 * labels[:, None]) * times + phases[:, None])
        return (waves[:, :, None] + rng.normal(0, 0.3, (len(labels), 100, 3))).astype(np.float32)

    parts = [replace(features(["P"], labels, 0.0, seed), windows=windows(seed)) for seed in (1, 2)]
    rows = np.arange(len(labels))
    found = minirocket_ridge(parts[0], rows, parts[1], 0)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert found.shape == (len(labels), 3)
    assert (found.argmax(axis=1) == labels).mean() > 0.9


def test_a_method_with_a_limit_is_fitted_on_so_many_windows(monkeypatch):
    labels = np.tile([0, 1, 2], 40)
    pair = features(["P1", "P2"], labels, 6.0, 1), features(["P3"], labels, 6.0, 2)
    seen = []

    def method(fitted, rows, judged, seed):
        seen.append(rows)
        return np.full((len(judged), 3), 1 / 3)

    found = compared([pair], Baseline("limited", method, most_windows=50))
    assert found.n_fitted == 50
    (rows,) = seen
    assert len(np.unique(rows)) == 50
    assert {*labels[rows]} == {0, 1, 2}


def test_unknown_names_and_other_windows_are_refused():
    labels = np.tile([0, 1, 2], 4)
    pair = features(["P1"], labels, 0.0, 1), features(["P2"], labels, 0.0, 2)
    held_out = judged_by(labels, [pair])
    with pytest.raises(DataError, match=r"baseline 'tree' is not known \(known: majority, forest, "):
        compare_with_baselines(held_out, [pair], ["tree"])
    with pytest.raises(ValueError, match="are not those of held_out"):
        compare_with_baselines(held_out, [pair[::-1], pair], ["majority"])
    assert baselines.check_baselines(tuple(BASELINES)) == tuple(BASELINES)
