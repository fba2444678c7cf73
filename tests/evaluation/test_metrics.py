import json
import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from patchtst_har.errors import DataError
from patchtst_har.evaluation import StreamingConfusion, confusion
from patchtst_har.evaluation.metrics import METRICS, PROBABILITY_METRICS
from patchtst_har.evaluation.scores import evaluate
from patchtst_har.records.run import ClassScores, Scores, Spread

CLASSES = ("sleep", "sedentary", "light", "walking", "bicycling")


def predictions(seed=0, n=600, n_classes=5, absent=()):
    rng = np.random.default_rng(seed)
    kept = [k for k in range(n_classes) if k not in absent]
    truth = rng.choice(kept, n)
    guess = np.where(rng.random(n) < 0.7, truth, rng.choice(kept, n))
    participants = np.repeat([f"P{i:02d}" for i in range(6)], n // 6)
    return truth, guess, participants, rng.dirichlet(np.ones(n_classes), n)


@pytest.mark.parametrize("absent", [(), (2,), (0, 4)])
def test_pooled_scores_equal_scikit_learn_with_fixed_labels(absent):
    truth, guess, *_ = predictions(absent=absent)
    found = evaluate(truth, guess, classes=CLASSES)
    labels = list(range(5))
    options = {"labels": labels, "zero_division": 0}
    present = [k for k in labels if k not in absent]
    expected = {
        "accuracy": sk.accuracy_score(truth, guess),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, guess),
        "macro_f1": sk.f1_score(truth, guess, average="macro", **options),
        "macro_f1_present": sk.f1_score(truth, guess, labels=present, average="macro"),
        "weighted_f1": sk.f1_score(truth, guess, average="weighted", **options),
        "macro_precision": sk.precision_score(truth, guess, average="macro", **options),
        "macro_recall": sk.recall_score(truth, guess, average="macro", **options),
        "macro_f2": sk.fbeta_score(truth, guess, beta=2, average="macro", **options),
        "cohen_kappa": sk.cohen_kappa_score(truth, guess),
        "mcc": sk.matthews_corrcoef(truth, guess),
        "weighted_precision": sk.precision_score(truth, guess, average="weighted", **options),
        "weighted_recall": sk.recall_score(truth, guess, average="weighted", **options),
    }
    assert set(expected) == set(METRICS)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-12), name
    assert found.n_classes_present == len(present)
    np.testing.assert_array_equal(found.confusion.counts, sk.confusion_matrix(truth, guess, labels=labels))


def test_absent_class_lowers_macro_f1_and_is_listed():
    found = evaluate([0, 0, 1, 1], [0, 0, 1, 1], classes=("a", "b", "c"))
    assert found["macro_f1"] == pytest.approx(2 / 3)
    assert found["macro_f1_present"] == 1.0
    assert found.per_class[2] == ClassScores(name="c", precision=0.0, recall=0.0, f1=0.0, support=0)
    assert found.confusion.row_normalised == ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (None, None, None))


def test_class_order_is_the_given_one():
    found = evaluate([0, 1, 1], [0, 1, 0], classes=("zebra", "ant"))
    assert [row.name for row in found.per_class] == ["zebra", "ant"]
    assert [row.support for row in found.per_class] == [1, 2]
    assert found.per_class[1].recall == 0.5


def test_single_window_and_single_class_leave_undefined_scores_empty():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = evaluate([1], [1], classes=("a", "b"), participants=["p"], sequences=[0])
    assert found["accuracy"] == 1.0
    assert found["cohen_kappa"] is None
    assert found["mcc"] is None
    assert found["transition_accuracy"] is None
    assert found["n_transitions"] == 0
    summary = found.per_participant.summary
    assert summary.accuracy == Spread(n=1, mean=1.0, sd=None, median=1.0, worst_decile=None)
    assert summary["cohen_kappa"].mean is None
    json.dumps(found.to_json(), allow_nan=False)


def test_transition_accuracy_needs_both_sides_within_a_sequence():
    truth = [0, 0, 1, 1, 2, 2, 0, 0, 1]
    guess = [0, 0, 1, 0, 2, 2, 0, 0, 0]
    # Changes: 1|2 (both right), 3|4 (before wrong), 5|6 (another sequence), 7|8 (after wrong).
    sequences = [0, 0, 0, 0, 0, 0, 1, 1, 1]
    found = evaluate(truth, guess, classes=("a", "b", "c"), sequences=sequences)
    assert found["n_transitions"] == 3
    assert found["transition_accuracy"] == pytest.approx(1 / 3)


def test_transitions_never_cross_people_and_all_people_count():
    truth, guess = [0, 1, 0, 1], [0, 1, 0, 1]
    common = {"classes": ("a", "b"), "sequences": [0, 0, 0, 0]}
    assert evaluate(truth, guess, **common)["n_transitions"] == 3
    found = evaluate(truth, guess, participants=["p", "p", "q", "q"], **common)
    assert found["n_transitions"] == 2
    assert found["transition_accuracy"] == 1.0


def test_without_optional_inputs_their_scores_are_none():
    found = evaluate([0, 1], [0, 1], classes=("a", "b"))
    for name in ("transition_accuracy", "n_transitions", "per_participant", "calibration"):
        assert found[name] is None


