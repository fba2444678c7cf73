"""Recordings in CSV text, plain or gzipped, in bounded memory.

The file is parsed in chunks by pandas' C engine. Only when a chunk fails is it looked at again to say which
line and column is at fault.
"""

from __future__ import annotations

import csv
import gzip
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from patchtst_har.data.columns import ColumnNames, match_columns, to_float32
from patchtst_har.data.frames import join_frames, make_frame, to_categorical
from patchtst_har.data.stamps import TimeUnit, index_ns, numbers_ns
from patchtst_har.errors import DataError

_CHUNK_ROWS = 2**16


def read_csv(path: Path, time_column: str, time_unit: TimeUnit | None) -> pd.DataFrame:
    """Read a CSV recording (see `patchtst_har.data.formats`)."""
    with _errors_named(path):
        header = _header(path)
        columns = match_columns(header, time_column, str(path))
        try:
            recording = join_frames(_parts(path, header, columns, time_unit))
        except DataError:
            raise
        except ValueError as error:
            _refuse_text(path, header, columns)
            raise DataError(f"{path}: {error}") from error
    if recording is None:
        raise DataError(f"{path}: has a header but no samples")
    return recording


def _parts(
    path: Path, header: list[str], columns: ColumnNames, time_unit: TimeUnit | None
) -> Iterator[pd.DataFrame]:
    row, zones = 0, set()
    for chunk in _chunks(path, header, columns, numbers=True):
        part = _convert(chunk, columns, time_unit, path, row)
        zones.add(cast(pd.DatetimeIndex, part.index).tz)
        if len(zones) > 1:
            raise DataError(f"{path}: only some of the stamps in column {columns.time!r} carry a zone")
        yield part
        row += len(chunk)


def _convert(
    chunk: pd.DataFrame, columns: ColumnNames, time_unit: TimeUnit | None, path: Path, first_row: int
) -> pd.DataFrame:
    time_ns, is_utc = _stamps(chunk[columns.time], time_unit, path, first_row)
    return make_frame(
        time_ns,
        is_utc=is_utc,
        acceleration=np.stack([to_float32(chunk[axis]) for axis in columns.axes], axis=1),
        annotation=_categorical(chunk[columns.annotation]) if columns.annotation else None,
        extras={name: to_float32(chunk[column]) for name, column in columns.extras.items()},
    )


def _categorical(column: pd.Series[Any]) -> pd.Categorical:
    values = cast(pd.Categorical, column.array)
    names = to_categorical(np.asarray(values.categories, dtype=object))
    lookup = np.append(np.asarray(names.codes), -1)
    return pd.Categorical.from_codes(lookup[np.asarray(values.codes)], categories=names.categories)


def _header(path: Path) -> list[str]:
    """Return the column names; refuse a table whose rows are longer than its header."""
    with _open_text(path) as file:
        reader = csv.reader(file)
        names = next(reader, [])
        first = next((record for record in reader if record), [])
    if not names:
        raise DataError(f"{path}: the file is empty")
    if len(names) == 1 and (found := [mark for mark in ";\t" if mark in names[0]]):
        raise DataError(f"{path}: columns must be separated by commas, not by {found[0]!r}")
    # pandas refuses a row longer than those before, but would cut them all if the first is too long already.
    if len(first) > len(names):
        raise DataError(f"{path}: the header names {len(names)} columns, the first row has {len(first)}")
    return names


def _chunks(path: Path, header: list[str], columns: ColumnNames, *, numbers: bool) -> Iterator[pd.DataFrame]:
    dtypes: dict[str, Any] = dict.fromkeys(header, str)
    for name in [*columns.axes, *columns.extras.values()]:
        dtypes[name] = np.float64 if numbers else str
    if columns.annotation:
        dtypes[columns.annotation] = "category"
    with _open_text(path) as file:
        reader = pd.read_csv(file, dtype=dtypes, chunksize=_CHUNK_ROWS, index_col=False, engine="c")
        with reader:
            yield from (chunk for chunk in reader if len(chunk))


def _stamps(
    column: pd.Series[Any], time_unit: TimeUnit | None, path: Path, first_row: int
) -> tuple[NDArray[np.int64], bool]:
    missing = np.flatnonzero(column.isna())
    if missing.size:
        raise DataError(f"{path}: line {_line(path, first_row + missing[0])} has no time stamp")
    if time_unit is not None:
        numbers = pd.to_numeric(column, errors="coerce")
        _refuse_unparsed(column, numbers, "a number", path, first_row)
        return numbers_ns(np.asarray(numbers), time_unit, str(path)), False
    if _is_number(str(column.iloc[0])):
        raise DataError(
            f"{path}: column {column.name!r} holds numbers ({column.iloc[0]}); "
            "name their unit with time_unit='s', 'ms', 'us' or 'ns' (--time-unit)"
        )
    parsed = _parse_iso(column)
    mixed = parsed is None
    if parsed is None:
        parsed = pd.to_datetime(column, format="ISO8601", utc=True, errors="coerce")
    _refuse_unparsed(column, parsed, "an ISO 8601 time stamp", path, first_row)
    if mixed and _any_naive(column):
        raise DataError(f"{path}: only some of the stamps in column {column.name!r} carry a zone")
    index = pd.DatetimeIndex(parsed)
    return index_ns(index, str(path)), index.tz is not None


def _parse_iso(column: pd.Series[Any]) -> pd.Series[Any] | None:
    """Return the stamps, zoned if they carry an offset; None if offsets differ or only some carry one."""
    with warnings.catch_warnings():
        # pandas 2 warns of the mixtures that pandas 3 refuses.
        warnings.simplefilter("error", FutureWarning)
        try:
            return pd.to_datetime(column, format="ISO8601", errors="coerce")
        except (ValueError, FutureWarning):
            return None


def _any_naive(column: pd.Series[Any]) -> bool:
    """Whether a stamp has no zone, by parsing one stamp of each form."""
    forms = column.str.replace(r"\d", "0", regex=True)
    examples = column[~forms.duplicated()]
    return any(pd.to_datetime(text, format="ISO8601").tzinfo is None for text in examples)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _refuse_unparsed(
    column: pd.Series[Any], parsed: pd.Series[Any], wanted: str, path: Path, first_row: int
) -> None:
    """Refuse the first value that could not be parsed, by line and column."""
    failed = np.flatnonzero(parsed.isna() & column.notna())
    if failed.size:
        line = _line(path, first_row + int(failed[0]))
        raise DataError(
            f"{path}: line {line}, column {column.name!r}: {column.iloc[failed[0]]!r} is not {wanted}"
        )


def _refuse_text(path: Path, header: list[str], columns: ColumnNames) -> None:
    """Find the first value that is not a number in a file that could not be parsed, and refuse it."""
    row = 0
    for chunk in _chunks(path, header, columns, numbers=False):
        for name in [*columns.axes, *columns.extras.values()]:
            _refuse_unparsed(chunk[name], pd.to_numeric(chunk[name], errors="coerce"), "a number", path, row)
        row += len(chunk)


def _line(path: Path, row: int) -> int:
    """Return the line of the file (from 1) on which data row `row` (from 0) ends."""
    with _open_text(path) as file:
        reader = csv.reader(file)
        n_records = 0
        for record in reader:
            n_records += bool(record)
            if n_records == row + 2:
                break
        return reader.line_num


def _open_text(path: Path) -> IO[str]:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


@contextmanager
def _errors_named(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error.reason})") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: truncated or damaged gzip file ({error})") from error
    except (pd.errors.ParserError, csv.Error) as error:
        reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        raise DataError(f"{path}: not a well-formed table ({reason})") from error
