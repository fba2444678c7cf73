"""Recordings in Parquet files, in batches of bounded size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from patchtst_har.data.columns import ColumnNames, match_columns
from patchtst_har.data.formats.text_stamps import one_zone, text_ns
from patchtst_har.data.frames import categorical_of, join_frames, make_frame
from patchtst_har.data.options import MAX_SAMPLES, Found, ReadOptions
from patchtst_har.data.stamps import UNIT_HINT, TimeUnit, index_ns, numbers_ns, row_place
from patchtst_har.errors import DataError, MissingDependencyError
from patchtst_har.support.formatting import size
from patchtst_har.support.single_precision import to_float32

# Older versions run code from a malicious file: CVE-2023-47248.
_PYARROW_AT_LEAST = (14, 0, 1)
_BATCH_ROWS = 2**16
_BUFFER_BYTES = 2**18
_FEW_ROWS = 10_000_000
_MAX_ROWS_PER_BYTE = 16


def read_parquet(path: Path, time_unit: TimeUnit | None, options: ReadOptions) -> tuple[pd.DataFrame, Found]:
    """Read a Parquet recording (see `patchtst_har.data.formats`)."""
    options.refuse(path, "delimiter", "decimal", "skip_rows", kind="Parquet files")
    arrow = _pyarrow()
    import pyarrow.parquet

    try:
        # Otherwise Arrow holds all that it read until the file is closed, and a whole column of a row group.
        with pyarrow.parquet.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
            _check_rows(file.metadata.num_rows, path)
            columns = match_columns(
                file.schema_arrow.names,
                options.columns,
                str(path),
                has_stamps=options.start is None,
            )
            _check_types(file.schema_arrow, columns, path)
            parts = _parts(file, columns, time_unit, options, path)
            recording = join_frames(one_zone(parts, columns.time, str(path)))
    except MemoryError:
        # Also an error of Arrow's, but not one of the file's.
        raise
    except (arrow.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a Parquet file, or a damaged one ({_one_line(error)})") from error
    if recording is None:
        raise DataError(f"{path}: has no samples")
    return recording, Found({"columns": columns.found}, unit=columns.unit(str(path)))


def _check_rows(n_rows: int, path: Path) -> None:
    """Refuse what the file declares beyond all measure, before any of it is expanded."""
    if n_rows > MAX_SAMPLES:
        raise DataError(f"{path}: declares {n_rows:,} rows, more than the {MAX_SAMPLES:,} that are read")
    n_bytes = path.stat().st_size
    # Stamps that follow each other cost bits, and noise costs more.
    if n_rows > max(_FEW_ROWS, _MAX_ROWS_PER_BYTE * n_bytes):
        raise DataError(f"{path}: declares {n_rows:,} rows in {size(n_bytes)}, which no recording needs")


def _check_types(schema: Any, columns: ColumnNames, path: Path) -> None:
    types = _pyarrow().types
    for name in [*columns.axes, *columns.extras.values()]:
        kind = schema.field(name).type
        empty = types.is_null(kind) and name not in columns.axes
        if not (types.is_floating(kind) or types.is_integer(kind) or empty):
            raise DataError(f"{path}: column {name!r} holds {kind}, numbers are needed")
    if columns.annotation is not None:
        kind = schema.field(columns.annotation).type
        value = kind.value_type if types.is_dictionary(kind) else kind
        text = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
        simple = (*text, types.is_integer, types.is_boolean, types.is_floating, types.is_null)
        if not (any(fits(value) for fits in simple) or str(value) == "string_view"):
            raise DataError(
                f"{path}: column {columns.annotation!r} holds {kind}, text or single values are needed"
            )


def _parts(
    file: Any, columns: ColumnNames, time_unit: TimeUnit | None, options: ReadOptions, path: Path
) -> Iterator[pd.DataFrame]:
    first = 0
    # Without memory, a thread of Arrow's ends the process; batches of this size gain nothing from them.
    for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=columns.all, use_threads=False):
        if columns.time is None:
            time_ns, is_utc = options.made_stamps(len(batch), first)
        else:
            time_ns, is_utc = _stamps(
                batch.column(columns.time), columns.time, time_unit, options, path, first
            )
        yield make_frame(
            time_ns,
            is_utc=is_utc,
            acceleration=np.stack([_floats(batch.column(axis)) for axis in columns.axes], axis=1),
            annotation=_annotation(batch.column(columns.annotation), columns.annotation, path)
            if columns.annotation
            else None,
            extras={name: _floats(batch.column(column)) for name, column in columns.extras.items()},
        )
        first += len(batch)


def _check_content(column: Any, name: str, path: Path) -> None:
    """Refuse text that is not UTF-8 and places beyond a dictionary, which Arrow reads unseen."""
    try:
        column.validate(full=True)
    except _pyarrow().ArrowException as error:
        raise DataError(f"{path}: column {name!r} is damaged ({_one_line(error)})") from error


def _floats(column: Any) -> NDArray[np.float32]:
    return to_float32(column.to_numpy(zero_copy_only=False))


def _annotation(column: Any, name: str, path: Path) -> pd.Categorical:
    """Return annotations by their own text, however the file encodes them."""
    types = _pyarrow().types
    _check_content(column, name, path)
    if types.is_null(column.type):
        return categorical_of(np.full(len(column), -1), ())
    encoded = column if types.is_dictionary(column.type) else column.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return categorical_of(codes, encoded.dictionary.to_pylist(), f"{path}: column {name!r}")


def _stamps(
    column: Any, name: str, time_unit: TimeUnit | None, options: ReadOptions, path: Path, first: int
) -> tuple[NDArray[np.int64], bool]:
    types = _pyarrow().types

    def place(row: int) -> str:
        return row_place(first + row)

    _check_content(column, name, path)
    if types.is_string(column.type) or types.is_large_string(column.type):
        return text_ns(column.to_pandas().rename(name), time_unit, options, str(path), place)
    options.refuse(path, "time_format", kind=f"column {name!r}, which holds {column.type}")
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise DataError(f"{path}: {place(row)} has no time stamp")
    if types.is_timestamp(column.type):
        index = pd.DatetimeIndex(column.to_pandas())
        return index_ns(index, str(path), place), column.type.tz is not None
    if not (types.is_integer(column.type) or types.is_floating(column.type)):
        raise DataError(f"{path}: column {name!r} holds {column.type}, timestamps are needed")
    if time_unit is None:
        raise DataError(f"{path}: column {name!r} holds numbers; name their unit with {UNIT_HINT}")
    return numbers_ns(column.to_numpy(), time_unit, str(path), place), False


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise MissingDependencyError(
            "reading Parquet needs pyarrow: pip install 'patchtst-har[parquet]'"
        ) from error
    version = tuple(int(part) for part in re.findall(r"\d+", pyarrow.__version__)[:3])
    if version < _PYARROW_AT_LEAST:
        raise MissingDependencyError(
            f"pyarrow {pyarrow.__version__} can run code from a malicious file (CVE-2023-47248): "
            "pip install 'patchtst-har[parquet]'"
        )
    return pyarrow


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
