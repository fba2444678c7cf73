"""Read and write recordings: the raw wrist acceleration of one participant on a time axis.

A recording is a pandas DataFrame with a DatetimeIndex named `time` and float32 columns `x`, `y`, `z` in g,
optionally a categorical `annotation` (missing where not annotated), `temperature` and `light`.
"""

from __future__ import annotations

import gzip
import logging
import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from patchtst_har.data.batches import sent_twice, spread_batches
from patchtst_har.data.columns import AXES
from patchtst_har.data.formats import not_read, read_file, recording_suffix
from patchtst_har.data.frames import check_recording, rows_of
from patchtst_har.data.options import Found, ReadOptions
from patchtst_har.data.order import put_in_order
from patchtst_har.data.rate import measure_rate_hz, rate_pieces
from patchtst_har.data.stamps import TimeUnit, count_repeated
from patchtst_har.data.units import PER_G, SignalWarning, Unit, check_unit, rest_magnitude, to_g, unit_at_rest
from patchtst_har.errors import DataError
from patchtst_har.support.files import atomic_path
from patchtst_har.support.formatting import counted, listed
from patchtst_har.support.long_arrays import SpillError

logger = logging.getLogger(__name__)

_MOST_CODES = 100
"""More different numbers than this in a column of annotations are a reason to ask what it holds."""
_ROWS_AT_ONCE = 100_000
"""So many rows are text at the same time."""


