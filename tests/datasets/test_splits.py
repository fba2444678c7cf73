from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchtst_har.config import DataConfig
from patchtst_har.datasets.splits import Split, split_participants
from patchtst_har.errors import DataError

PEOPLE = [f"P{number:02d}" for number in range(1, 21)]


def test_counts_take_everyone_once() -> None:
    split = split_participants(PEOPLE, DataConfig(train_n=12, val_n=3))
    assert (len(split.train), len(split.val), len(split.test)) == (12, 3, 5)
    assert sorted(split.train + split.val + split.test) == PEOPLE
    assert split.train == tuple(sorted(split.train))


def test_counts_depend_on_the_seed_but_not_on_the_order() -> None:
    config = DataConfig(train_n=12, val_n=3)
    split = split_participants(PEOPLE, config)
    assert split_participants(PEOPLE[::-1], config) == split
    assert split_participants(PEOPLE, config.replace(split_seed=1)) != split


def test_named_test_people_are_kept_out_of_the_draw() -> None:
    split = split_participants(PEOPLE, DataConfig(train_n=12, val_n=3, test_participants=("P20", "P03")))
    assert split.test == ("P03", "P20")
    assert len(split.train) == 12
    assert len(split.val) == 3


def test_lists_are_taken_as_they_are_and_may_leave_test_empty() -> None:
    config = DataConfig(split="lists", train_participants=("P02", "P01"), val_participants=("P03",))
    assert split_participants(PEOPLE, config) == Split(("P01", "P02"), ("P03",), ())


def test_kfold_tests_everyone_once_and_validates_on_others() -> None:
    splits = [
        split_participants(PEOPLE, DataConfig(split="kfold", n_folds=6, fold=k, val_n=4)) for k in range(6)
    ]
    assert sorted(name for split in splits for name in split.test) == PEOPLE
    for split in splits:
        assert sorted(split.train + split.val + split.test) == PEOPLE
        assert len(split.val) == 4
        assert 3 <= len(split.test) <= 4
    assert all(a.val != b.val for a, b in pairwise(splits))


@settings(deadline=None)
@given(st.integers(4, 40), st.integers(2, 8), st.integers(0, 7), st.integers(1, 5), st.integers(0, 99))
@pytest.mark.slow
def test_no_kfold_split_overlaps_or_loses_anyone(
    n: int, n_folds: int, fold: int, val_n: int, seed: int
) -> None:
    people = [f"{number:03d}" for number in range(n)]
    config = DataConfig(split="kfold", n_folds=n_folds, fold=fold % n_folds, val_n=val_n, split_seed=seed)
    try:
        split = split_participants(people, config)
    except DataError:
        assert n < n_folds or n - (n + n_folds - 1 - config.fold) // n_folds <= val_n
        return
    assert sorted(split.train + split.val + split.test) == people
    assert min(len(split.train), len(split.val), len(split.test)) >= 1


@pytest.mark.parametrize(
    ("n", "sizes"), [(3, (1, 1, 1)), (4, (2, 1, 1)), (12, (8, 2, 2)), (151, (101, 20, 30)), (2, None)]
)
def test_group_sizes_that_are_left_out_fit_the_number_of_people(
    n: int, sizes: tuple[int, int, int] | None
) -> None:
    people = [f"P{number:03d}" for number in range(n)]
    if sizes is None:
        with pytest.raises(
            DataError, match=r"need at least 3 participants with one to test on, there are .$"
        ):
            split_participants(people, DataConfig())
        return
    split = split_participants(people, DataConfig())
    assert (len(split.train), len(split.val), len(split.test)) == sizes


def test_a_group_size_that_is_given_is_kept() -> None:
    split = split_participants(PEOPLE, DataConfig(train_n=5))
    assert (len(split.train), len(split.val), len(split.test)) == (5, 3, 12)
    split = split_participants(PEOPLE, DataConfig(val_n=6))
    assert (len(split.train), len(split.val), len(split.test)) == (10, 6, 4)
    split = split_participants(PEOPLE, DataConfig(test_participants=("P01", "P02")))
    assert (len(split.train), len(split.val), split.test) == (15, 3, ("P01", "P02"))
    assert len(split_participants(PEOPLE, DataConfig(split="kfold", n_folds=4)).val) == 3


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            DataConfig(train_n=80, val_n=20),
            "train_n=80 and val_n=20 need at least 101 participants with one to test on, there are 20; left",
        ),
        (DataConfig(train_n=18, val_n=2), "need at least 21 participants with one to test on, there are 20"),
        (
            DataConfig(train_n=17, val_n=3, test_participants=("P01",)),
            "need at least 20 participants, there are 19",
        ),
        (
            DataConfig(train_n=1, val_n=1, test_participants=("P99",)),
            r"unknown participants P99 \(known: P01, P02",
        ),
        (
            DataConfig(split="lists", train_participants=("P01",), val_participants=("Q", "R")),
            "unknown participants Q, R",
        ),
        (DataConfig(split="kfold", n_folds=21), "n_folds=21 needs as many participants, there are 20"),
        (DataConfig(split="kfold", n_folds=2, val_n=10), "val_n=10 leaves nobody to train on: only 10"),
    ],
)
def test_what_cannot_be_split_is_said(config: DataConfig, message: str) -> None:
    with pytest.raises(DataError, match=message):
        split_participants(PEOPLE, config)


def test_exactly_enough_people_suffice() -> None:
    assert len(split_participants(PEOPLE, DataConfig(train_n=17, val_n=2)).test) == 1


def test_people_given_twice_are_refused() -> None:
    with pytest.raises(DataError, match="P01 given more than once"):
        split_participants([*PEOPLE, "P01"], DataConfig(train_n=2, val_n=1))


def test_groups_that_overlap_are_refused() -> None:
    with pytest.raises(DataError, match="P02 would be in more than one group"):
        Split(("P01", "P02"), ("P02",), ())


def test_the_fingerprint_tells_splits_apart() -> None:
    split = Split(("P01", "P02"), ("P03",), ("P04",))
    assert split.fingerprint == Split(("P01", "P02"), ("P03",), ("P04",)).fingerprint
    assert split.fingerprint != Split(("P01",), ("P02", "P03"), ("P04",)).fingerprint
    assert len(split.fingerprint) == 64
    assert split.to_dict() == {"train": ["P01", "P02"], "val": ["P03"], "test": ["P04"]}
