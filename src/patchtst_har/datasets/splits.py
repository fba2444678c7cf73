"""Who trains, who validates, who tests: always whole participants."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from patchtst_har.config import DataConfig
from patchtst_har.errors import DataError
from patchtst_har.support.names import repeated

logger = logging.getLogger(__name__)

_TEST_SHARE, _VAL_SHARE, _MOST_VAL = 0.2, 0.15, 20

_CAPTURE24 = tuple(f"P{number:03d}" for number in range(1, 152))
_FIRST, _BENCHMARK = _CAPTURE24[:100], _CAPTURE24[100:]


@dataclass(frozen=True)
class Split:
    """Three groups of participants without overlap.

    Attributes
    ----------
    train, val, test : tuple of str
        Each sorted.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        if shared := repeated([*self.train, *self.val, *self.test]):
            raise DataError(f"split: {', '.join(shared)} would be in more than one group")

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the three sorted lists: equal for equal splits."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, list[str]]:
        """Return the groups as lists, for JSON."""
        return {name: list(participants) for name, participants in asdict(self).items()}


def split_participants(participants: Sequence[str], config: DataConfig) -> Split:
    """Assign participants to training, validation and test.

    The result depends on the set of participants and the configuration, not on the order of `participants`.

    - ``counts``: participants are shuffled by `split_seed`; the first `train_n` train, the next `val_n`
      validate, the rest test. If `test_participants` are named, they test, and the others are drawn from;
      whoever is left over then is in no group. Where `val_n` is None, 15 % of all validate (1 to 20);
      where `train_n` is None, 20 % of all (at least 1) test and the others train.
    - ``lists``: as named; nobody need test.
    - ``capture24-benchmark``: P101 to P151 of CAPTURE-24 test, as in its benchmark; of P001 to P100, `val_n`
      and `train_n` are drawn as with ``counts``.
    - ``capture24-seed``: P101 to P151 test, 20 of P001 to P100, drawn by `split_seed`, validate, the 80
      others train. Who validates does not depend on who else is there.
    - ``kfold``: participants are shuffled and dealt to `n_folds` folds; fold `fold` tests, `val_n` of the
      others validate, the rest train. Over all folds, everyone tests once.

    Parameters
    ----------
    participants : sequence of str
        Everyone there is.
    config : DataConfig
        The fields of the split.

    Returns
    -------
    Split
        Nobody is in two groups.

    Raises
    ------
    DataError
        If a participant is named twice or unknown, there are too few (the message has the numbers), or a
        split of CAPTURE-24 lacks people (the message names them), unless `split_missing` leaves them out.
    """
    everyone = sorted(participants)
    if twice := repeated(everyone):
        raise DataError(f"participants: {', '.join(twice)} given more than once")
    named = (*config.train_participants, *config.val_participants, *config.test_participants)
    unknown = [name for name in named if name not in set(everyone)] if config.split != "kfold" else []
    if unknown:
        raise DataError(f"split: unknown participants {', '.join(unknown)} (known: {_some(everyone)})")
    if config.split == "lists":
        return _sorted_split(config.train_participants, config.val_participants, config.test_participants)
    if config.split == "kfold":
        return _kfold(everyone, config)
    if config.split != "counts":
        return _capture24(everyone, config)
    return _counts(everyone, config)


def _counts(participants: list[str], config: DataConfig) -> Split:
    others = _shuffled(
        [name for name in participants if name not in config.test_participants], config.split_seed
    )
    train_n, val_n = _group_sizes(len(participants), len(others), config)
    n_drawn = train_n + val_n
    needed = n_drawn + (0 if config.test_participants else 1)
    if len(others) < needed:
        raise DataError(
            f"split: train_n={train_n} and val_n={val_n} need at least {needed} participants"
            f"{'' if config.test_participants else ' with one to test on'}, there are {len(others)}"
            + "; left out, data.train_n and data.val_n are chosen from their number"
            * (config.train_n is not None or config.val_n is not None)
        )
    if config.test_participants and len(others) > n_drawn:
        logger.info("%d participants are in no group: %s", len(others) - n_drawn, _some(others[n_drawn:]))
    test = config.test_participants or others[n_drawn:]
    return _sorted_split(others[:train_n], others[train_n:n_drawn], test)