def read_recording(
    path: str | os.PathLike[str],
    *,
    time_column: str = "time",
    time_unit: TimeUnit | None = None,
    units: Unit | None = None,
    strict: bool = False,
    options: ReadOptions | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read a recording from a file of a format in `patchtst_har.data.formats`.

    Parameters
    ----------
    path : path-like
        Its suffix gives the format: ``.csv``, ``.csv.gz``, ``.parquet``, ``.npz``; of devices ``.cwa``,
        ``.bin``, ``.gt3x``, with ``.gz`` behind or not; or one of an installed package (entry points
        ``patchtst_har.formats``). Tables have the columns of CAPTURE-24 (``time, x, y,
        z, annotation``), in any case, or one of the names in `patchtst_har.data.columns.ALIASES`; NPZ files
        the arrays ``time_ns`` or ``t_ms``, ``acc`` (n, 3) or ``x, y, z``, and ``annotation`` if any.
    time_column : str
        The column of time stamps.
    time_unit : {"s", "ms", "us", "ns"}, optional
        Unit of numeric time stamps, counted from 1970. Without it, numbers are refused (a guess that is
        wrong by a factor of 1000 looks like data), but for those of a CSV that can have one unit only. NPZ
        files name the unit in the array's name.
    units : {"g", "m/s2", "mg"}, optional
        Unit of the acceleration in the file; the result is always in g. None: what the file says, else g, and
        a recording whose magnitude at rest shows another unit is refused. A unit that is named is believed,
        with a warning.
    strict : bool
        Refuse, in place of warning, whenever the magnitude at rest is far from 1 g.
    options : ReadOptions, optional
        How the file departs from the usual form: columns, delimiter, lines before the header, format of the
        stamps, no stamps, stamps out of order.

    Returns
    -------
    recording : pandas.DataFrame
        Index `time` (ns; UTC if the stamps carried a zone, else naive wall clock), float32 `x, y, z` in g,
        and `annotation` (categorical), `temperature`, `light` where the file has them.
    info : dict
        ``source, n_samples, start, end, sample_rate_hz`` (measured), ``units, rest_magnitude_g,
        rest_magnitude_basis, n_repeated_stamps, n_out_of_order`` (samples sorted or dropped), ``reading``
        (what `options` said and the file's form: columns, delimiter, header; of device files `device`, counts
        of blocks, and `idle_sleep`, the spans [start, end] in ns in which an ActiGraph recorded nothing
        because it lay still), ``warnings``. What a device did not record is a gap between stamps.

    Raises
    ------
    DataError
        If the file is missing, a folder, empty, damaged, lacks a column, holds text in place of a number,
        is in another unit (see `units`), or its time runs backwards. Equal consecutive stamps are allowed
        (devices stamp in batches) and counted; resampling spreads them.
    MissingDependencyError
        For Parquet without pyarrow 14.0.1 or newer.

    Warns
    -----
    patchtst_har.data.units.UnitWarning
        If the magnitude at rest is far from 1 g and that is no error; the text is in ``info["warnings"]``.
    ReadingWarning
        If the file was cut off in its last line, samples were sorted or dropped, the rate changes, or the
        annotations are hundreds of different numbers; likewise.
    """
    path = Path(path)
    if units is not None and units not in PER_G:
        raise DataError(f"units={units!r} is not known (known: {', '.join(PER_G)})")
    if time_unit is not None and time_unit not in get_args(TimeUnit):
        raise DataError(f"time_unit={time_unit!r} is not known (known: {', '.join(get_args(TimeUnit))})")
    _check_file(path)
    options = options or ReadOptions()
    if time_column != "time" and "time" not in options.columns:
        options = replace(options, columns={**options.columns, "time": time_column})
    try:
        return _read(path, time_unit, units, options, strict=strict)
    except SpillError as error:
        raise DataError(f"{path}: {error}") from error
    except MemoryError as error:
        raise DataError(
            f"{path}: not enough memory to read it ({str(error) or 'allocation failed'})"
        ) from error


def _read(
    path: Path, time_unit: TimeUnit | None, units: Unit | None, options: ReadOptions, *, strict: bool
) -> tuple[pd.DataFrame, dict[str, Any]]:
    recording, found = read_file(path, time_unit, options)
    if len(recording) == 0:
        raise DataError(f"{path}: has no samples")
    if options.utc and cast(pd.DatetimeIndex, recording.index).tz is None:
        recording = recording.tz_localize("UTC")
    recording, n_out_of_order = put_in_order(recording, options.on_disorder)
    time_ns, acceleration = check_recording(recording, str(path), found.place)
    copies = sent_twice(time_ns, acceleration) if count_repeated(time_ns) else np.empty(0, np.intp)
    if n_sent_twice := len(copies):
        recording = rows_of(recording, np.delete(np.arange(len(recording)), copies))
        time_ns, acceleration = check_recording(recording, str(path))
    times_ns = spread_batches(time_ns, str(path)) if count_repeated(time_ns) else time_ns
    sample_rate_hz = measure_rate_hz(times_ns)
    units = units or found.unit or _unit_of_log(found, acceleration, sample_rate_hz, path)
    if units not in (None, "g"):
        acceleration = to_g(acceleration, units)
        recording = _with_axes(recording, acceleration)
    rate = "of unknown rate" if sample_rate_hz is None else f"at {sample_rate_hz:.2f} Hz"
    logger.info("%s: %s samples %s", path, f"{len(recording):,}", rate)
    rest = rest_magnitude(acceleration, sample_rate_hz or 100.0)
    info = {
        "source": str(path),
        "n_samples": len(recording),
        "start": str(recording.index[0]),
        "end": str(recording.index[-1]),
        "sample_rate_hz": sample_rate_hz,
        "units": units or "g",
        "rest_magnitude_g": None if rest is None else rest.value_g,
        "rest_magnitude_basis": None if rest is None else rest.basis,
        "n_repeated_stamps": count_repeated(time_ns),
        "n_out_of_order": n_out_of_order,
        "reading": {**options.given(), **found.facts},
        "warnings": [
            *_warned(
                [
                    *found.warnings,
                    *_out_of_order(n_out_of_order, options, path),
                    *_repeated_batches(n_sent_twice, path),
                    *_rate_changes(times_ns, sample_rate_hz, path),
                    *_measured_annotations(recording, found, path),
                ]
            ),
            *check_unit(rest, units, str(path), strict=strict),
            *_relative_stamps(recording),
        ],
    }
    return recording, info


def _unit_of_log(
    found: Found, acceleration: NDArray[np.float32], sample_rate_hz: float | None, path: Path
) -> Unit | None:
    """Return m/s² where a log of a watch can be in nothing else."""
    if not found.is_log:
        return None
    unit = unit_at_rest(rest_magnitude(acceleration, sample_rate_hz or 100.0))
    if unit is not None:
        logger.info("%s: taken for %s, by the magnitude at rest", path, unit)
    return unit


def _with_axes(recording: pd.DataFrame, acceleration: NDArray[np.float32]) -> pd.DataFrame:
    """Return a recording with other values of its axes."""
    changed = pd.DataFrame(acceleration, index=recording.index, columns=list(AXES), copy=False)
    return pd.concat([changed, recording.drop(columns=list(AXES))], axis=1)


class ReadingWarning(SignalWarning):
    """Samples of a file were left out or put in another order, or a part of it may not be what it seems."""


def _warned(texts: list[str]) -> list[str]:
    for text in texts:
        warnings.warn(text, ReadingWarning, stacklevel=4)
    return texts


def _out_of_order(n_samples: int, options: ReadOptions, path: Path) -> list[str]:
    done = {"sort": "moved to their place in time", "drop": "dropped"}
    if not n_samples:
        return []
    samples = counted(n_samples, "sample", "samples")
    return [f"{path}: {samples} out of order, {done[options.on_disorder]}"]


def _repeated_batches(n_samples: int, path: Path) -> list[str]:
    if not n_samples:
        return []
    samples = counted(n_samples, "sample", "samples")
    return [f"{path}: {samples} of batches that are there twice, dropped the second time"]


def _rate_changes(times_ns: NDArray[np.int64], rate_hz: float | None, path: Path) -> list[str]:
    parts = rate_pieces(times_ns, rate_hz)
    if len(parts) < 2:
        return []
    texts = [
        f"{rate:.4g} Hz" + (f" from {np.datetime64(int(times_ns[row]), 'ns').astype('M8[s]')}" if row else "")
        for row, rate in parts
    ]
    return [f"{path}: the sampling rate changes: {listed(texts, most=6)}"]


def _measured_annotations(recording: pd.DataFrame, found: Found, path: Path) -> list[str]:
    """Say so if a column of measurements, such as activity counts, seems to be taken for annotations."""
    if "annotation" not in recording.columns:
        return []
    names = recording["annotation"].cat.categories.to_series()
    if len(names) <= _MOST_CODES or pd.to_numeric(names, errors="coerce").isna().any():
        return []
    column = found.facts.get("columns", {}).get("annotation", "annotation")
    return [
        f"{path}: column {column!r} is taken for annotations and has {len(names):,} different numbers; "
        "if it holds measurements, name the column of annotations (--columns annotation=...)"
    ]


def _relative_stamps(recording: pd.DataFrame) -> list[str]:
    """Say so if the stamps count from the recording's own beginning: nobody wore a sensor in 1970."""
    if recording.index[0].year > 1970:
        return []
    return ["The stamps begin in 1970, so they count from an unknown moment: dates and hours are not real."]


def write_recording(path: str | os.PathLike[str], recording: pd.DataFrame) -> None:
    """Write `recording` as CSV in the form of CAPTURE-24 to the file `path`, gzipped if it ends in ``.gz``.

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
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        # No name and no time in the gzip header: equal recordings give equal files.
        compressed = path.suffix.lower() == ".gz"
        target = (
            gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0)
            if compressed
            else file
        )
        for begin in range(0, max(1, len(recording)), _ROWS_AT_ONCE):
            _as_text(recording.iloc[begin : begin + _ROWS_AT_ONCE]).to_csv(
                cast(Any, target),
                header=begin == 0,
                index_label="time",
                float_format="%.6f",
                lineterminator="\n",
            )
        if compressed:
            target.close()


def _as_text(recording: pd.DataFrame) -> pd.DataFrame:
    """Return a recording with stamps and acceleration as they are written, in half of pandas' time."""
    stamps = cast(pd.DatetimeIndex, recording.index)
    wall = stamps.tz_localize(None)
    # "U26" ends after the microseconds.
    text = np.datetime_as_string(wall.to_numpy(), unit="ns" if wall.unit == "ns" else "us").astype("U26")
    text.view("U1").reshape(-1, 26)[:, len("2026-01-01")] = " "
    if stamps.tz is not None and len(stamps):
        _, first, which = np.unique(wall.asi8 - stamps.asi8, return_index=True, return_inverse=True)
        text = np.char.add(text, np.array([stamps[row].strftime("%z") for row in first])[which])
    written = recording.set_axis(pd.Index(text, dtype=object), axis=0)
    for axis in AXES:
        values = recording[axis].to_numpy()
        if values.dtype in (np.float32, np.float64):
            numbers = ["" if value != value else f"{value:.6f}" for value in values.tolist()]
            written[axis] = np.array(numbers, object)
    return written


def _check_file(path: Path) -> None:
    if path.is_dir():
        files = sorted(entry for entry in path.iterdir() if not entry.is_dir())
        readable = [file for file in files if recording_suffix(file) is not None]
        holds = [not_read(files)] * bool(not_read(files))
        if readable:
            number = counted(len(readable), "recording", "recordings")
            holds.insert(0, f"{number}, such as {readable[0].name}")
        text = f"; it holds {'; and '.join(holds)}" if holds else ""
        raise DataError(f"{path}: is a folder, a recording is a file{text}")
    if not path.exists():
        if path.is_symlink():
            raise DataError(f"{path}: is a link to a file that does not exist")
        raise DataError(f"{path}: no such file")
    if not path.is_file():
        raise DataError(f"{path}: is a pipe or a device, a recording is a regular file")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty")
