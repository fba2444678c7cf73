import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from patchtst_har.errors import DataError
from patchtst_har.evaluation.bootstrap import mean_interval
from patchtst_har.evaluation.pairing import pair_runs
from patchtst_har.records.stored_run import StoredRun
from run_folders import PEOPLE, add_folds, write_run


def open_run(folder, **values):
    return StoredRun.open(write_run(folder, **values))


def change(run, **columns):
    """Change columns of the stored decisions of P03."""
    path = run.folder / "predictions.csv"
    frame = pd.read_csv(path)
    rows = frame["participant"] == "P03"
    for name, value in columns.items():
        frame.loc[rows, name] = value(frame.loc[rows, name])
    frame.to_csv(path, index=False)


@pytest.fixture
def runs(tmp_path):
    return open_run(tmp_path / "a", right=0.5), open_run(tmp_path / "b", right=0.9, seed=1)


def test_the_differences_are_those_of_the_stored_decisions(runs):
    pairing = pair_runs(*runs)
    one, two = (pd.read_csv(run.folder / "predictions.csv") for run in runs)

    def macro(frame, column):
        return f1_score(frame["label"], frame[column], average="macro")

    for column in ("raw", "smoothed"):
        expected = macro(two, column) - macro(one, column)
        found = pairing.pooled[column].macro_f1
        assert found.estimate == pytest.approx(expected)
        assert found.low < expected < found.high
        assert pairing.pooled[column].n_participants == 8
    for each in pairing.each:
        first, second = (frame[frame["participant"] == each.participant] for frame in (one, two))
        assert each.n_windows == len(first)
        assert each.reference == pytest.approx(macro(first, "smoothed"))
        assert each.other == pytest.approx(macro(second, "smoothed"))
    assert [each.participant for each in pairing.each] == list(PEOPLE)
    differences = [each.other - each.reference for each in pairing.each]
    assert pairing.mean.estimate == pytest.approx(np.mean(differences))
    assert pairing.mean.low > 0
    assert (pairing.left_out, pairing.remarks) == ({}, ())


def test_a_run_gains_nothing_on_itself(runs, tmp_path):
    twin = open_run(tmp_path / "twin", right=0.5)
    pairing = pair_runs(runs[0], twin)
    assert {each.difference for each in pairing.each} == {0.0}
    assert (pairing.mean.low, pairing.mean.high) == (0.0, 0.0)
    assert pairing.pooled["raw"].accuracy.high == 0.0


def test_only_those_whom_both_held_out_count(tmp_path):
    first = open_run(tmp_path / "a", people=PEOPLE[:6])
    second = open_run(tmp_path / "b", people=PEOPLE[3:], train=("P01", "P02"))
    pairing = pair_runs(first, second)
    assert [each.participant for each in pairing.each] == ["P04", "P05", "P06"]
    assert "the split differs: the two were trained on different people" in pairing.remarks
    assert "of so few participants no difference can be distinguished from chance" in pairing.remarks
    third = open_run(tmp_path / "c", people=PEOPLE[6:])
    with pytest.raises(DataError, match=r"no participant is held out in both$"):
        pair_runs(first, third)


@pytest.mark.parametrize(
    ("column", "value", "how"),
    [
        ("start", lambda rows: rows.str.replace("2023", "2022"), "40 and 40 windows at other times"),
        ("label", lambda rows: rows.iloc[::-1].to_numpy(), "other labels"),
    ],
)
def test_whose_windows_are_not_the_same_is_left_out_and_named(runs, column, value, how):
    change(runs[1], **{column: value})
    pairing = pair_runs(*runs)
    assert pairing.left_out == {"P03": how}
    assert [each.participant for each in pairing.each] == [name for name in PEOPLE if name != "P03"]


def test_with_nobody_left_the_reason_is_given(tmp_path):
    runs = [open_run(tmp_path / name, people=("P03",)) for name in "ab"]
    change(runs[0], label=lambda rows: rows.iloc[::-1].to_numpy())
    with pytest.raises(DataError, match=r"no participant is held out in both with the same windows \(other"):
        pair_runs(*runs)


def test_other_data_are_named(tmp_path, runs):
    other = open_run(tmp_path / "c", fingerprint="cd" * 32)
    assert pair_runs(runs[0], other).remarks == (
        "the data differ (fingerprints abababababab and cdcdcdcdcdcd)",
    )
    earlier = open_run(tmp_path / "d", fingerprint=None)
    (remark,) = pair_runs(runs[0], earlier).remarks
    assert "unknown: an earlier version kept no fingerprint" in remark


def test_cross_validated_runs_are_compared_on_everyone(tmp_path):
    runs = [open_run(tmp_path / name, people=PEOPLE[:4], right=0.5) for name in "ab"]
    for run in runs:
        add_folds(run.folder, PEOPLE[4:])
    runs = [StoredRun.open(run.folder) for run in runs]
    pairing = pair_runs(*runs)
    assert [each.participant for each in pairing.each] == list(PEOPLE)
    assert pairing.remarks == ()
    path = runs[1].folder / "cross_validation.json"
    document = json.loads(path.read_text())
    document["folds"][0]["test"] = ["P01"]
    path.write_text(json.dumps(document))
    other = StoredRun.open(runs[1].folder)
    assert pair_runs(runs[0], other).remarks == (
        "the folds differ: the two were trained on different people",
    )
    # Only one of them is: the people of its own test are compared.
    path.unlink()
    assert len(pair_runs(runs[0], StoredRun.open(runs[1].folder)).each) == 4


def test_a_participant_in_two_folds_is_refused(tmp_path):
    run = open_run(tmp_path / "a", people=PEOPLE[:4])
    add_folds(run.folder, PEOPLE[3:])
    with pytest.raises(DataError, match=r"fold_1/predictions\.csv: participant 'P04' is held out in another"):
        pair_runs(StoredRun.open(run.folder), StoredRun.open(run.folder))


def test_what_cannot_be_compared_is_refused(runs, tmp_path):
    (runs[1].folder / "predictions.csv").unlink()
    with pytest.raises(DataError, match=r"predictions\.csv: no such file"):
        pair_runs(*runs)
    change(runs[0], raw=lambda rows: "swimming")
    with pytest.raises(DataError, match="'swimming' is not one of the classes"):
        pair_runs(runs[0], runs[0])
    without = open_run(tmp_path / "c")
    (without.folder / "evaluation.json").unlink()
    with pytest.raises(DataError, match="c: has no scores on test participants"):
        pair_runs(open_run(tmp_path / "d"), StoredRun.open(without.folder))


def test_other_classes_are_refused(tmp_path):
    first, second = (write_run(tmp_path / name, people=PEOPLE[:2]) for name in "ab")
    text = (second / "evaluation.json").read_text().replace('"walking"', '"hiking"')
    (second / "evaluation.json").write_text(text)
    with pytest.raises(DataError, match="have different classes"):
        pair_runs(StoredRun.open(first), StoredRun.open(second))


def test_the_interval_of_a_mean_is_that_of_resampled_participants():
    values = np.random.default_rng(0).normal(0.1, 0.05, 400)
    found = mean_interval(values)
    half = 1.96 * values.std() / 20
    assert found.estimate == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=half / 5)
    assert found.high == pytest.approx(values.mean() + half, abs=half / 5)
    assert mean_interval([0.5]).low is None
    for wrong in ([], [np.nan], [[0.5]]):
        with pytest.raises(DataError, match="values: needs finite numbers"):
            mean_interval(wrong)
