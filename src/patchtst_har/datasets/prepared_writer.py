"""Write a prepared data set, one participant at a time; it exists once its manifest does."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchtst_har import __version__
from patchtst_har.datasets import prepared
from patchtst_har.datasets.prepared import PreparedDataset
from patchtst_har.datasets.unfinished import FOLDER, Unfinished
from patchtst_har.errors import DataError
from patchtst_har.support.files import atomic_write_json, atomic_write_text, ensure_folder
from patchtst_har.support.folders import LOCK_FILE, exchange, left_stages, stage_of
from patchtst_har.support.names import unusable_name
from patchtst_har.support.npz import write_npz

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_STAGE = "prepared"


def check_name(participant: str) -> None:
    """Refuse a participant that cannot name a file on every system.

    Raises
    ------
    DataError
        If the name holds anything but letters, digits, ``.``, ``_``, ``-``, or does not begin with a letter
        or digit.
    """
    if not _NAME.fullmatch(participant):
        raise DataError(f"participant {participant!r} cannot name a file (letters, digits and ._- only)")


class PreparedWriter:
    """Writer of a prepared data set.

    Parameters
    ----------
    folder : path-like
        Created if need be.
    overwrite : bool
        Replace a data set that is already there. The new one is written into a folder next to it, and takes
        its place when it is whole: at any moment the folder holds one of the two. Files that are not part of
        the old data set, such as cached features, stay.

    Attributes
    ----------
    unfinished : Unfinished
        What an interrupted preparation of the same data set finished, and what this one does.

    Raises
    ------
    DataError
        If there is a data set already and `overwrite` is false, or the path is a file.
    OSError
        If nothing can be written there, or next to it where a data set is replaced.
    """

    def __init__(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        self.folder = self._target = ensure_folder(folder)
        replaces = (self.folder / prepared.MANIFEST).exists()
        stage = stage_of(self.folder, _STAGE)
        for left in left_stages(self.folder, _STAGE):
            if not replaces or not (left / FOLDER).exists():
                _clear(left, self.folder)
            elif overwrite and not stage.exists():
                left.rename(stage)
            elif overwrite:
                _clear(left, self.folder)
        if replaces:
            Unfinished(self.folder).remove()
            if not overwrite:
                raise DataError(
                    f"{self.folder}: holds a prepared data set already; pass --overwrite or choose another"
                )
            self._target = ensure_folder(stage)
        self.unfinished = Unfinished(self._target)
        self._rows: dict[str, tuple[str, str]] = {}
        self._classes: set[str] = set()
        self._contents: dict[bytes, str] = {}
        self._added: dict[str, tuple[bytes, list[str]]] = {}

    def add(
        self,
        participant: str,
        windows: NDArray[np.float32],
        labels: NDArray[np.str_] | Sequence[str],
        start_ns: NDArray[np.int64],
    ) -> None:
        """Write one participant's file.

        Parameters
        ----------
        participant : str
            Letters, digits, ``.``, ``_``, ``-``; not twice.
        windows : (n, T, 3) float32
            Acceleration in g, finite.
        labels : (n,) str
            Class names.
        start_ns : (n,) int64
            Strictly increasing stamps, ns since 1970.

        Raises
        ------
        DataError
            If an argument is not as described, or the windows are those of another participant.
        """
        check_name(participant)
        self._check_new(participant)
        path = self.folder / f"{participant}.npz"
        names = np.asarray(labels, dtype=np.str_)
        prepared.check_stored_windows(windows, path)
        prepared.check_stored_stamps(start_ns, len(windows), path)
        present = {str(name) for name in np.unique(names)}
        if "" in present:
            raise DataError(f"{path}: labels_str holds an empty class name")
        for name in sorted(present):
            if (problem := unusable_name(name)) is not None:
                raise DataError(f"{path}: class {problem}; map it to another name (--labels)")
        prepared.check_stored_labels(names, present, len(windows), path)
        arrays = {"windows": windows, "labels_str": names, "first_ts_epoch_ns": start_ns}
        digest = _digest(arrays)
        self._check_distinct(path, digest)
        write_npz(self._target / path.name, arrays)
        self._note(path, digest, sorted(present))

    def keep(self, participant: str, key: str, facts: dict[str, Any]) -> None:
        """Note that a participant was added, for ``unfinished.find`` after an interruption.

        Parameters
        ----------
        participant : str
            As given to `add`.
        key : str
            All that its windows depend on (`patchtst_har.datasets.unfinished.key_of`).
        facts : dict
            What the caller wants to know of the participant then, as JSON values.

        Raises
        ------
        OSError
            If nothing can be written.
        """
        digest, classes = self._added[participant]
        self.unfinished.keep(participant, key, {"digest": digest.hex(), "classes": classes, "facts": facts})

    def take_over(self, participant: str, note: dict[str, Any]) -> None:
        """Add a participant whose file an interrupted preparation wrote, in place of `add`.

        Parameters
        ----------
        participant : str
            As given to `add`.
        note : dict
            As ``unfinished.find`` returns it.

        Raises
        ------
        DataError
            If the windows are those of another participant.
        """
        check_name(participant)
        self._check_new(participant)
        self._note(self.folder / f"{participant}.npz", bytes.fromhex(note["digest"]), note["classes"])

    def record_failure(self, participant: str, reason: str) -> None:
        """Note that a participant could not be prepared; the reason becomes part of the status.

        Any name is noted, one that a line of text cannot hold as a quoted literal.

        Raises
        ------
        DataError
            If the participant was added before.
        """
        one_line = participant.isprintable() and participant == participant.strip() != ""
        if not one_line or unusable_name(participant) is not None:
            participant = ascii(participant)
        self._check_new(participant)
        self._rows[participant] = (f"error: {' '.join(reason.split())}", "")

    def finish(self, preparation: dict[str, Any], classes: Sequence[str] = ()) -> PreparedDataset:
        """Write what is common to all participants, the manifest last, and open the data set.

        Parameters
        ----------
        preparation : dict
            How the data was made, as JSON values; the package's version is added.
        classes : sequence of str
            Classes to list even if nobody has them.

        Raises
        ------
        DataError
            If nobody was added.
        """
        if not any(status == "ok" for status, _ in self._rows.values()):
            reasons = "; ".join(f"{name}: {status}" for name, (status, _) in list(self._rows.items())[:3])
            raise DataError(f"{self.folder}: nobody could be prepared ({reasons or 'no recordings'})")
        names = sorted(self._classes | set(classes))
        atomic_write_json(self._target / prepared.CLASSES, names)
        encoder = {name: index for index, name in enumerate(names)}
        atomic_write_json(self._target / prepared.LABEL_ENCODER, encoder)
        document = {**preparation, "package_version": __version__}
        atomic_write_json(self._target / prepared.PREPARATION, document)
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(prepared.MANIFEST_COLUMNS)
        table.writerows((name, *row) for name, row in self._rows.items())
        atomic_write_text(self._target / prepared.MANIFEST, text.getvalue())
        if self._target != self.folder:
            PreparedDataset.open(self._target)
            exchange(self.folder, self._target)
            _clear(self._target, self.folder)
        Unfinished(self.folder).remove()
        return PreparedDataset.open(self.folder)

    def abandon(self, *, interrupted: bool = False) -> None:
        """Remove what was written next to a data set that was to be replaced, unless it can go on."""
        if self._target != self.folder and not interrupted:
            shutil.rmtree(self._target, ignore_errors=True)

    def _check_distinct(self, path: Path, digest: bytes) -> None:
        """Refuse one person under two names: they could be trained on and tested with."""
        other = self._contents.setdefault(digest, path.stem)
        if other != path.stem:
            raise DataError(f"{path}: participant {path.stem!r} has the same windows as {other!r}")

    def _note(self, path: Path, digest: bytes, classes: Sequence[str]) -> None:
        """Note that a participant's file is written."""
        self._check_distinct(path, digest)
        self._classes |= {*classes}
        self._rows[path.stem] = ("ok", path.name)
        self._added[path.stem] = (digest, list(classes))

    def _check_new(self, participant: str) -> None:
        if participant in self._rows:
            raise DataError(f"{self.folder}: participant {participant!r} was added twice")


def _digest(arrays: dict[str, NDArray[Any]]) -> bytes:
    """Identify what a participant's file holds."""
    digest = hashlib.sha256()
    for array in arrays.values():
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.digest()


def _clear(stage: Path, folder: Path) -> None:
    """Remove an earlier data set, or a part of a new one, next to its folder; files of others go back."""
    owned = {prepared.CLASSES, prepared.LABEL_ENCODER, prepared.PREPARATION, prepared.MANIFEST}
    owned |= {LOCK_FILE, FOLDER}
    if (stage / prepared.MANIFEST).exists():
        owned |= set(PreparedDataset.files(stage))
        for path in stage.iterdir():
            if path.name not in owned and not (folder / path.name).exists():
                path.rename(folder / path.name)
    shutil.rmtree(stage)
