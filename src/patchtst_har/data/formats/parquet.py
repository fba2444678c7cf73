"""Recordings in Parquet files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from patchtst_har.data.columns import match_columns, to_float32
from patchtst_har.data.frames import make_frame, to_categorical
from patchtst_har.data.stamps import TimeUnit, index_ns, numbers_ns
from patchtst_har.errors import DataError, MissingDependencyError

# Older versions run code from a malicious file: CVE-2023-47248.
_PYARROW_AT_LEAST = (14, 0, 1)


def read_parquet(path: Path, time_column: str, time_unit: TimeUnit | None) -> pd.DataFrame:
    """Read a Parquet recording (see `patchtst_har.data.formats`)."""
    arrow = _pyarrow()
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            columns = match_columns(file.schema_arrow.names, time_column, str(path))
            table = file.read(columns=columns.all)
    except (arrow.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a Parquet file, or a damaged one ({_one_line(error)})") from error
    for name in [*columns.axes, *columns.extras.values()]:
        kind = table.schema.field(name).type
        if not (arrow.types.is_floating(kind) or arrow.types.is_integer(kind)):
            raise DataError(f"{path}: column {name!r} holds {kind}, numbers are needed")
    time_ns, is_utc = _stamps(table.column(columns.time), columns.time, time_unit, path)
    return make_frame(
        time_ns,
        is_utc=is_utc,
        acceleration=np.stack([to_float32(table.column(axis).to_numpy()) for axis in columns.axes], axis=1),
        annotation=to_categorical(table.column(columns.annotation).to_numpy())
        if columns.annotation
        else None,
        extras={name: to_float32(table.column(column).to_numpy()) for name, column in columns.extras.items()},
    )


def _stamps(column: Any, name: str, time_unit: TimeUnit | None, path: Path) -> tuple[NDArray[np.int64], bool]:
    arrow = _pyarrow()
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise DataError(f"{path}: row {row} has no time stamp")
    if arrow.types.is_timestamp(column.type):
        return index_ns(pd.DatetimeIndex(column.to_pandas()), str(path)), column.type.tz is not None
    if not (arrow.types.is_integer(column.type) or arrow.types.is_floating(column.type)):
        raise DataError(f"{path}: column {name!r} holds {column.type}, timestamps are needed")
    if time_unit is None:
        raise DataError(
            f"{path}: column {name!r} holds numbers; "
            "name their unit with time_unit='s', 'ms', 'us' or 'ns' (--time-unit)"
        )
    return numbers_ns(column.to_numpy(), time_unit, str(path)), False


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
