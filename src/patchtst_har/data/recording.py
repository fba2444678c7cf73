"""Read and write recordings: one person's raw wrist acceleration on a time axis.

A recording is a pandas DataFrame with a DatetimeIndex named `time` and float32 columns `x`, `y`, `z` in g,
optionally a categorical `annotation` (missing where not annotated), `temperature` and `light`.
"""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from patchtst_har.data.columns import AXES
from patchtst_har.data.formats.binary import read_npz_samples, read_parquet_samples
from patchtst_har.data.formats.csv import read_csv_samples
from patchtst_har.data.rate import measure_rate_hz
from patchtst_har.data.raw_samples import RawSamples
from patchtst_har.data.stamps import TimeUnit, check_order, index_ns
from patchtst_har.data.units import PER_G, Unit, check_unit, rest_magnitude
from patchtst_har.errors import DataError
from patchtst_har.support.files import atomic_path

SUFFIXES = (".csv", ".csv.gz", ".parquet", ".npz")
"""File name endings that `read_recording` knows."""


def read_recording(
    path: str | os.PathLike[str],
    *,
    time_column: str = "time",
    time_unit: TimeUnit | None = None,
    units: Unit = "g",
    strict: bool = False,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read a recording from CSV (also gzipped), Parquet or NPZ.

    Parameters
    ----------
    path : path-like
        ``.csv``, ``.csv.gz``, ``.parquet`` or ``.npz``. Tables have the columns of CAPTURE-24 (``time, x, y,
        z, annotation``), in any case, or one of the names in `patchtst_har.data.columns.ALIASES`; NPZ files
        the arrays ``time_ns`` or ``t_ms``, ``acc`` (n, 3) or ``x, y, z``, and ``annotation`` if any.
    time_column : str
        The column of time stamps.
    time_unit : {"s", "ms", "us", "ns"}, optional
        Unit of numeric time stamps, counted from 1970. Numbers are refused without it: a guess that is
        wrong by a factor of 1000 looks like data. NPZ files name the unit in the array's name.
    units : {"g", "m/s2", "mg"}
        Unit of the acceleration in the file; the result is always in g.
    strict : bool
        Refuse, in place of warning, when the magnitude at rest is far from 1 g.

    Returns
    -------
    recording : pandas.DataFrame
        Index `time` (ns; UTC if the stamps carried a zone, else naive wall clock), float32 `x, y, z` in g,
        and `annotation` (categorical), `temperature`, `light` where the file has them.
    info : dict
        ``source, n_samples, start, end, sample_rate_hz`` (measured), ``units, rest_magnitude_g,
        rest_magnitude_basis, n_repeated_stamps, warnings``.

    Raises
    ------
    DataError
        If the file is missing, a folder, empty, damaged, lacks a column, holds text in place of a number,
        or its time runs backwards. Equal consecutive stamps are allowed (devices stamp in batches) and
        counted; resampling spreads them.
    MissingDependencyError
        For Parquet without pyarrow 14.0.1 or newer.

    Warns
    -----
    patchtst_har.data.units.UnitWarning
        If the magnitude at rest is far from 1 g and `strict` is false; the text is in ``info["warnings"]``.
    """
    path = Path(path)
    if units not in PER_G:
        raise DataError(f"units={units!r} is not known (known: {', '.join(PER_G)})")
    if time_unit is not None and time_unit not in get_args(TimeUnit):
        raise DataError(f"time_unit={time_unit!r} is not known (known: {', '.join(get_args(TimeUnit))})")
    _check_file(path)
    raw = _read_samples(path, time_column, time_unit)
    if len(raw.time_ns) == 0:
        raise DataError(f"{path}: has no samples")
    n_repeated = check_order(raw.time_ns, str(path))
    if units != "g":
        raw.acceleration /= np.float32(PER_G[units])
    rate = measure_rate_hz(raw.time_ns)
    rest = rest_magnitude(raw.acceleration, rate or 100.0)
    recording = _frame(raw)
    info = {
        "source": str(path),
        "n_samples": len(recording),
        "start": str(recording.index[0]),
        "end": str(recording.index[-1]),
        "sample_rate_hz": rate,
        "units": units,
        "rest_magnitude_g": None if rest is None else rest.value_g,
        "rest_magnitude_basis": None if rest is None else rest.basis,
        "n_repeated_stamps": n_repeated,
        "warnings": [*check_unit(rest, units, str(path), strict=strict), *_relative_stamps(recording)],
    }
    return recording, info


def _relative_stamps(recording: pd.DataFrame) -> list[str]:
    """Say so if the stamps count from the recording's own beginning: nobody wore a sensor in 1970."""
    if recording.index[0].year > 1970:
        return []
    return ["The stamps begin in 1970, so they count from an unknown moment: dates and hours are not real."]


def recording_suffix(path: Path) -> str | None:
    """Return which of `SUFFIXES` a file name ends with, in any case, or None."""
    name = path.name.lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)


