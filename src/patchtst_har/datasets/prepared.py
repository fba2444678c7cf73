"""Read a prepared data set: windows of many participants on disk, checked field by field.

The folder holds `manifest.csv` (participant, status, outfile), `classes.json` (the class names),
`label_encoder.json` (class to index), one NPZ per participant (`windows`, `labels_str`,
`first_ts_epoch_ns`), and, if this package wrote it, `preparation.json`.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import json
import logging
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from patchtst_har.data.columns import require_columns
from patchtst_har.data.times import Clock
from patchtst_har.data.units import MOST_G
from patchtst_har.data.windows import Windows
from patchtst_har.datasets.window_store import WindowArray, WindowStore, blocks_of_windows
from patchtst_har.errors import DataError
from patchtst_har.support.documents import MOST_JSON_BYTES, read_text
from patchtst_har.support.files import ensure_folder, read_json
from patchtst_har.support.names import unusable_name
from patchtst_har.support.npz import MAX_EXPANDED_BYTES, is_unicode, open_archive, read_npz
from patchtst_har.support.stored_arrays import StoredArray, extract_array

logger = logging.getLogger(__name__)

MANIFEST = "manifest.csv"
CLASSES = "classes.json"
LABEL_ENCODER = "label_encoder.json"
PREPARATION = "preparation.json"
MANIFEST_COLUMNS = ("participant", "status", "outfile")
WINDOW_FIELDS = (
    "sample_rate_hz",
    "window_size",
    "hop_size",
    "label_policy",
    "min_labelled_fraction",
    "max_gap_s",
    "calibration",
    "non_wear",
)
"""Fields of `DataConfig` that say how the windows were cut: stored, and taken over by a training."""
# It describes every recording, so it grows with their number.
_MOST_PREPARATION_BYTES = 256 * 2**20
_MOST_MANIFEST_BYTES = 256 * 2**20
_ARRAYS = ("windows", "labels_str", "first_ts_epoch_ns")


ParticipantWindows = Windows
"""The same class under its earlier name: what `PreparedDataset.load` returns.

Fields are keywords, since their order was another one; the labels are names of the data set's classes."""


@dataclass(frozen=True, eq=False)
class StoredParticipant:
    """One participant's windows, left on disk: what `PreparedDataset.stored` returns."""

    windows: WindowStore
    start_ns: NDArray[np.int64]
    """(n,) stamp of the first sample, ns since 1970."""
    labels: NDArray[np.str_]
    """(n,) names of classes."""

    def __len__(self) -> int:
        return len(self.windows)


