"""One module per file format, and `FORMATS`: which function reads which file.

A reader takes the path, the name of the time column and the unit of numeric stamps, and returns a DataFrame
with a DatetimeIndex (of a zone, or naive for a local wall clock) and columns `x`, `y`, `z` in the file's own
unit, optionally `annotation`, `temperature`, `light` (`patchtst_har.data.frames.make_frame` makes one). It
raises `DataError` for a file that it cannot read. Units and order of time are checked by `read_recording`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from patchtst_har.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from patchtst_har.data.stamps import TimeUnit

logger = logging.getLogger(__name__)

Reader: TypeAlias = "Callable[[Path, str, TimeUnit | None], pd.DataFrame]"

FORMATS = {
    ".csv": "patchtst_har.data.formats.csv:read_csv",
    ".csv.gz": "patchtst_har.data.formats.csv:read_csv",
    ".parquet": "patchtst_har.data.formats.parquet:read_parquet",
    ".npz": "patchtst_har.data.formats.npz:read_npz_recording",
}
"""The reader of each suffix that comes with this package, as ``module:function``."""

ENTRY_POINT_GROUP = "patchtst_har.formats"
"""Other packages add a format by an entry point: its name is the suffix without the first dot, its value a
reader. A suffix of `FORMATS` cannot be taken."""


def known_suffixes() -> tuple[str, ...]:
    """Return the suffixes of all formats: those of this package, then those of other packages, sorted."""
    added = {suffix for point in _entry_points() if (suffix := _suffix(point)) not in FORMATS}
    return (*FORMATS, *sorted(added))


def recording_suffix(path: str | os.PathLike[str]) -> str | None:
    """Return the known suffix with which a file name ends, in any case; the longest one, or None."""
    name = Path(path).name.lower()
    return max((suffix for suffix in known_suffixes() if name.endswith(suffix)), key=len, default=None)


def read_file(path: Path, time_column: str, time_unit: TimeUnit | None) -> pd.DataFrame:
    """Read a file by its suffix, in the file's own unit.

    Raises
    ------
    DataError
        If no format has this suffix, two packages claim it, the package's reader cannot be loaded or fails,
        or the file cannot be read.
    """
    suffix = recording_suffix(path)
    if suffix is None:
        raise DataError(f"{path}: unknown kind of file (known: {', '.join(known_suffixes())})")
    points = [point for point in _entry_points() if _suffix(point) == suffix]
    if suffix in FORMATS:
        for point in points:
            logger.warning("%s is ignored: files %s are read by patchtst-har itself", _name(point), suffix)
        reader: Reader = EntryPoint(suffix, FORMATS[suffix], ENTRY_POINT_GROUP).load()
        return reader(path, time_column, time_unit)
    if len(points) > 1:
        raise DataError(f"{path}: {suffix} is read by {' and by '.join(map(_name, points))}: uninstall one")
    return _read_with(points[0], path, time_column, time_unit)


def _read_with(point: EntryPoint, path: Path, time_column: str, time_unit: TimeUnit | None) -> pd.DataFrame:
    from pandas import DataFrame

    from patchtst_har.data.frames import normalised

    try:
        frame = point.load()(path, time_column, time_unit)
        if isinstance(frame, DataFrame):
            return normalised(frame, str(path))
    except DataError:
        raise
    # Whatever the code of another package raises, its name must be in the message; a script would exit.
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise DataError(f"{path}: {_name(point)} failed ({reason})") from error
    raise DataError(f"{path}: {_name(point)} returned {type(frame).__name__}, a DataFrame is needed")


@cache
def _entry_points() -> list[EntryPoint]:
    # The same distribution can be found twice on the path (an editable install and its metadata).
    points = entry_points(group=ENTRY_POINT_GROUP)
    return list({(point.name, point.value): point for point in points}.values())


def _suffix(point: EntryPoint) -> str:
    return f".{point.name.lower()}"


def _name(point: EntryPoint) -> str:
    package = "an unnamed package" if point.dist is None else f"package {point.dist.name}"
    return f"the reader {point.value!r} of {package}"
