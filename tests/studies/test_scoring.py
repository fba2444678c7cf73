import numpy as np
import pytest
from sklearn.metrics import f1_score

from patchtst_har.errors import DataError
from studies.out_of_fold import OutOfFold, join, kept
from studies.scoring import calibrated, intervals, score_windows, scores_table, tempered

CLASSES = ("lying", "sitting", "walking")


def made(people, *, n_windows=40, seed=0, fold=0, classes=2, sure=1.0):
    """Return windows of people, of the first `classes` classes, decided at random but mostly right."""
    rng = np.random.default_rng(seed)
    n = len(people) * n_windows
    labels = rng.integers(classes, size=n)
    logits = rng.normal(size=(n, 3)) + 1.5 * np.eye(3)[labels]
    odds = np.exp(sure * logits)
    return OutOfFold(
        np.repeat(people, n_windows),
        np.tile(np.arange(n_windows) * 10**10, len(people)),
        labels,
        np.full(n, fold),
        odds / odds.sum(axis=1, keepdims=True),
        CLASSES,
    )


def two_folds(**settings):
    return join(
        [made(["b-1", "a-2"], seed=1, fold=0, **settings), made(["b-2", "a-1"], seed=2, fold=1, **settings)]
    )


def test_folds_are_pooled_by_participant_and_time():
    pooled = two_folds()
    assert pooled.participants[::40].tolist() == ["a-1", "a-2", "b-1", "b-2"]
    assert pooled.folds[::40].tolist() == [1, 0, 0, 1]
    assert (np.diff(pooled.start_ns.reshape(4, 40)) > 0).all()


def test_nobody_is_held_out_twice():
    with pytest.raises(DataError, match="more than one"):
        join([made(["a-1"]), made(["a-1"], fold=1)])


def test_macro_f1_is_over_the_classes_that_the_windows_show():
    windows = two_folds()
    decided = windows.probabilities.argmax(axis=1)
    assert (decided == 2).any()
    scores = score_windows(windows)
    expected = f1_score(windows.labels, decided, average="macro", labels=[0, 1])
    assert scores.macro_f1.estimate == pytest.approx(expected)
    assert scores.macro_f1.low < expected < scores.macro_f1.high
    assert [one.name for one in scores.per_class] == ["lying", "sitting"]
    assert scores.person_worst == min(scores.per_person.values())
    own = windows.participants == "a-1"
    assert scores.per_person["a-1"] == pytest.approx(
        f1_score(windows.labels[own], decided[own], average="macro", labels=[0, 1])
    )
    source = windows.participants < "b"
    assert scores.per_source["a"].macro_f1.estimate == pytest.approx(
        f1_score(windows.labels[source], decided[source], average="macro", labels=[0, 1])
    )


def test_the_difference_is_paired():
    windows, other = two_folds(classes=3), two_folds(classes=3, sure=1.0)
    assert intervals(windows, other)["macro_f1"].model_dump() == {"estimate": 0.0, "low": 0.0, "high": 0.0}
    worse = OutOfFold(**{**vars(other), "probabilities": np.roll(other.probabilities, 1, axis=1)})
    gain = score_windows(windows, {"worse": worse}).differences["worse"]
    assert gain.low > 0
    table = scores_table({"one": score_windows(windows, {"worse": worse})})
    assert f"{gain.estimate:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})" in table


def test_other_windows_are_not_compared():
    windows = two_folds()
    with pytest.raises(DataError, match="forest: judged other windows"):
        score_windows(windows, {"forest": windows.take(np.arange(10))})


def test_temperatures_come_from_the_other_folds():
    # Twice too sure: half the logits fit.
    windows = two_folds(n_windows=2000, classes=3, sure=3.0)
    found = calibrated(windows)
    assert found.temperatures == pytest.approx((2.0, 2.0), rel=0.1)
    assert found.ece_after < 0.03 < found.ece_before
    assert found.nll_after < found.nll_before
    right = windows.labels == windows.probabilities.argmax(axis=1)
    # Where all windows of fold 1 are right, it asks for the least temperature, for those of fold 0.
    lopsided = calibrated(windows.take((windows.folds == 0) | right))
    assert lopsided.temperatures[1] == pytest.approx(found.temperatures[1])
    assert lopsided.temperatures[0] < 0.6


def test_a_temperature_of_one_changes_nothing_and_zeros_stay_small():
    probabilities = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])
    np.testing.assert_allclose(tempered(probabilities, 1.0), probabilities, atol=1e-11)
    np.testing.assert_allclose(tempered(probabilities, 2.0).sum(axis=1), 1.0)


def test_a_fold_is_read_again_only_if_the_same_settings_made_it(tmp_path):
    path, windows = tmp_path / "new" / "fold-0.npz", made(["a-1"])
    assert kept(path, "one", lambda: windows) is windows

    def never():
        raise AssertionError("computed again")

    again = kept(path, "one", never)
    np.testing.assert_array_equal(again.probabilities, windows.probabilities)
    assert again.classes == CLASSES
    with pytest.raises(DataError, match=r"fold-0.npz: was made with other settings"):
        kept(path, "two", never)
    other = made(["a-1"], seed=5)
    assert kept(path, "two", lambda: other, overwrite=True) is other
    np.testing.assert_array_equal(OutOfFold.load(path).labels, other.labels)
