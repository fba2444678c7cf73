"""Recordings in Parquet and NPZ files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from patchtst_har.data.columns import AXES, EXTRAS, match_columns
from patchtst_har.data.raw_samples import RawSamples, to_categorical, to_float32
from patchtst_har.data.stamps import TimeUnit, index_ns, numbers_ns
from patchtst_har.errors import DataError, MissingDependencyError
from patchtst_har.support.npz import read_npz

# Older versions run code from a malicious file: CVE-2023-47248.
_PYARROW_AT_LEAST = (14, 0, 1)


def read_parquet_samples(path: Path, time_column: str, time_unit: TimeUnit | None) -> RawSamples:
    """Read a Parquet recording (see `patchtst_har.data.recording.read_recording`)."""
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
    time_ns, is_utc = _parquet_stamps(table.column(columns.time), columns.time, time_unit, path)
    return RawSamples(
        time_ns=time_ns,
        is_utc=is_utc,
        acceleration=np.stack([to_float32(table.column(axis).to_numpy()) for axis in columns.axes], axis=1),
        annotation=to_categorical(table.column(columns.annotation).to_numpy())
        if columns.annotation
        else None,
        extras={name: to_float32(table.column(column).to_numpy()) for name, column in columns.extras.items()},
    )


def read_npz_samples(path: Path) -> RawSamples:
    """Read an NPZ recording.

    Time is `time_ns` or `t_ms` (integers since 1970, or since any origin of the file's own); acceleration is
    `x`, `y`, `z` or `acc` (n, 3); annotations are `annotation` (strings) or `y` with `classes`, where a
    negative index means not annotated. When `x` is there, `y` is an axis.
    """
    names = ("time_ns", "t_ms", "acc", "x", "y", "z", "annotation", "classes", *EXTRAS)
    arrays = read_npz(path, (), names)
    acceleration = _npz_acceleration(arrays, path)
    unit: TimeUnit = "ns" if "time_ns" in arrays else "ms"
    stamps = arrays.get("time_ns", arrays.get("t_ms"))
    if stamps is None:
        raise DataError(
            f"{path}: no array 'time_ns' or 't_ms' (found: {', '.join(arrays) or 'none of the known'})"
        )
    if stamps.dtype.kind not in "iu":
        raise DataError(f"{path}: the array of time stamps holds {stamps.dtype}, integers are needed")
    annotation = _npz_annotation(arrays, path)
    lengths = {
        "acceleration": acceleration,
        "time": stamps,
        **{name: arrays[name] for name in EXTRAS if name in arrays},
    }
    if annotation is not None:
        lengths["annotation"] = np.asarray(annotation.codes)
    for name, array in lengths.items():
        if array.shape[:1] != acceleration.shape[:1] or (name != "acceleration" and array.ndim != 1):
            raise DataError(f"{path}: {name} has shape {array.shape}, acceleration {acceleration.shape}")
    return RawSamples(
        time_ns=numbers_ns(stamps, unit, str(path)),
        is_utc=False,
        acceleration=acceleration,
        annotation=annotation,
        extras={name: to_float32(_numeric(arrays[name], name, path)) for name in EXTRAS if name in arrays},
    )


def _npz_acceleration(arrays: dict[str, NDArray[Any]], path: Path) -> NDArray[np.float32]:
    if "acc" in arrays:
        acceleration = _numeric(arrays["acc"], "acc", path)
        if acceleration.ndim != 2 or acceleration.shape[1] != 3:
            raise DataError(f"{path}: array 'acc' has shape {acceleration.shape}, (n, 3) is needed")
        return to_float32(acceleration)
    missing = [axis for axis in AXES if axis not in arrays]
    if missing:
        raise DataError(f"{path}: no array 'acc', nor {', '.join(map(repr, missing))}")
    axes = [_numeric(arrays[axis], axis, path) for axis in AXES]
    if len({axis.shape for axis in axes}) > 1 or axes[0].ndim != 1:
        raise DataError(f"{path}: x, y, z have shapes {', '.join(str(axis.shape) for axis in axes)}")
    return np.stack([to_float32(axis) for axis in axes], axis=1)


def _npz_annotation(arrays: dict[str, NDArray[Any]], path: Path) -> pd.Categorical | None:
    if "annotation" in arrays:
        if arrays["annotation"].dtype.kind != "U":
            raise DataError(
                f"{path}: array 'annotation' holds {arrays['annotation'].dtype}, strings are needed"
            )
        return to_categorical(arrays["annotation"])
    if "x" in arrays or "y" not in arrays or "classes" not in arrays:
        return None
    index, classes = arrays["y"], arrays["classes"]
    if index.dtype.kind not in "iu" or classes.dtype.kind != "U" or classes.ndim != 1:
        raise DataError(f"{path}: 'y' must hold indices into the strings of 'classes', not {index.dtype}")
    if index.size and index.max() >= len(classes):
        raise DataError(f"{path}: 'y' holds {index.max()}, but there are {len(classes)} classes")
    codes = np.where(index < 0, -1, index.astype(np.int64))
    return pd.Categorical.from_codes(codes, categories=pd.Index(classes.astype(object), dtype=object))


def _numeric(array: NDArray[Any], name: str, path: Path) -> NDArray[Any]:
    if array.dtype.kind not in "fiu":
        raise DataError(f"{path}: array {name!r} holds {array.dtype}, numbers are needed")
    return array


def _parquet_stamps(
    column: Any, name: str, time_unit: TimeUnit | None, path: Path
) -> tuple[NDArray[np.int64], bool]:
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
