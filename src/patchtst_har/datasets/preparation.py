"""Prepare recordings by a recipe, one at a time; an interruption loses none that is done."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from patchtst_har import __version__
from patchtst_har.config import DataConfig
from patchtst_har.data.annotations import LabelMap
from patchtst_har.data.calibration import calibration_doubt
from patchtst_har.data.recording import read_recording
from patchtst_har.data.times import Clock
from patchtst_har.data.windows import Windows, cut_windows
from patchtst_har.datasets.prepared import WINDOW_FIELDS, PreparedDataset
from patchtst_har.datasets.prepared_writer import PreparedWriter, check_name
from patchtst_har.datasets.unfinished import key_of
from patchtst_har.errors import DataError
from patchtst_har.support.folders import folder_lock
from patchtst_har.support.progress import OnProgress
from patchtst_har.support.termination import Terminated

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

OnError: TypeAlias = Literal["raise", "record"]
Reader: TypeAlias = "Callable[[Path], tuple[pd.DataFrame, dict[str, Any]]]"
"""Returns a file's recording and facts, as `read_recording` does."""

_CLOCK_NAMES: dict[Clock | None, str] = {"utc": "UTC", "wall": "local wall-clock time"}


@dataclass(frozen=True)
class Recipe:
    """How recordings become a prepared data set.

    Attributes
    ----------
    config, label_map, reader
        As `prepare_recordings` takes them.
    cut : callable
        Makes windows of a recording, as `patchtst_har.data.windows.cut_windows` does.
    about : mapping
        Facts of the data set, for ``preparation.json``.
    people : mapping of str to mapping
        Facts of participants, added to their entries there.
    """

    config: DataConfig
    label_map: LabelMap | None = None
    reader: Reader = read_recording
    cut: Callable[..., Windows] = cut_windows
    about: Mapping[str, Any] = field(default_factory=dict)
    people: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def settings(self) -> list[Any] | None:
        """Return all that decides on a recording's windows, as JSON values; None if that is not known.

        A reader is known if it is `read_recording`, with arguments or not: of others, only the name is.
        """
        given: Mapping[str, Any] = {}
        reader: Any = self.reader
        if isinstance(reader, partial) and not reader.args:
            reader, given = reader.func, reader.keywords
        if reader is not read_recording:
            return None
        return [
            __version__,
            self.config.model_dump(mode="json", include={*WINDOW_FIELDS}),
            None if self.label_map is None else sorted(self.label_map.classes_by_annotation.items()),
            [self.cut.__module__, self.cut.__qualname__],
            # An option with its default says nothing, but what has no JSON form is compared by its text.
            sorted((name, repr(value)) for name, value in given.items() if value is not None),
        ]


def check_on_error(on_error: str) -> None:
    """Refuse what is neither ``raise`` nor ``record``."""
    if on_error not in get_args(OnError):
        raise DataError(f"on_error={on_error!r} is not known (known: {', '.join(get_args(OnError))})")


def prepare_by(
    recipe: Recipe,
    paths: Mapping[str, Path],
    out_dir: str | os.PathLike[str],
    *,
    on_error: OnError = "raise",
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> PreparedDataset:
    """Prepare the recordings of participants, by name; the rest as `prepare_recordings`.

    Raises
    ------
    DataError, OSError
        See `prepare_recordings`.
    """
    check_on_error(on_error)
    twice = _named_twice(paths)
    if on_error == "raise":
        for participant, path in paths.items():
            _check_name(participant, path)
        for problem in twice.values():
            raise DataError(problem)
    with folder_lock(Path(out_dir)):
        preparation = _Preparation(PreparedWriter(out_dir, overwrite=overwrite), recipe)
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
        except BaseException as error:
            preparation.writer.abandon(interrupted=isinstance(error, KeyboardInterrupt | Terminated))
            raise


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
    recipe: Recipe
    clock: Clock | None = None
    reports: dict[str, Any] = field(default_factory=dict)

    def add(self, participant: str, path: Path) -> None:
        """Write one participant's windows, unless they are there, and keep what is to be known of them."""
        _check_name(participant, path)
        settings = self.recipe.settings()
        try:
            key = None if settings is None or not path.is_file() else key_of(settings, path)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
        note = None if key is None else self.writer.unfinished.find(participant, key)
        if note is None:
            facts = self._write(participant, path, key)
        else:
            logger.info("%s: was prepared before the interruption", path)
            facts = note["facts"]
            self._check_clock(facts["clock"], path)
            self.writer.take_over(participant, note)
        self.clock = facts["clock"]
        self.reports[participant] = {**facts["report"], **self.recipe.people.get(participant, {})}

    def _write(self, participant: str, path: Path, key: str | None) -> dict[str, Any]:
        """Read, cut and write one participant's recording; return its clock and what else is to be known."""
        recording, report = self._read(path)
        try:
            cut = self.recipe.cut(recording, self.recipe.config, idle_ns=report.pop("idle_sleep"))
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        if cut.labels is None:
            raise DataError(f"{path}: has no column 'annotation', so its windows have no labels")
        if len(cut) == 0:
            size = self.recipe.config.window_size
            raise DataError(f"{path}: gives no labelled window of {size} samples (dropped: {cut.dropped})")
        self._check_clock(cut.clock, path)
        report = {
            "source": path.name,
            "n_windows": len(cut),
            "n_windows_by_class": dict(Counter(cut.labels.tolist())),
            "annotations_without_window": _without_window(recording, cut.labels),
            "dropped": cut.dropped,
            "signal": cut.info,
            **report,
        }
        report["warnings"] += calibration_doubt(cut.info["calibration"])
        facts = {"clock": cut.clock, "report": report}
        self.writer.add(participant, cut.windows, cut.labels, cut.start_ns)
        if key is not None:
            self.writer.keep(participant, key, facts)
        return facts

    def _read(self, path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
        """Return a recording whose annotations are classes, and what is known of it before it is cut."""
        try:
            recording, info = self.recipe.reader(path)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
        label_map, without_class = self.recipe.label_map, {}
        if label_map is not None:
            annotated, recording = recording, label_map.apply(recording, str(path))
            without_class = label_map.without_class(annotated)
        return recording, {
            "idle_sleep": info.get("reading", {}).get("idle_sleep"),
            "samples_without_class": without_class,
            "rest_magnitude_g": info.get("rest_magnitude_g"),
            "warnings": [*info.get("warnings", [])],
        }

    def _check_clock(self, clock: Clock | None, path: Path) -> None:
        if self.clock not in (None, clock):
            raise DataError(
                f"{path}: its stamps are {_CLOCK_NAMES[clock]}, "
                f"those of the recordings before it are {_CLOCK_NAMES[self.clock]}"
            )

    def finish(self) -> PreparedDataset:
        """Write what is common to all participants."""
        recipe = self.recipe
        preparation = {
            **recipe.config.model_dump(mode="json", include={*WINDOW_FIELDS}),
            **recipe.about,
            "clock": self.clock,
            "label_map": None if recipe.label_map is None else Path(recipe.label_map.source).name,
            "participants": self.reports,
        }
        return self.writer.finish(preparation, () if recipe.label_map is None else recipe.label_map.classes)


def _without_window(recording: pd.DataFrame, labels: NDArray[np.str_]) -> list[str]:
    """Return the annotations that label no window, because their bouts are too short."""
    present = set(recording["annotation"].dropna().unique().tolist())
    return sorted(present - set(labels.tolist()))
