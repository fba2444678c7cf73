"""Probabilities of windows by models that were not trained on the windows' people, kept fold by fold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.errors import DataError
from patchtst_har.evaluation.held_out import HeldOut
from patchtst_har.support.files import ensure_folder
from patchtst_har.support.npz import read_npz, write_npz

_ARRAYS = ("participants", "start_ns", "labels", "folds", "probabilities", "classes", "fingerprint")


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Judged windows.

    Attributes
    ----------
    participants, start_ns, labels, folds : ndarray, shape (n,)
        Whose window, when it begins, its true class index, the fold that held it out.
    probabilities : ndarray of float64, shape (n, K)
        By the model of that fold.
    classes : tuple of str
        Class names.
    """

    participants: NDArray[np.str_]
    start_ns: NDArray[np.int64]
    labels: NDArray[np.int64]
    folds: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of(cls, test: FeatureSet, probabilities: NDArray[np.float64], fold: int) -> OutOfFold:
        """Take what is kept of the windows that a fold holds out."""
        folds = np.full(len(test), fold, np.int64)
        return cls(test.participants, test.start_ns, test.labels, folds, probabilities, test.classes)

    @classmethod
    def of_held_out(cls, held_out: HeldOut, fold: int) -> OutOfFold:
        """Take what is kept of the test people of a run."""
        folds = np.full(len(held_out.labels), fold, np.int64)
        return cls(
            held_out.participants,
            held_out.start_ns,
            held_out.labels,
            folds,
            held_out.decisions.probabilities,
            held_out.classes,
        )

    def save(self, path: Path, fingerprint: str) -> None:
        """Write the windows of a fold; `fingerprint` says what made them."""
        arrays = {name: np.asarray(getattr(self, name, fingerprint)) for name in _ARRAYS}
        write_npz(path, arrays)

    @classmethod
    def load(cls, path: Path, fingerprint: str | None = None) -> OutOfFold:
        """Read what `save` wrote; without a fingerprint, whatever made it.

        Raises
        ------
        DataError
            If the file is damaged, or was made with other settings, data or people.
        """
        arrays = read_npz(path, _ARRAYS)
        made_with = str(arrays.pop("fingerprint"))
        if fingerprint not in (None, made_with):
            raise DataError(
                f"{path}: was made with other settings, data or people; use another --label, or --overwrite"
            )
        classes = tuple(arrays.pop("classes").tolist())
        return cls(**arrays, classes=classes)

    def take(self, rows: NDArray[Any]) -> OutOfFold:
        """Return some windows, by index or mask."""
        names = ("participants", "start_ns", "labels", "folds", "probabilities")
        return OutOfFold(**{name: getattr(self, name)[rows] for name in names}, classes=self.classes)


def join(parts: Sequence[OutOfFold]) -> OutOfFold:
    """Return the windows of all folds, sorted by participant and time.

    Raises
    ------
    DataError
        If somebody is held out in two folds, or the classes differ.
    """
    if len({part.classes for part in parts}) != 1:
        raise DataError("folds: have different classes")
    people = [name for part in parts for name in sorted(set(part.participants.tolist()))]
    if len(set(people)) != len(people):
        raise DataError("folds: a participant is held out in more than one")
    names = ("participants", "start_ns", "labels", "folds", "probabilities")
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    pooled = OutOfFold(**columns, classes=parts[0].classes)
    return pooled.take(np.lexsort((pooled.start_ns, pooled.participants)))


def fingerprint(settings: Any, *groups: FeatureSet) -> str:
    """Return a digest of settings (JSON values) and of windows: whose, when, and their features."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for part in groups:
        digest.update("\n".join(part.participants.tolist()).encode())
        for array in (part.start_ns, part.labels, part.stats, part.topo):
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def kept(
    path: Path, identity: str, compute: Callable[[], OutOfFold], *, overwrite: bool = False
) -> OutOfFold:
    """Return a fold's windows from its file if it is there, else compute and write them."""
    if path.exists() and not overwrite:
        return OutOfFold.load(path, identity)
    ensure_folder(path.parent)
    made = compute()
    made.save(path, identity)
    return made
