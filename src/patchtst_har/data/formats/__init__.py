"""One module per file format, and `FORMATS`: which function reads which file.

A reader takes the path, the unit of numeric stamps and the `ReadOptions`, and returns a DataFrame with a
DatetimeIndex (of a zone, or naive for a local wall clock) and columns `x`, `y`, `z` in the file's own unit,
optionally `annotation`, `temperature`, `light` (`patchtst_har.data.frames.make_frame` makes one), and what it
`Found`. The reader of another package takes the path, the name of the time column and the unit, and returns
the DataFrame. Both raise `DataError` for a file that they cannot read. Units and order of time are checked by
`read_recording`. May import what `data` may, and of `data` only what knows no format.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from patchtst_har.errors import DataError
from patchtst_har.support.formatting import listed

if TYPE_CHECKING:
    import pandas as pd

    from patchtst_har.data.options import Found, ReadOptions
    from patchtst_har.data.stamps import TimeUnit

logger = logging.getLogger(__name__)

_CONVERT = "to CSV or Parquet first"
_OF_BUILT_IN = ("delimiter", "decimal", "skip_rows", "time_format", "start", "rate_hz")

Reader: TypeAlias = "Callable[[Path, TimeUnit | None, ReadOptions], tuple[pd.DataFrame, Found]]"

FORMATS = {
    ".csv": "patchtst_har.data.formats.csv:read_csv",
    ".csv.gz": "patchtst_har.data.formats.csv:read_csv",
    ".parquet": "patchtst_har.data.formats.parquet:read_parquet",
    ".npz": "patchtst_har.data.formats.npz:read_npz_recording",
    ".cwa": "patchtst_har.data.formats.axivity:read_cwa",
    ".cwa.gz": "patchtst_har.data.formats.axivity:read_cwa",
    ".bin": "patchtst_har.data.formats.geneactiv:read_geneactiv",
    ".bin.gz": "patchtst_har.data.formats.geneactiv:read_geneactiv",
    ".gt3x": "patchtst_har.data.formats.actigraph:read_gt3x",
    ".gt3x.gz": "patchtst_har.data.formats.actigraph:read_gt3x",
}
"""The reader of each suffix that comes with this package, as ``module:function``."""

DEVICE_SUFFIXES = (".omx", ".agd", ".awd", ".mtn")
"""Files as devices write them: not read, but named where they are found."""

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


def read_file(path: Path, time_unit: TimeUnit | None, options: ReadOptions) -> tuple[pd.DataFrame, Found]:
    """Read a file by its suffix, in the file's own unit, and return what was found besides.

    Raises
    ------
    DataError
        If no format has this suffix, two packages claim it, the package's reader cannot be loaded or fails,
        the file cannot be read, or memory does not suffice.
    """
    suffix = recording_suffix(path)
    if suffix is None:
        way_out = f"; convert it {_CONVERT}" if path.suffix.lower() in DEVICE_SUFFIXES else ""
        raise DataError(f"{path}: unknown kind of file (known: {', '.join(known_suffixes())}){way_out}")
    points = [point for point in _entry_points() if _suffix(point) == suffix]
    if suffix in FORMATS:
        for point in points:
            logger.warning("%s is ignored: files %s are read by patchtst-har itself", _name(point), suffix)
        reader: Reader = EntryPoint(suffix, FORMATS[suffix], ENTRY_POINT_GROUP).load()
        return reader(path, time_unit, options)
    if len(points) > 1:
        raise DataError(
            f"{path}: {suffix} is read by {' and by '.join(sorted(map(_name, points)))}: uninstall one"
        )
    return _read_with(points[0], path, time_unit, options)


def not_read(paths: Iterable[Path]) -> str:
    """Return in words what kinds of files, of those that are not recordings, there are; "" for none.

    Parameters
    ----------
    paths : iterable of pathlib.Path
        Files; those that begin with a dot do not count.
    """
    kinds = Counter(
        path.suffix.lower()
        for path in paths
        if recording_suffix(path) is None and not path.name.startswith(".")
    )
    if not kinds:
        return ""
    devices = {kind: count for kind, count in kinds.items() if kind in DEVICE_SUFFIXES}
    text = listed(
        f"{count} {kind or 'other'} file{'s' * (count > 1)}" for kind, count in sorted(kinds.items())
    )
    verb, them = ("is", "it") if sum(kinds.values()) == 1 else ("are", "them")
    return f"{text}, which {verb} not read" + (f" yet; convert {them} {_CONVERT}" if devices else "")


def _read_with(
    point: EntryPoint, path: Path, time_unit: TimeUnit | None, options: ReadOptions
) -> tuple[pd.DataFrame, Found]:
    from pandas import DataFrame

    from patchtst_har.data.frames import normalised
    from patchtst_har.data.options import Found

    options.refuse(path, *_OF_BUILT_IN, kind=f"files that {_name(point)} reads")
    if set(options.columns) - {"time"}:
        raise DataError(f"{path}: columns other than time do not apply to files that {_name(point)} reads")
    try:
        frame = point.load()(path, options.columns.get("time", "time"), time_unit)
        if isinstance(frame, DataFrame):
            return normalised(frame, str(path)), Found()
    except (DataError, MemoryError):
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