def _group_sizes(n_all: int, n_others: int, config: DataConfig) -> tuple[int, int]:
    """Return how many of `n_others` train and validate, of `n_all` people in all."""
    n_test = 0 if config.test_participants else max(1, round(_TEST_SHARE * n_all))
    val_n = _val_n(n_all, config)
    return max(1, n_others - n_test - val_n) if config.train_n is None else config.train_n, val_n


def _val_n(n_all: int, config: DataConfig) -> int:
    return min(max(1, round(_VAL_SHARE * n_all)), _MOST_VAL) if config.val_n is None else config.val_n


def _kfold(participants: list[str], config: DataConfig) -> Split:
    if len(participants) < config.n_folds:
        raise DataError(
            f"split: n_folds={config.n_folds} needs as many participants, there are {len(participants)}"
        )
    shuffled = _shuffled(participants, config.split_seed)
    folds = [shuffled[number :: config.n_folds] for number in range(config.n_folds)]
    # Who validates comes from the folds after the test fold, so it changes from fold to fold as well.
    others = [
        name for step in range(1, config.n_folds) for name in folds[(config.fold + step) % config.n_folds]
    ]
    val_n = _val_n(len(participants), config)
    if len(others) <= val_n:
        raise DataError(
            f"split: val_n={val_n} leaves nobody to train on: only {len(others)} are outside the fold"
        )
    return _sorted_split(others[val_n:], others[:val_n], folds[config.fold])


def capture24_test(participants: Collection[str]) -> tuple[str, ...]:
    """Return the people on whom CAPTURE-24's benchmark tests.

    Raises
    ------
    DataError
        If some of them are not among `participants`; the message names them.
    """
    if missing := [name for name in _BENCHMARK if name not in participants]:
        raise DataError(
            f"split: the benchmark of CAPTURE-24 tests on P101 to P151, the data set lacks {_runs(missing)}; "
            "--participants judges those you name"
        )
    return _BENCHMARK


def _capture24(participants: list[str], config: DataConfig) -> Split:
    if strange := [name for name in participants if name not in _CAPTURE24]:
        raise DataError(f"split: {config.split} knows P001 to P151, not {_some(strange)}")
    missing = [name for name in _CAPTURE24 if name not in participants]
    if missing and config.split_missing == "refuse":
        raise DataError(
            f"split: {config.split} needs P001 to P151, the data set lacks {_runs(missing)}; "
            "data.split_missing=leave_out divides those it has"
        )
    first, test = ([name for name in people if name in participants] for people in (_FIRST, _BENCHMARK))
    if not test:
        raise DataError(f"split: {config.split} tests on P101 to P151, of whom the data set has nobody")
    if config.split == "capture24-benchmark":
        counts = {"split": "counts", "split_missing": "refuse", "test_participants": tuple(test)}
        return _counts(participants, config.replace(**counts))
    drawn = sorted(_shuffled(list(_FIRST), config.split_seed)[:_MOST_VAL])
    val, train = ([name for name in first if (name in drawn) == is_drawn] for is_drawn in (True, False))
    for people, group, what in ((val, drawn, "validate"), (train, sorted({*_FIRST} - {*drawn}), "train")):
        if not people:
            raise DataError(f"split: the data set has nobody to {what}, of {_runs(group)}")
    return _sorted_split(train, val, test)


def _runs(names: Sequence[str]) -> str:
    """Return names of CAPTURE-24, three or more in a row as the first and last of them."""
    runs: list[list[str]] = []
    for name in names:
        if runs and int(runs[-1][-1][1:]) + 1 == int(name[1:]):
            runs[-1].append(name)
        else:
            runs.append([name])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs)


def _sorted_split(train: Sequence[str], val: Sequence[str], test: Sequence[str]) -> Split:
    return Split(tuple(sorted(train)), tuple(sorted(val)), tuple(sorted(test)))


def _shuffled(participants: list[str], seed: int) -> list[str]:
    return [participants[index] for index in np.random.default_rng(seed).permutation(len(participants))]


def _some(participants: Sequence[str], n_most: int = 5) -> str:
    return ", ".join(participants[:n_most]) + (", ..." if len(participants) > n_most else "")
