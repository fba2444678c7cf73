"""Turn many recordings into a prepared data set, one participant in memory at a time."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from patchtst_har.config import DataConfig
from patchtst_har.data.annotations import LabelMap
from patchtst_har.data.calibration import calibration_doubt
from patchtst_har.data.formats import not_read, recording_suffix
from patchtst_har.data.recording import read_recording
from patchtst_har.data.units import UNUSABLE
from patchtst_har.datasets.preparation import OnError, Reader, Recipe, check_on_error, prepare_by
from patchtst_har.datasets.prepared import PreparedDataset
from patchtst_har.errors import DataError
from patchtst_har.support.progress import OnProgress

logger = logging.getLogger(__name__)


def prepare_recordings(
    recordings: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]],
    out_dir: str | os.PathLike[str],
    config: DataConfig | None = None,
    *,
    label_map: LabelMap | None = None,
    reader: Reader = read_recording,
    on_error: OnError = "raise",
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> PreparedDataset:
    """Read recordings, cut them into labelled windows, and write a prepared data set.

    A preparation that was interrupted, by whatever signal, goes on when it is called again: participants that
    it finished are not read again if their recordings and the settings are the same (and `reader` is
    `read_recording`, with arguments or without).

    Parameters
    ----------
    recordings : path-like or mapping of participant to path
        A folder stands for every recording in it, the participant being the file's name without its ending
        (``P001.csv.gz`` is P001).
    out_dir : path-like
        Folder of the prepared data set.
    config : DataConfig, optional
        Sampling rate, windows and labels.
    label_map : LabelMap, optional
        Maps annotations to classes, before windows are labelled.
    reader : callable
        Reads one file; for other units or columns, pass ``functools.partial(read_recording, units="mg")``.
    on_error : {"raise", "record"}
        Whether a recording that cannot be used stops the preparation, or is noted in the manifest with status
        ``error: reason`` and the others are prepared.
    overwrite : bool
        Replace a prepared data set that is already there.
    on_progress : callable, optional
        Called with the number done, the total, and the participant.

    Returns
    -------
    PreparedDataset
        Opened and checked.

    Raises
    ------
    DataError
        If there are no recordings, a recording is not usable (with ``on_error="raise"``), none of them is,
        another process prepares into the folder, or there is a data set already. A recording is not usable
        either if its participant cannot name a file or its file is another participant's, which is found
        before anything is written, if its windows are another participant's, or if its stamps count from
        another clock (UTC or wall clock) than those of the first. The folder then holds no manifest, so it
        is not a data set, or still the earlier data set.
    OSError
        If the data set cannot be written.
    """
    check_on_error(on_error)
    recipe = Recipe(config or DataConfig(), label_map, reader)
    paths = find_recordings(recordings)
    return prepare_by(recipe, paths, out_dir, on_error=on_error, overwrite=overwrite, on_progress=on_progress)


def count_windows(dataset: PreparedDataset) -> tuple[dict[str, int], list[str]]:
    """Return, over all participants, the windows of each class, and the annotations that label no window.

    Parameters
    ----------
    dataset : PreparedDataset
        As `prepare_recordings` returns it.
    """
    participants = (dataset.preparation or {}).get("participants", {}).values()
    counts = sum((Counter(participant["n_windows_by_class"]) for participant in participants), Counter[str]())
    lost = {name for participant in participants for name in participant["annotations_without_window"]}
    return {name: counts[name] for name in dataset.classes}, sorted(lost - set(counts))


def count_unusable(dataset: PreparedDataset) -> dict[str, int]:
    """Return, over all participants, the samples left out, by `patchtst_har.data.units.UNUSABLE`."""
    participants = (dataset.preparation or {}).get("participants", {}).values()
    return {name: sum(entry["signal"].get(name) or 0 for entry in participants) for name in UNUSABLE}


def count_dropped(dataset: PreparedDataset) -> dict[str, int]:
    """Return, over all participants, the windows that were left out, by reason."""
    participants = (dataset.preparation or {}).get("participants", {}).values()
    return dict(sum((Counter(entry["dropped"]) for entry in participants), Counter[str]()))


def count_without_class(dataset: PreparedDataset) -> tuple[dict[str, int], int]:
    """Return the samples of each annotation whose class is empty, and how many participants have some."""
    participants = (dataset.preparation or {}).get("participants", {}).values()
    counts = [Counter[str](entry.get("samples_without_class") or {}) for entry in participants]
    return dict(sorted(sum(counts, Counter[str]()).items())), sum(map(bool, counts))


def not_calibrated(dataset: PreparedDataset) -> dict[str, str]:
    """Return why participants' recordings could not be calibrated, those of whom it was asked for."""
    participants = (dataset.preparation or {}).get("participants", {})
    doubts = {
        name: calibration_doubt(entry["signal"].get("calibration", {}))
        for name, entry in participants.items()
    }
    return {name: texts[0] for name, texts in doubts.items() if texts}


def find_recordings(
    recordings: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]],
) -> dict[str, Path]:
    """Return the file of each participant, sorted by participant.

    Raises
    ------
    DataError
        If the folder is missing or holds no recording, or two files are the same participant's.
    """
    if isinstance(recordings, Mapping):
        if not recordings:
            raise DataError("recordings: there are none")
        return {name: Path(recordings[name]) for name in sorted(recordings)}
    folder = Path(recordings)
    if folder.is_file():
        raise DataError(f"{folder}: is a file; name the folder of recordings")
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of recordings")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        suffix = recording_suffix(path)
        # A broken link counts too: reading it says what is wrong, skipping it would lose a participant.
        if suffix is None or path.name.startswith(".") or _is_folder(path):
            continue
        participant = path.name[: -len(suffix)]
        if participant in found:
            raise DataError(
                f"{folder}: {found[participant].name} and {path.name} are both participant {participant!r}"
            )
        found[participant] = path
    rest = not_read(path for path in folder.iterdir() if not _is_folder(path))
    if not found:
        raise DataError(f"{folder}: holds no recordings" + (f", but {rest}" if rest else ""))
    if rest:
        logger.warning("%s: passed over %s", folder, rest)
    return found


def _is_folder(path: Path) -> bool:
    """Whether a path is a folder; no if that cannot be known: reading it then says what is wrong."""
    try:
        return path.is_dir()
    except OSError:
        return False
