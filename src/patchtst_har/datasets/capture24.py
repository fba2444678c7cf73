"""CAPTURE-24 in its published layout, as a prepared data set.

Chan, Yuan, Tong et al. (2024), CAPTURE-24: a large dataset of wrist-worn activity tracker data
collected in the wild for human activity recognition, Scientific Data 11, 1135; the data are CC BY 4.0.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from patchtst_har.config import DataConfig
from patchtst_har.data.annotations import LabelMap, read_table
from patchtst_har.data.file_windows import cut_file_windows
from patchtst_har.data.formats import recording_suffix
from patchtst_har.data.recording import read_recording
from patchtst_har.datasets.preparation import OnError, Reader, Recipe, check_on_error, prepare_by
from patchtst_har.datasets.prepared import PreparedDataset
from patchtst_har.errors import ConfigError, DataError
from patchtst_har.support.formatting import listed
from patchtst_har.support.progress import OnProgress

logger = logging.getLogger(__name__)

DICTIONARY = "annotation-label-dictionary.csv"
METADATA = "metadata.csv"
_PREFIX = "label:"
_RECORDING = re.compile(r"(P\d{3})\.csv(\.gz)?")
_FIXED = ("sample_rate_hz", "window_size", "hop_size", "label_policy", "min_labelled_fraction", "calibration")


def prepare_capture24(
    folder: str | os.PathLike[str],
    out_dir: str | os.PathLike[str],
    schema: str,
    config: DataConfig | None = None,
    *,
    reader: Reader = read_recording,
    on_error: OnError = "raise",
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> PreparedDataset:
    """Prepare CAPTURE-24, or some of its participants, with the windows of its authors.

    Annotations become classes by the full string. Windows of 10 s follow each other from the first sample of
    a file; one is kept if it holds exactly 1,000 samples, all finite, and any of them has a class. Its label
    is the most frequent class (`patchtst_har.data.file_windows.cut_file_windows`). All classes of the schema
    belong to the data set, also those that nobody has.

    Parameters
    ----------
    folder : path-like
        With ``P001.csv.gz`` and so on (columns ``time, x, y, z, annotation``; g), and the files
        `DICTIONARY` and `METADATA`.
    out_dir : path-like
        Folder of the prepared data set.
    schema : str
        Name of a column of the dictionary, for example ``"Walmsley2020"`` for ``label:Walmsley2020``.
    config : DataConfig, optional
        Must have the defaults of the fields on which windows depend.
    reader, on_error, overwrite, on_progress
        As `patchtst_har.datasets.prepare.prepare_recordings` takes them, which also says how an interrupted
        preparation goes on.

    Returns
    -------
    PreparedDataset
        In ``preparation``, ``schema`` is the schema, and the participants' entries have ``age`` and ``sex``.

    Raises
    ------
    DataError
        If a file is missing or damaged, the dictionary lacks the schema or an annotation, or `METADATA` lacks
        a participant; and as `prepare_recordings`.
    ConfigError
        If `config` asks for other windows.
    OSError
        If the data set cannot be written.
    """
    check_on_error(on_error)
    config = config or DataConfig()
    _check_windows(config)
    paths = find_participants(folder)
    label_map = read_dictionary(folder, schema)
    people = read_metadata(folder)
    if missing := [name for name in paths if name not in people]:
        raise DataError(f"{Path(folder) / METADATA}: no row of {listed(missing)}")
    recipe = Recipe(
        config, label_map, reader, cut_file_windows, {"schema": schema.removeprefix(_PREFIX)}, people
    )
    return prepare_by(recipe, paths, out_dir, on_error=on_error, overwrite=overwrite, on_progress=on_progress)


def schemas(folder: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return the schemas that the dictionary of a folder has.

    Raises
    ------
    DataError
        If it is missing, no table, or has none.
    """
    path = Path(folder) / DICTIONARY
    rows = read_table(path, ("annotation",))
    if not rows:
        raise DataError(f"{path}: has a header but no annotations")
    names = tuple(name.removeprefix(_PREFIX) for name in rows[0] if name.startswith(_PREFIX))
    if not names:
        raise DataError(f"{path}: no column '{_PREFIX}...' (found: {listed(map(repr, rows[0]))})")
    return names


def read_dictionary(folder: str | os.PathLike[str], schema: str) -> LabelMap:
    """Return the classes of all annotations in a schema.

    Raises
    ------
    DataError
        If the dictionary is missing or damaged, or lacks the schema; the message lists those it has.
    """
    known, name = schemas(folder), schema.removeprefix(_PREFIX)
    path = Path(folder) / DICTIONARY
    if name not in known:
        raise DataError(f"{path}: no schema {name!r} (it has {', '.join(known)})")
    label_map = LabelMap.from_csv(path, _PREFIX + name)
    if not label_map.classes:
        raise DataError(f"{path}: no annotation has a class in column {_PREFIX + name!r}")
    return label_map


def read_metadata(folder: str | os.PathLike[str]) -> dict[str, dict[str, str]]:
    """Return the age band and sex of each participant.

    Raises
    ------
    DataError
        If the file is missing or damaged, or contradicts itself.
    """
    path = Path(folder) / METADATA
    people: dict[str, dict[str, str]] = {}
    for row in read_table(path, ("pid", "age", "sex")):
        person = {name: row[name].strip() for name in ("age", "sex")}
        if people.setdefault(row["pid"].strip(), person) != person:
            raise DataError(f"{path}: two rows of {row['pid'].strip()!r} contradict each other")
    return people


def find_participants(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """Return the recording of each participant that is in a folder, sorted.

    Raises
    ------
    DataError
        If the folder is missing, holds none, or two of one participant.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: {'is a file, not a folder' if folder.exists() else 'no such folder'}")
    found: dict[str, Path] = {}
    others = []
    for path in sorted(folder.iterdir()):
        match = _RECORDING.fullmatch(path.name)
        if match is None:
            is_known = path.name in (DICTIONARY, METADATA) or path.name.startswith(".")
            others += [] if is_known or recording_suffix(path) is None else [path.name]
        elif found.setdefault(match[1], path) != path:
            raise DataError(
                f"{folder}: {found[match[1]].name} and {path.name} are both participant {match[1]}"
            )
    if not found:
        raise DataError(f"{folder}: holds no recordings named P001.csv.gz, P002.csv.gz and so on")
    if others:
        logger.warning("%s: passed over %s, not named as recordings of CAPTURE-24", folder, listed(others))
    return found


def _check_windows(config: DataConfig) -> None:
    usual = DataConfig()
    problems = [
        f"data.{name}: the windows of CAPTURE-24 need {getattr(usual, name)}, not {getattr(config, name)}"
        for name in _FIXED
        if getattr(config, name) != getattr(usual, name)
    ]
    if problems:
        raise ConfigError([*problems, "for other windows, prepare a folder of the recordings with --labels"])
