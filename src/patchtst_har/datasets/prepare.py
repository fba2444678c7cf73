"""Turn many recordings into a prepared data set, one participant in memory at a time."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from patchtst_har.config import DataConfig
from patchtst_har.data.annotations import LabelMap
from patchtst_har.data.calibration import calibration_doubt
from patchtst_har.data.formats import not_read, recording_suffix
from patchtst_har.data.recording import read_recording
from patchtst_har.data.times import Clock
from patchtst_har.data.units import UNUSABLE
from patchtst_har.data.windows import cut_windows
from patchtst_har.datasets.prepared import WINDOW_FIELDS, PreparedDataset
from patchtst_har.datasets.prepared_writer import PreparedWriter, check_name
from patchtst_har.errors import DataError
from patchtst_har.support.folders import folder_lock
from patchtst_har.support.progress import OnProgress

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

_CLOCK_NAMES: dict[Clock | None, str] = {"utc": "UTC", "wall": "local wall-clock time"}


def prepare_recordings(
    recordings: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]],
    out_dir: str | os.PathLike[str],
    config: DataConfig | None = None,
    *,
    label_map: LabelMap | None = None,
    reader: Callable[[Path], tuple[pd.DataFrame, dict[str, Any]]] = read_recording,
    on_error: Literal["raise", "record"] = "raise",
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> PreparedDataset:
    """Read recordings, cut them into labelled windows, and write a prepared data set.

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
    if on_error not in ("raise", "record"):
        raise DataError(f"on_error={on_error!r} is not known (known: raise, record)")
    config = config or DataConfig()
    paths = find_recordings(recordings)
    twice = _named_twice(paths)
    if on_error == "raise":
        for participant, path in paths.items():
            _check_name(participant, path)
        for problem in twice.values():
            raise DataError(problem)
    with folder_lock(Path(out_dir)):
        preparation = _Preparation(PreparedWriter(out_dir, overwrite=overwrite), config, label_map, reader)
        try:
            for done, (participant, path) in enumerate(paths.items(), start=1):
                try:
                    if participant in twice:
                        raise DataError(twice[participant])
                    preparation.add(participant, path)
                except DataError as error:
                    if on_error == "raise":
                        raise
                    preparation.writer.record_failure(participant, str(error))
                if on_progress is not None:
                    on_progress(done, len(paths), participant)
            return preparation.finish()
        except BaseException:
            preparation.writer.abandon()
            raise


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


def _named_twice(paths: Mapping[str, Path]) -> dict[str, str]:
    """Return what is wrong with participants whose file is another participant's: one path, or one file."""
    owners: dict[Any, str] = {}
    problems = {}
    for participant, path in paths.items():
        try:
            status = path.stat()
        except (OSError, ValueError):
            continue  # Reading it says what is wrong.
        other = owners.setdefault((status.st_dev, status.st_ino), participant)
        if other != participant:
            problems[participant] = f"{path}: is the recording of participant {other!r}, too ({paths[other]})"
    return problems


def _check_name(participant: str, path: Path) -> None:
    try:
        check_name(participant)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


@dataclass
class _Preparation:
    """A prepared data set that is being written."""

    writer: PreparedWriter
    config: DataConfig
    label_map: LabelMap | None
    reader: Callable[[Path], tuple[pd.DataFrame, dict[str, Any]]]
    clock: Clock | None = None
    reports: dict[str, Any] = field(default_factory=dict)

    def add(self, participant: str, path: Path) -> None:
        """Write one participant's windows and keep what is worth knowing about the recording."""
        _check_name(participant, path)
        try:
            recording, info = self.reader(path)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
        if self.label_map is not None:
            recording = self.label_map.apply(recording, str(path))
        try:
            idle_ns = info.get("reading", {}).get("idle_sleep")
            cut = cut_windows(recording, self.config, idle_ns=idle_ns)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        if cut.labels is None:
            raise DataError(f"{path}: has no column 'annotation', so its windows have no labels")
        if len(cut) == 0:
            size = self.config.window_size
            raise DataError(f"{path}: gives no labelled window of {size} samples (dropped: {cut.dropped})")
        if self.clock not in (None, cut.clock):
            raise DataError(
                f"{path}: its stamps are {_CLOCK_NAMES[cut.clock]}, "
                f"those of the recordings before it are {_CLOCK_NAMES[self.clock]}"
            )
        self.writer.add(participant, cut.windows, cut.labels, cut.start_ns)
        self.clock = cut.clock
        self.reports[participant] = {
            "source": path.name,
            "n_windows": len(cut),
            "n_windows_by_class": dict(Counter(cut.labels.tolist())),
            "annotations_without_window": _without_window(recording, cut.labels),
            "dropped": cut.dropped,
            "signal": cut.info,
            "rest_magnitude_g": info.get("rest_magnitude_g"),
            "warnings": [*info.get("warnings", []), *calibration_doubt(cut.info["calibration"])],
        }

    def finish(self) -> PreparedDataset:
        """Write what is common to all participants."""
        preparation = {
            **self.config.model_dump(mode="json", include={*WINDOW_FIELDS}),
            "clock": self.clock,
            "label_map": None if self.label_map is None else Path(self.label_map.source).name,
            "participants": self.reports,
        }
        return self.writer.finish(preparation, () if self.label_map is None else self.label_map.classes)


def _without_window(recording: pd.DataFrame, labels: NDArray[np.str_]) -> list[str]:
    """Return the annotations that label no window, because their bouts are too short."""
    present = set(recording["annotation"].dropna().unique().tolist())
    return sorted(present - set(labels.tolist()))
