"""Turn many recordings into a prepared data set, one person in memory at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from patchtst_har.config import DataConfig
from patchtst_har.data.label_map import LabelMap
from patchtst_har.data.prepared import PreparedDataset
from patchtst_har.data.prepared_writer import PreparedWriter
from patchtst_har.data.progress import OnProgress
from patchtst_har.data.recording import read_recording, recording_suffix
from patchtst_har.data.windows import cut_windows
from patchtst_har.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


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
        Whether a recording that cannot be used ends the whole, or is noted in the manifest with status
        ``error: reason`` while the others go on.
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
        or there is a data set already. The folder then holds no manifest, so it is no data set.
    """
    if on_error not in ("raise", "record"):
        raise DataError(f"on_error={on_error!r} is not known (known: raise, record)")
    config = config or DataConfig()
    paths = find_recordings(recordings)
    writer = PreparedWriter(out_dir, overwrite=overwrite)
    reports: dict[str, Any] = {}
    for done, (participant, path) in enumerate(paths.items(), start=1):
        try:
            reports[participant] = _prepare_one(writer, participant, path, config, label_map, reader)
        except DataError as error:
            if on_error == "raise":
                raise
            writer.record_failure(participant, str(error))
        if on_progress is not None:
            on_progress(done, len(paths), participant)
    fields = {
        "sample_rate_hz",
        "window_size",
        "hop_size",
        "label_policy",
        "min_labelled_fraction",
        "max_gap_s",
    }
    preparation = {
        **config.model_dump(mode="json", include=fields),
        "label_map": None if label_map is None else Path(label_map.source).name,
        "participants": reports,
    }
    return writer.finish(preparation, label_map.classes if label_map is not None else ())


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
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of recordings")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        suffix = recording_suffix(path)
        if suffix is None or path.name.startswith(".") or not path.is_file():
            continue
        participant = path.name[: -len(suffix)]
        if participant in found:
            raise DataError(
                f"{folder}: {found[participant].name} and {path.name} are both participant {participant!r}"
            )
        found[participant] = path
    if not found:
        raise DataError(f"{folder}: holds no recordings")
    return found


def _prepare_one(
    writer: PreparedWriter,
    participant: str,
    path: Path,
    config: DataConfig,
    label_map: LabelMap | None,
    reader: Callable[[Path], tuple[pd.DataFrame, dict[str, Any]]],
) -> dict[str, Any]:
    """Write one participant's windows; return what is worth knowing about the recording."""
    recording, info = reader(path)
    if label_map is not None:
        recording = label_map.apply(recording, str(path))
    cut = cut_windows(recording, config)
    if cut.labels is None:
        raise DataError(f"{path}: has no column 'annotation', so its windows have no labels")
    if len(cut) == 0:
        raise DataError(
            f"{path}: gives no labelled window of {config.window_size} samples (dropped: {cut.dropped})"
        )
    writer.add(participant, cut.windows, cut.labels, cut.start_ns)
    return {
        "source": path.name,
        "n_windows": len(cut),
        "dropped": cut.dropped,
        "signal": cut.info,
        "rest_magnitude_g": info.get("rest_magnitude_g"),
        "warnings": info.get("warnings", []),
    }
