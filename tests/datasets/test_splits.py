from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchtst_har.config import DataConfig, SplitName
from patchtst_har.datasets.splits import Split, capture24_test, split_participants
from patchtst_har.errors import ConfigError, DataError

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


CAPTURE24 = [f"P{number:03d}" for number in range(1, 152)]
BENCHMARK = tuple(CAPTURE24[100:])


def test_the_seed_split_of_capture24_has_80_20_and_51_people() -> None:
    config = DataConfig(split="capture24-seed")
    split = split_participants(CAPTURE24[::-1], config)
    assert (len(split.train), len(split.val), split.test) == (80, 20, BENCHMARK)
    assert sorted(split.train + split.val) == CAPTURE24[:100]
    # Of the documentation: whoever compares with published scores must get these people.
    assert split.val[:5] == ("P006", "P009", "P010", "P011", "P012")
    assert split_participants(CAPTURE24, config.replace(split_seed=1)).val != split.val


@pytest.mark.parametrize(("val_n", "n_val"), [(None, 20), (0, 0), (7, 7)])
def test_the_benchmark_split_of_capture24_fixes_who_tests(val_n: int | None, n_val: int) -> None:
    split = split_participants(CAPTURE24, DataConfig(split="capture24-benchmark", val_n=val_n))
    assert (len(split.train), len(split.val), split.test) == (100 - n_val, n_val, BENCHMARK)
    assert sorted(split.train + split.val) == CAPTURE24[:100]


@pytest.mark.parametrize("name", ["capture24-benchmark", "capture24-seed"])
def test_people_of_capture24_who_are_missing_are_named(name: SplitName) -> None:
    people = [
        person for person in CAPTURE24 if person not in ("P003", "P011", "P012", "P120", "P121", "P122")
    ]
    config = DataConfig(split=name)
    with pytest.raises(
        DataError, match=rf"{name} needs P001 to P151, .* lacks P003, P011, P012, P120 to P122;"
    ):
        split_participants(people, config)
    some = config.replace(split_missing="leave_out")
    whole, split = split_participants(CAPTURE24, config), split_participants(people, some)
    assert set(split.train + split.val + split.test) == set(people)
    assert split.test == tuple(person for person in whole.test if person in people)
    if name == "capture24-seed":
        assert split.val == tuple(person for person in whole.val if person in people)
    with pytest.raises(DataError, match=rf"{name} knows P001 to P151, not P152"):
        split_participants([*CAPTURE24, "P152"], config)
    with pytest.raises(DataError, match="tests on P101 to P151, of whom the data set has nobody"):
        split_participants(CAPTURE24[:30], some)


def test_a_group_of_capture24_without_anybody_is_named() -> None:
    config = DataConfig(split="capture24-seed", split_missing="leave_out")
    with pytest.raises(DataError, match=r"nobody to validate, of P006, P009 to P012, P014, P017"):
        split_participants(["P001", "P101"], config)
    with pytest.raises(DataError, match=r"nobody to train, of P001 to P005, P007"):
        split_participants(["P006", "P101"], config)


def test_whom_the_benchmark_of_capture24_tests() -> None:
    assert capture24_test(CAPTURE24) == BENCHMARK
    assert capture24_test(BENCHMARK) == BENCHMARK
    with pytest.raises(
        DataError, match=r"tests on P101 to P151, the data set lacks P102 to P151; --participants"
    ):
        capture24_test(CAPTURE24[:101])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"split": "capture24-seed", "val_n": 3}, 'val_n has no meaning with split="capture24-seed"'),
        ({"split": "capture24-seed", "train_n": 3}, 'train_n has no meaning with split="capture24-seed"'),
        (
            {"split": "capture24-benchmark", "test_participants": ("P101",)},
            "test_participants has no meaning",
        ),
        ({"split_missing": "leave_out"}, 'split_missing has no meaning with split="counts"'),
    ],
)
def test_fields_that_a_split_of_capture24_does_not_take(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DataConfig(**fields)