def test_per_participant_scores_equal_scikit_learn_on_each_persons_classes():
    truth, guess, participants, _ = predictions(absent=(1,))
    truth[participants == "P03"] = 4
    found = evaluate(truth, guess, classes=CLASSES, participants=participants).per_participant
    assert found.n_participants == 6
    for record in found.scores:
        rows = participants == record.participant
        present = np.unique(truth[rows])
        assert record.n == rows.sum()
        assert record.n_classes == present.size
        assert record["accuracy"] == pytest.approx((truth[rows] == guess[rows]).mean())
        assert record["macro_f1"] == pytest.approx(
            sk.f1_score(truth[rows], guess[rows], labels=present, average="macro", zero_division=0)
        )
        assert record["cohen_kappa"] == pytest.approx(
            sk.cohen_kappa_score(truth[rows], guess[rows]), abs=1e-12
        )
    values = np.array([record["macro_f1"] for record in found.scores])
    summary = found.summary.macro_f1
    assert summary.mean == pytest.approx(values.mean())
    assert summary.sd == pytest.approx(values.std(ddof=1))
    assert summary.median == pytest.approx(np.median(values))
    assert summary.worst_decile is None


@pytest.mark.parametrize("n_people", [9, 10])
def test_the_worst_decile_needs_ten_people(n_people):
    truth, guess, *_ = predictions()
    participants = np.arange(truth.size) % n_people
    found = evaluate(truth, guess, classes=CLASSES, participants=participants).per_participant
    values = [record["accuracy"] for record in found.scores]
    expected = None if n_people < 10 else pytest.approx(np.quantile(values, 0.1))
    assert found.summary.accuracy.worst_decile == expected


def test_pooled_and_per_person_are_different_quantities():
    # One person with many easy windows, one with few hard ones.
    truth = np.zeros(110, dtype=int)
    guess = np.concatenate([np.zeros(100, dtype=int), np.ones(10, dtype=int)])
    participants = np.repeat(["easy", "hard"], [100, 10])
    found = evaluate(truth, guess, classes=("a", "b"), participants=participants)
    assert found["accuracy"] == pytest.approx(100 / 110)
    assert found.per_participant.summary.accuracy.mean == pytest.approx(0.5)


def test_result_is_json_with_plain_numbers():
    truth, guess, participants, probabilities = predictions()
    found = evaluate(
        truth,
        guess,
        classes=CLASSES,
        probabilities=probabilities,
        participants=participants,
        sequences=np.zeros(truth.size, dtype=int),
    )
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert Scores.model_validate(document) == found
    assert set(METRICS) <= set(document)
    assert set(document["calibration"]) == {"n_bins", "bins", *PROBABILITY_METRICS}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], []), r"y_true: needs shape \(n,\) with n >= 1, has \(0,\)"),
        (([0, 1], [0]), "y_true and y_pred: need one length, have 2 and 1"),
        (([0, 2], [0, 1]), "y_true: row 1 is 2, classes are 0 to 1"),
        (([0, 1], [0, -1]), "y_pred: row 1 is -1"),
        (([0.0, np.nan], [0, 1]), "y_true: needs integer class indices, has float64"),
    ],
)
def test_bad_labels_are_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        evaluate(*arguments, classes=("a", "b"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ("a", "a")}, "classes: repeats a"),
        ({"classes": ()}, "classes: is empty"),
        ({"participants": ["p"]}, r"participants: needs shape \(2,\), has \(1,\)"),
        ({"participants": np.array(["p", None])}, "participants: .* row 1 is None"),
        ({"sequences": [0, 0, 0]}, r"sequences: needs shape \(2,\), has \(3,\)"),
        ({"probabilities": np.full((1, 2), 0.5)}, "probabilities: 1 rows for 2 labels"),
        ({"probabilities": np.array([[0.5, 0.5], [np.nan, 0.5]])}, "probabilities: row 1 is not finite"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        evaluate([0, 1], [0, 1], **{"classes": ("a", "b"), **options})


def test_confusion_scores_are_the_same_alone_and_in_a_stack():
    rng = np.random.default_rng(0)
    stack = rng.integers(0, 50, (4, 3, 5, 5))
    for score in (
        confusion.accuracy,
        confusion.precision,
        confusion.recall,
        confusion.f_score,
        confusion.kappa,
        confusion.matthews,
    ):
        together = score(stack)
        for i in np.ndindex(4, 3):
            np.testing.assert_array_equal(together[i], score(stack[i]))


def test_streaming_counts_equal_one_evaluation():
    truth, guess, *_ = predictions(n=601 - 1)
    running = StreamingConfusion(5)
    for rows in np.array_split(np.arange(truth.size), 7):
        running.update(truth[rows], guess[rows])
    whole = evaluate(truth, guess, classes=CLASSES)
    np.testing.assert_array_equal(running.counts, whole.confusion.counts)
    assert running.accuracy() == pytest.approx(whole["accuracy"])
    assert running.macro_f1() == pytest.approx(whole["macro_f1"])
    running.reset()
    assert running.counts.sum() == 0
    assert np.isnan(running.accuracy())
    assert running.macro_f1() == 0.0


def test_streaming_refuses_bad_batches():
    running = StreamingConfusion(3)
    with pytest.raises(DataError, match="y_pred: row 0 is 3"):
        running.update([0], [3])
    with pytest.raises(DataError, match="have 2 and 1"):
        running.update([0, 1], [0])
    assert running.counts.sum() == 0
    with pytest.raises(DataError, match="n_classes"):
        StreamingConfusion(0)