@dataclass(frozen=True)
class PreparedDataset:
    """A prepared data set; `open` checks what is common to it, `load` what belongs to one participant.

    Attributes
    ----------
    folder : pathlib.Path
        Where it lies.
    """

    folder: Path
    participants: tuple[str, ...]
    """Participants with status ok, in the manifest's order."""
    classes: tuple[str, ...]
    """Class names, sorted if this package wrote them; a label is an index into them."""
    failures: dict[str, str]
    """Status of everyone else."""
    preparation: dict[str, Any] | None
    """How it was made; None if the folder does not say."""
    _outfiles: dict[str, str] = field(repr=False)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> PreparedDataset:
        """Open a prepared data set.

        Parameters
        ----------
        folder : path-like
            The folder with `manifest.csv`.

        Returns
        -------
        PreparedDataset
            No windows are read yet.

        Raises
        ------
        DataError
            If the folder or a file is missing, a manifest row is contradictory or names a file outside of
            the folder or another participant's, nobody has status ok, classes and encoder disagree, or the
            recorded clock is unknown; the message names the file.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder of prepared data")
        rows = _read_manifest(folder / MANIFEST)
        outfiles = {name: outfile for name, (status, outfile) in rows.items() if status == "ok"}
        if not outfiles:
            raise DataError(f"{folder / MANIFEST}: nobody has status ok")
        for name, outfile in outfiles.items():
            _check_outfile(folder, name, outfile)
        _check_distinct(folder, outfiles)
        failures = {name: status for name, (status, _) in rows.items() if status != "ok"}
        return cls(
            folder, tuple(outfiles), _read_classes(folder), failures, _read_preparation(folder), outfiles
        )

    @staticmethod
    def files(folder: Path) -> list[str]:
        """Return the files that a manifest lists."""
        return [outfile for _, outfile in _read_manifest(folder / MANIFEST).values() if outfile]

    @property
    def clock(self) -> Clock | None:
        """What the stamps count from: ``"utc"`` or ``"wall"``; None if the folder does not say."""
        return None if self.preparation is None else self.preparation.get("clock")

    def path(self, participant: str) -> Path:
        """Return the participant's file.

        Raises
        ------
        DataError
            If there is no such participant, or preparing that recording failed.
        """
        if participant in self._outfiles:
            return self.folder / self._outfiles[participant]
        if participant in self.failures:
            raise DataError(
                f"{self.folder}: participant {participant!r} has status {self.failures[participant]!r}"
            )
        near = difflib.get_close_matches(participant, self.participants, 3) or self.participants[:3]
        raise DataError(f"{self.folder}: no participant {participant!r} (known: {', '.join(near)}, ...)")

    def fingerprint(self, people: Iterable[str]) -> str:
        """Identify the classes, and the windows, times and labels of some people, as SHA-256.

        The checksums that an archive keeps of its members are used: nothing else of the files is read.

        Raises
        ------
        DataError
            If somebody is unknown, or a file is no NPZ archive with these arrays.
        """
        contents = {name: content_of(self.path(name)) for name in sorted(people)}
        damaged = next((name for name, content in contents.items() if content is None), None)
        if damaged is not None:
            raise DataError(f"{self.path(damaged)}: not an NPZ archive with {', '.join(_ARRAYS)}")
        document = json.dumps([list(self.classes), contents], sort_keys=True)
        return hashlib.sha256(document.encode()).hexdigest()

    def load(self, participant: str, *, max_bytes: int = MAX_EXPANDED_BYTES) -> Windows:
        """Read one participant's windows.

        Parameters
        ----------
        participant : str
            One of `participants`.
        max_bytes : int
            Cap on the size of the arrays in memory.

        Returns
        -------
        Windows
            In order of time.

        Raises
        ------
        DataError
            If the participant is unknown, the file missing or damaged, or an array of the wrong type, shape
            or values; the message names file and array.
        """
        path = self.path(participant)
        arrays = read_npz(path, _ARRAYS, max_bytes=max_bytes)
        windows, names, start_ns = arrays["windows"], arrays["labels_str"], arrays["first_ts_epoch_ns"]
        check_stored_windows(windows, path)
        check_stored_stamps(start_ns, len(windows), path)
        check_stored_labels(names, self.classes, len(windows), path)
        return Windows(
            windows=np.ascontiguousarray(windows), start_ns=start_ns, labels=names, clock=self.clock
        )

    def stored(self, participant: str, folder: Path) -> StoredParticipant:
        """Check one participant's windows and leave them on disk.

        They are read from the data set itself. Those of a compressed file, which cannot be read in pieces,
        are written once to `folder`.

        Parameters
        ----------
        participant : str
            One of `participants`.
        folder : pathlib.Path
            For windows of compressed files, created if need be.

        Raises
        ------
        DataError
            As `load`.
        OSError
            If `folder` cannot be written.
        """
        path = self.path(participant)
        array = StoredArray.find(path, "windows")
        check_windows_form(array.dtype, array.shape, path)
        array = _checked(array) if array.in_place else _extracted(array, folder)
        windows = WindowStore([array])
        check_stored_windows(windows, path)
        arrays = read_npz(path, _ARRAYS[1:])
        names, start_ns = arrays["labels_str"], arrays["first_ts_epoch_ns"]
        check_stored_stamps(start_ns, len(windows), path)
        check_stored_labels(names, self.classes, len(windows), path)
        return StoredParticipant(windows, start_ns, names)


def _checked(array: StoredArray) -> StoredArray:
    array.check_values()
    return array


def _extracted(source: StoredArray, folder: Path) -> StoredArray:
    """Return the windows of a file as ones that can be read in place, written if they are not there."""
    content = hashlib.sha256(repr(content_of(source.path)).encode()).hexdigest()
    target = ensure_folder(folder) / f"{content}.npz"
    if target.exists():
        try:
            return _checked(StoredArray.find(target, source.name))
        except DataError as error:
            logger.warning("%s; writing it again", error)
    logger.info("%s is compressed: writing its windows to %s", source.path, target)
    extract_array(source, target)
    return _checked(StoredArray.find(target, source.name))


def check_windows_form(dtype: np.dtype[Any], shape: tuple[int, ...], source: Path) -> None:
    """Refuse windows that are not float32 of shape (n, T, 3) with n, T > 0."""
    if dtype != np.float32:
        raise DataError(f"{source}: windows holds {dtype}, float32 is needed")
    if len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise DataError(f"{source}: windows has shape {shape}, (n, T, 3) with n, T > 0 is needed")


def check_stored_windows(windows: WindowArray, source: Path) -> None:
    """Refuse `windows` that are not float32 of shape (n, T, 3) with n, T > 0, finite and within `MOST_G`."""
    check_windows_form(windows.dtype, windows.shape, source)
    largest = np.concatenate([np.abs(block).max(axis=(1, 2)) for block in blocks_of_windows(windows)])
    bad = np.flatnonzero(~np.isfinite(largest))
    if bad.size:
        raise DataError(
            f"{source}: windows holds NaN or infinity in window {bad[0]} ({bad.size} such windows)"
        )
    bad = np.flatnonzero(largest > MOST_G)
    if bad.size:
        raise DataError(
            f"{source}: windows holds values beyond {MOST_G:g} g in window {bad[0]} ({bad.size} such "
            "windows), a marker or another unit; prepare the recordings again"
        )


def check_stored_stamps(start_ns: NDArray[Any], n_windows: int, source: Path) -> None:
    """Refuse `first_ts_epoch_ns` that is not strictly increasing int64, one per window."""
    if start_ns.dtype != np.int64:
        raise DataError(f"{source}: first_ts_epoch_ns holds {start_ns.dtype}, int64 is needed")
    if start_ns.shape != (n_windows,):
        raise DataError(
            f"{source}: first_ts_epoch_ns has shape {start_ns.shape}, but there are {n_windows} windows"
        )
    backwards = np.flatnonzero(np.diff(start_ns) <= 0)
    if backwards.size:
        raise DataError(f"{source}: first_ts_epoch_ns does not increase at window {backwards[0] + 1}")


def check_stored_labels(names: NDArray[Any], classes: Collection[str], n_windows: int, source: Path) -> None:
    """Refuse `labels_str` that is not one name in `classes` per window."""
    if names.dtype.kind != "U":
        raise DataError(f"{source}: labels_str holds {names.dtype}, strings are needed")
    if names.shape != (n_windows,):
        raise DataError(f"{source}: labels_str has shape {names.shape}, but there are {n_windows} windows")
    if not is_unicode(names):
        raise DataError(f"{source}: labels_str holds what is not Unicode text")
    unknown = [str(name) for name in np.unique(names) if str(name) not in classes]
    if unknown:
        raise DataError(f"{source}: labels_str holds {unknown[0]!r}, which is not in {CLASSES}")


def _read_manifest(path: Path) -> dict[str, tuple[str, str]]:
    """Return status and file of each participant, all as strings ("007" stays "007")."""
    try:
        text = read_text(path, _MOST_MANIFEST_BYTES)
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        require_columns(reader.fieldnames or (), MANIFEST_COLUMNS, str(path))
        return _merge_rows(reader, path)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; is this a folder of prepared data?") from error
    except csv.Error as error:
        raise DataError(f"{path}: not CSV text ({error})") from error


def _merge_rows(reader: Iterable[dict[str, str | None]], path: Path) -> dict[str, tuple[str, str]]:
    rows: dict[str, tuple[str, str]] = {}
    number = 0
    for number, row in enumerate(reader, start=1):
        participant, status, outfile = ((row[name] or "").strip() for name in MANIFEST_COLUMNS)
        if not participant or not status:
            raise DataError(f"{path}: row {number} has no {'status' if participant else 'participant'}")
        if (problem := unusable_name(participant)) is not None:
            raise DataError(f"{path}: row {number}: participant {problem}")
        if "\0" in outfile:
            raise DataError(f"{path}: row {number}: outfile {outfile[:80]!r} cannot be a file's name")
        if rows.setdefault(participant, (status, outfile)) != (status, outfile):
            raise DataError(f"{path}: row {number} contradicts an earlier row of participant {participant!r}")
    if number > len(rows):
        logger.warning(
            "%s: %d rows repeat an earlier row; each participant is counted once", path, number - len(rows)
        )
    return rows


def _check_outfile(folder: Path, participant: str, outfile: str) -> None:
    """Refuse files that lie elsewhere: a data set may come from anyone."""
    parts = (*PurePosixPath(outfile).parts, *PureWindowsPath(outfile).parts)
    rooted = PurePosixPath(outfile).is_absolute() or bool(PureWindowsPath(outfile).anchor)
    inside = (folder / outfile).resolve().is_relative_to(folder.resolve())
    if not outfile or rooted or ".." in parts or not inside:
        raise DataError(
            f"{folder / MANIFEST}: outfile {outfile!r} of participant {participant!r} is not in the folder"
        )
    if not (folder / outfile).is_file():
        raise DataError(
            f"{folder / MANIFEST}: outfile {outfile!r} of participant {participant!r} does not exist"
        )


def _check_distinct(folder: Path, outfiles: Mapping[str, str]) -> None:
    """Refuse one person under two names: one file, or files of the same windows, times and labels.

    The checksums that an archive keeps of its members are compared, of files of one size: nothing is read.
    """
    by_file: dict[Any, str] = {}
    by_size: dict[int, list[str]] = defaultdict(list)
    for name, outfile in outfiles.items():
        status = (folder / outfile).stat()
        other = by_file.setdefault((status.st_dev, status.st_ino), name)
        if other != name:
            raise DataError(
                f"{folder / MANIFEST}: outfile {outfile!r} of participant {name!r} is that of {other!r}, too"
            )
        by_size[status.st_size].append(name)
    for names in by_size.values():
        by_content: dict[Any, str] = {}
        for name in names if len(names) > 1 else ():
            content = content_of(folder / outfiles[name])
            if content is not None and by_content.setdefault(content, name) != name:
                raise DataError(
                    f"{folder / outfiles[name]}: participant {name!r} has the same windows as "
                    f"{by_content[content]!r}"
                )


def content_of(path: Path) -> tuple[tuple[int, int], ...] | None:
    """Return sizes and checksums of a participant's arrays; None if `load` will have to say what is wrong."""
    try:
        with open_archive(path) as archive:
            members = [archive.getinfo(f"{name}.npy") for name in _ARRAYS]
    except (DataError, KeyError):
        return None
    return tuple((member.file_size, member.CRC) for member in members)


