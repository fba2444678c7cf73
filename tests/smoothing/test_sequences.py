import numpy as np
import pytest

from patchtst_har.errors import DataError
from patchtst_har.smoothing import sequence_ids
from patchtst_har.smoothing.sequences import sequence_bounds

S = 1_000_000_000


def ids(people, seconds, hop_s=10.0, max_gap_s=1.0):
    starts = (np.asarray(seconds, dtype=np.float64) * S).astype(np.int64)
    return sequence_ids(np.asarray(people), starts, hop_s=hop_s, max_gap_s=max_gap_s).tolist()


def test_new_sequence_at_each_person_and_at_each_gap():
    people = ["a"] * 5 + ["b"] * 3
    seconds = [0, 10, 20, 50, 60, 70, 80, 90]
    assert ids(people, seconds) == [0, 0, 0, 1, 1, 2, 2, 2]


def test_the_limit_itself_is_no_gap_and_short_steps_are():
    assert ids(["a"] * 4, [0, 11, 22, 30]) == [0, 0, 0, 1]
    assert ids(["a"] * 3, [0, 11.002, 21]) == [0, 1, 1]


def test_nanosecond_stamps_of_today_keep_their_precision():
    base = 1_780_000_000 * S
    starts = np.array([base, base + 10 * S, base + 21 * S + 1], dtype=np.int64)
    assert sequence_ids(["a"] * 3, starts, hop_s=10, max_gap_s=1).tolist() == [0, 0, 1]


def test_empty_and_single():
    empty = sequence_ids([], [], hop_s=10, max_gap_s=1)
    assert empty.shape == (0,)
    assert empty.dtype == np.int64
    assert ids(["a"], [5]) == [0]


@pytest.mark.parametrize(
    ("people", "starts", "message"),
    [
        (["a", "a"], [10, 10], r"start_ns: does not increase within participant 'a' at row 1"),
        (["a", "b", "a"], [0, 1, 2], r"participants: 'a' appears in more than one block \(again at row 2\)"),
        (["a", "a"], [0.0, 1.0], "start_ns: needs integer nanoseconds, has float64"),
        (["a"], [0, 1], r"need one shape \(n,\), have \(1,\) and \(2,\)"),
    ],
)
def test_disorder_is_refused_by_name(people, starts, message):
    with pytest.raises(DataError, match=message):
        sequence_ids(people, np.asarray(starts), hop_s=1e-9, max_gap_s=0)


@pytest.mark.parametrize(
    ("people", "row"),
    [
        (np.array(["a", None], dtype=object), "row 1 is None"),
        (np.array([None, None], dtype=object), "row 0 is None"),
        (np.array(["a", float("nan")], dtype=object), "row 1 is nan"),
        (np.array([1, "1"], dtype=object), "row 1 is '1'"),
        (np.array([1.0, np.nan]), "row 1 is missing"),
        (np.array(["2024-05-01", "NaT"], "M8[D]"), "row 1 is missing"),
    ],
)
def test_participants_that_are_missing_or_of_several_types_are_refused(people, row):
    with pytest.raises(DataError, match=f"participants: .*{row}"):
        ids(people, [0, 10])


@pytest.mark.parametrize(
    "people", [np.array([7, 7, 8], object), np.array(["a", "a", "b"], object), [7, 7, 8]]
)
def test_participants_may_be_numbers_or_strings(people):
    assert ids(people, [0, 10, 20]) == [0, 0, 1]


@pytest.mark.parametrize(
    ("hop_s", "max_gap_s", "name"), [(0, 1, "hop_s"), (10, -1, "max_gap_s"), (np.nan, 1, "hop_s")]
)
def test_durations_are_checked(hop_s, max_gap_s, name):
    with pytest.raises(DataError, match=name):
        sequence_ids(["a"], [0], hop_s=hop_s, max_gap_s=max_gap_s)


def test_bounds():
    assert sequence_bounds(np.array([7, 7, 2, 9, 9, 9]), 6).tolist() == [0, 2, 3, 6]
    assert sequence_bounds(np.zeros(0, dtype=np.int64), 0).tolist() == [0]
    with pytest.raises(DataError, match=r"'1' appears in more than one block \(again at row 2\)"):
        sequence_bounds(np.array([1, 2, 1]), 3)
    with pytest.raises(DataError, match=r"needs shape \(4,\), has \(3,\)"):
        sequence_bounds(np.array([1, 2, 1]), 4)
    with pytest.raises(DataError, match="needs integers, has float64"):
        sequence_bounds(np.array([1.0]), 1)