def write_recording(path: str | os.PathLike[str], recording: pd.DataFrame) -> None:
    """Write a recording as CSV in the form of CAPTURE-24, gzipped if the name ends in ``.gz``.

    Stamps are written with microseconds, acceleration with six decimals; a zone is written as an offset.

    Raises
    ------
    DataError
        If `recording` has no DatetimeIndex or lacks a column, or the name ends in something else.
    OSError
        If the folder is missing or not writable.
    """
    path = Path(path)
    if recording_suffix(path) not in (".csv", ".csv.gz"):
        raise DataError(f"{path}: recordings are written as .csv or .csv.gz")
    check_recording(recording)
    text_format = "%Y-%m-%d %H:%M:%S.%f%z"
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        # No name and no time in the gzip header: equal recordings give equal files.
        compressed = path.suffix.lower() == ".gz"
        target = (
            gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0)
            if compressed
            else file
        )
        recording.to_csv(
            cast(Any, target),
            index_label="time",
            date_format=text_format,
            float_format="%.6f",
            lineterminator="\n",
        )
        if compressed:
            target.close()


def check_recording(recording: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return a recording's stamps (n,) int64 ns and acceleration (n, 3) float32, or say what is wrong.

    Raises
    ------
    DataError
        If the index is not a DatetimeIndex, holds NaT or runs backwards, or `x`, `y`, `z` are not numbers.
    """
    if not isinstance(recording.index, pd.DatetimeIndex):
        raise DataError(f"recording: needs a DatetimeIndex, has {type(recording.index).__name__}")
    missing = [axis for axis in AXES if axis not in recording.columns]
    if missing:
        found = ", ".join(map(repr, recording.columns)) or "none"
        raise DataError(f"recording: no column {', '.join(map(repr, missing))} (found: {found})")
    for axis in AXES:
        if recording[axis].dtype.kind not in "fiu":
            raise DataError(f"recording: column {axis!r} holds {recording[axis].dtype}, numbers are needed")
    time_ns = index_ns(recording.index)
    check_order(time_ns)
    acceleration = recording[list(AXES)].to_numpy(dtype=np.float32)
    return time_ns, np.ascontiguousarray(acceleration)


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise DataError(f"{path}: is a folder, a recording is a file")
    if not path.exists():
        if path.is_symlink():
            raise DataError(f"{path}: is a link to a file that does not exist")
        raise DataError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty")


def _read_samples(path: Path, time_column: str, time_unit: TimeUnit | None) -> RawSamples:
    suffix = recording_suffix(path)
    if suffix in (".csv", ".csv.gz"):
        return read_csv_samples(path, time_column, time_unit)
    if suffix == ".parquet":
        return read_parquet_samples(path, time_column, time_unit)
    if suffix == ".npz":
        return read_npz_samples(path)
    raise DataError(f"{path}: unknown kind of file (known: {', '.join(SUFFIXES)})")


def _frame(raw: RawSamples) -> pd.DataFrame:
    index = pd.DatetimeIndex(raw.time_ns.view("datetime64[ns]"), name="time")
    if raw.is_utc:
        index = index.tz_localize("UTC")
    frame = pd.DataFrame(raw.acceleration, index=index, columns=list(AXES), copy=False)
    if raw.annotation is not None:
        frame["annotation"] = raw.annotation
    for name, values in raw.extras.items():
        frame[name] = values
    return frame