def _read_classes(folder: Path) -> tuple[str, ...]:
    classes = _read_json(folder / CLASSES)
    named = isinstance(classes, list) and all(isinstance(name, str) and name for name in classes)
    if not named or not classes:
        raise DataError(f"{folder / CLASSES}: needs a list of class names")
    if len(set(classes)) < len(classes):
        raise DataError(f"{folder / CLASSES}: a class name occurs twice")
    for name in classes:
        if (problem := unusable_name(name)) is not None:
            raise DataError(f"{folder / CLASSES}: class {problem}")
    encoder = _read_json(folder / LABEL_ENCODER)
    expected = {name: index for index, name in enumerate(classes)}
    if not isinstance(encoder, dict) or any(type(index) is not int for index in encoder.values()):
        raise DataError(f"{folder / LABEL_ENCODER}: needs a mapping of class names to indices")
    for name in sorted({*expected, *encoder}):
        wanted, found = expected.get(name), encoder.get(name)
        if wanted != found:
            raise DataError(f"{folder / LABEL_ENCODER}: has {found} for {name!r}, {CLASSES} has {wanted}")
    return tuple(classes)


def _read_preparation(folder: Path) -> dict[str, Any] | None:
    if not (folder / PREPARATION).exists():
        return None
    preparation = _read_json(folder / PREPARATION, _MOST_PREPARATION_BYTES)
    if not isinstance(preparation, dict):
        raise DataError(f"{folder / PREPARATION}: needs a mapping")
    clock = preparation.get("clock")
    if clock is not None and clock not in get_args(Clock):
        known = ", ".join(get_args(Clock))
        raise DataError(f"{folder / PREPARATION}: clock {clock!r} is not known (known: {known})")
    return preparation


def _read_json(path: Path, most_bytes: int = MOST_JSON_BYTES) -> Any:
    try:
        return read_json(path, most_bytes)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise DataError(f"{path}: is a folder, a file is needed") from error
