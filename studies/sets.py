"""The data sets of the studies: which people, which classes, and how windows are cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from patchtst_har.config import DataConfig
from patchtst_har.data.annotations import LabelMap
from patchtst_har.datasets.demo_recordings import write_watch_recordings
from patchtst_har.datasets.prepare import find_recordings, prepare_recordings
from patchtst_har.datasets.prepared import PreparedDataset
from patchtst_har.errors import DataError
from patchtst_har.support.files import ensure_folder
from patchtst_har.support.progress import OnProgress

FOLDERS = {"selfback": "selfback_wrist", "wisdm": "wisdm_watch"}
"""Folder of each source of recordings, within the data folder; a participant is named SOURCE-FILE."""

FOREARM_AXES = {"selfback": "y", "wisdm": "x"}
"""The sensor's axis along the forearm: gravity lies there while people walk with hanging arms."""

ACTIVITIES = {
    "selfback": (
        *("lying", "sitting", "standing", "walk_slow", "walk_mod", "walk_fast"),
        *("upstairs", "downstairs", "jogging"),
    ),
    "wisdm": ("walking", "jogging", "stairs", "sitting", "standing", "kicking"),
}
"""What the people of each source did, as it is annotated."""

SIX_CLASSES = {
    **{name: name for name in ("lying", "sitting", "standing")},
    **dict.fromkeys(("walk_slow", "walk_mod", "walk_fast", "walking"), "walking"),
    **dict.fromkeys(("upstairs", "downstairs", "stairs"), "stairs"),
    "jogging": "running",
    "kicking": "",
}
"""The six classes that selfBACK and WISDM share; kicking a ball is left out."""

N_FOLDS = 5


@dataclass(frozen=True)
class StudySet:
    """How a prepared data set is made.

    Attributes
    ----------
    sources : tuple of str
        Keys of `FOLDERS`; none: the watch recordings that seglearn ships.
    classes_by_annotation : mapping of str to str, optional
        Classes of the annotations; None: each annotation is a class.
    leave_one_out : bool
        Whether cross-validation holds out one person at a time, not `N_FOLDS` groups of people.
    """

    sources: tuple[str, ...]
    classes_by_annotation: Mapping[str, str] | None = None
    leave_one_out: bool = False


SETS = {
    "nine": StudySet(("selfback",)),
    "six": StudySet(("selfback", "wisdm"), SIX_CLASSES),
    "seglearn": StudySet((), leave_one_out=True),
}


def source_of(participant: str) -> str:
    """Return where a participant's recording comes from: what stands before the dash, else the whole set."""
    source, dash, _ = participant.partition("-")
    return source if dash else ""


def ordered(name: str, classes: Sequence[str]) -> tuple[str, ...]:
    """Return classes of a set in the order in which `ACTIVITIES` names them: from lying to running."""
    mapped = SETS[name].classes_by_annotation or {}
    known = [mapped.get(activity, activity) for activity in ACTIVITIES[SETS[name].sources[0]]]
    return tuple(sorted(classes, key=known.index))


def data_config(folder: Path) -> DataConfig:
    """Return windows of 10 s at 100 Hz without overlap, so that training can join them again."""
    return DataConfig(proc_dir=folder, sample_rate_hz=100.0, window_size=1000, hop_size=1000)


def prepare_set(
    name: str, data: Path, out: Path, *, overwrite: bool = False, on_progress: OnProgress | None = None
) -> PreparedDataset:
    """Read the recordings of a set and write it, prepared, to ``out / name``.

    Parameters
    ----------
    name : str
        A key of `SETS`.
    data : pathlib.Path
        Folder with the folders of `FOLDERS`; not read for a set without sources.
    out : pathlib.Path
        Folder of all prepared sets.
    overwrite : bool
        Replace a set that is already there.
    on_progress : callable, optional
        Called with the number of recordings done, the total, and the participant.

    Raises
    ------
    DataError
        If a folder is missing, or a recording cannot be used.
    MissingDependencyError
        If seglearn is needed and not installed.
    """
    chosen = SETS[name]
    folder = out / name
    recordings = (
        _recordings(chosen.sources, data) if chosen.sources else _watch_recordings(out / f"{name}-csv")
    )
    classes = chosen.classes_by_annotation
    return prepare_recordings(
        recordings,
        folder,
        data_config(folder),
        label_map=None if classes is None else LabelMap(classes, f"the classes of {name!r}"),
        overwrite=overwrite,
        on_progress=on_progress,
    )


def open_set(name: str, prepared: Path) -> PreparedDataset:
    """Open a set that `prepare_set` wrote.

    Raises
    ------
    DataError
        If there is no such set, or it is damaged.
    """
    if not (prepared / name).is_dir():
        raise DataError(f"{prepared / name}: no such folder; make it with python -m studies.prepare")
    return PreparedDataset.open(prepared / name)


def _recordings(sources: Sequence[str], data: Path) -> dict[str, Path]:
    return {
        f"{source}-{name}": path
        for source in sources
        for name, path in find_recordings(data / FOLDERS[source]).items()
    }


def _watch_recordings(folder: Path) -> dict[str, Path]:
    write_watch_recordings(ensure_folder(folder))
    return find_recordings(folder)
