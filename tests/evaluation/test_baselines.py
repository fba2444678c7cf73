import numpy as np

from patchtst_har.config import N_STATISTICAL_FEATURES
from patchtst_har.evaluation.baselines import LabelledFeatures, random_forest


def features(people: list[str], labels: np.ndarray, signal: float, seed: int) -> LabelledFeatures:
    rng = np.random.default_rng(seed)
    n = len(labels)
    stats = rng.normal(size=(n, N_STATISTICAL_FEATURES)).astype(np.float32)
    stats[:, :20] += signal * labels[:, None]
    return LabelledFeatures(stats, labels, np.repeat(people, n // len(people)), ("a", "b", "c"))


def test_the_forest_learns_what_is_there_and_nothing_that_is_not():
    labels = np.tile([0, 1, 2], 40)
    accuracy = {}
    for signal in (0.0, 6.0):
        folds = [
            (features(["P1", "P2"], labels, signal, 1), features(["P3"], labels, signal, 2)),
            (features(["P2", "P3"], labels, signal, 3), features(["P1"], labels, signal, 4)),
        ]
        scores = random_forest(folds, n_trees=30)
        accuracy[signal] = scores["accuracy"]
        assert [person["participant"] for person in scores["per_participant"]["scores"]] == ["P1", "P3"]
    assert accuracy[6.0] > 0.95
    assert 0.2 < accuracy[0.0] < 0.47


def test_a_class_that_the_training_people_lack_is_scored_as_missed():
    fitted = features(["P1"], np.tile([0, 2], 30), 6.0, 1)
    judged = features(["P2"], np.tile([0, 1, 2], 20), 6.0, 2)
    scores = random_forest([(fitted, judged)], n_trees=30)
    assert scores["per_class"][1]["recall"] == 0
    assert scores["per_class"][2]["recall"] > 0.9


def test_plug_ins_do_not_reach_the_baseline():
    from dataclasses import replace

    labels = np.tile([0, 1, 2], 40)
    plain = features(["P1", "P2"], labels, 0.0, 1), features(["P3"], labels, 0.0, 2)
    telling = [
        replace(part, stats=np.hstack([part.stats, np.float32(part.labels)[:, None]])) for part in plain
    ]
    assert random_forest([tuple(telling)], n_trees=20) == random_forest([plain], n_trees=20)
