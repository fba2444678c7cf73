"""Recordings in NPZ archives."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from patchtst_har.data.columns import AXES, EXTRAS
from patchtst_har.data.frames import annotation_text, categorical_of, make_frame, to_categorical
from patchtst_har.data.options import Found, ReadOptions
from patchtst_har.data.stamps import UNIT_HINT, TimeUnit, numbers_ns
from patchtst_har.errors import DataError
from patchtst_har.support.long_arrays import blocks, flagged, mapped
from patchtst_har.support.npz import is_unicode, read_npz
from patchtst_har.support.single_precision import to_float32


def read_npz_recording(
    path: Path, time_unit: TimeUnit | None, options: ReadOptions
) -> tuple[pd.DataFrame, Found]:
    """Read an NPZ recording.

    Time is `time_ns` or `t_ms` (integers since 1970, or since any origin of the file's own), or an array that
    `options.columns` names, with `time_unit`; acceleration is `x`, `y`, `z` or `acc` (n, 3); annotations are
    `annotation` (text, or numbers taken as text) or `y` with `classes`, where a negative index means not
    annotated. When `x` is there, `y` is an axis.
    """
    options.refuse(path, "delimiter", "decimal", "skip_rows", "time_format", kind="NPZ files")
    chosen = options.columns
    usual = ("acc", "x", "y", "z", "annotation", "classes", *EXTRAS)
    stamp_names = (chosen["time"],) if "time" in chosen else () if options.start else ("time_ns", "t_ms")
    arrays = read_npz(path, tuple(chosen.values()), tuple(dict.fromkeys((*stamp_names, *usual))), long=True)
    arrays |= {name: arrays[array] for name, array in chosen.items() if name != "time"}
    acceleration = _acceleration(arrays, path)
    if options.start:
        stamps, is_utc = options.all_stamps(len(acceleration))
    else:
        stamps, is_utc = _stamps(arrays, chosen.get("time"), time_unit, path), False
    annotation = _annotation(arrays, path)
    lengths: dict[str, NDArray[Any]] = {
        "acceleration": acceleration,
        "time": stamps,
        **{name: arrays[name] for name in EXTRAS if name in arrays},
    }
    if annotation is not None:
        lengths["annotation"] = np.asarray(annotation.codes)
    for name, array in lengths.items():
        if array.shape[:1] != acceleration.shape[:1] or (name != "acceleration" and array.ndim != 1):
            raise DataError(f"{path}: {name} has shape {array.shape}, acceleration {acceleration.shape}")
    frame = make_frame(
        stamps,
        acceleration,
        annotation,
        {name: _float32(_numeric(arrays[name], name, path)) for name in EXTRAS if name in arrays},
        is_utc=is_utc,
    )
    return frame, Found()


def _stamps(
    arrays: dict[str, NDArray[Any]], name: str | None, time_unit: TimeUnit | None, path: Path
) -> NDArray[np.int64]:
    unit: TimeUnit | None = time_unit
    if name is None:
        name = "time_ns" if "time_ns" in arrays else "t_ms"
        unit = "ns" if name == "time_ns" else "ms"
    if name not in arrays:
        raise DataError(
            f"{path}: no array 'time_ns' or 't_ms' (found: {', '.join(arrays) or 'none of the known'}); "
            "name the array of stamps (--columns time=...), or say when and how fast (--start, --rate)"
        )
    stamps = arrays[name]
    if stamps.dtype.kind not in "iu":
        raise DataError(f"{path}: the array of time stamps holds {stamps.dtype}, integers are needed")
    if stamps.ndim != 1:
        raise DataError(f"{path}: the array of time stamps has shape {stamps.shape}, (n,) is needed")
    if unit is None:
        raise DataError(f"{path}: name the unit of array {name!r} ({UNIT_HINT})")
    return numbers_ns(stamps, unit, str(path))


def _acceleration(arrays: dict[str, NDArray[Any]], path: Path) -> NDArray[np.float32]:
    if "acc" in arrays:
        acceleration = _numeric(arrays["acc"], "acc", path)
        if acceleration.ndim != 2 or acceleration.shape[1] != 3:
            raise DataError(f"{path}: array 'acc' has shape {acceleration.shape}, (n, 3) is needed")
        return _float32(acceleration)
    missing = [axis for axis in AXES if axis not in arrays]
    if missing:
        raise DataError(f"{path}: no array 'acc', nor {', '.join(map(repr, missing))}")
    axes = [_numeric(arrays[axis], axis, path) for axis in AXES]
    if len({axis.shape for axis in axes}) > 1 or axes[0].ndim != 1:
        raise DataError(f"{path}: x, y, z have shapes {', '.join(str(axis.shape) for axis in axes)}")
    return mapped(
        len(axes[0]),
        lambda rows: np.stack([to_float32(axis[rows]) for axis in axes], axis=1),
        *axes,
        like=np.empty((0, 3), np.float32),
    )


def _float32(values: NDArray[Any]) -> NDArray[np.float32]:
    if values.dtype == np.float32 and values.flags.c_contiguous:
        return values
    like = np.empty((0, *values.shape[1:]), np.float32)
    return mapped(len(values), lambda rows: to_float32(values[rows]), values, like=like)


def _annotation(arrays: dict[str, NDArray[Any]], path: Path) -> pd.Categorical | None:
    if "annotation" in arrays:
        firsts, lengths = _runs(_checked(arrays["annotation"], "annotation", path))
        of_runs = to_categorical(_texts(firsts, "annotation", path), f"{path}: array 'annotation'")
        return pd.Categorical.from_codes(_repeated(of_runs.codes, lengths), dtype=of_runs.dtype)
    if "x" in arrays or "y" not in arrays or "classes" not in arrays:
        return None
    index, classes = arrays["y"], arrays["classes"]
    if index.dtype.kind not in "iu" or index.ndim != 1 or classes.dtype.kind not in "US" or classes.ndim != 1:
        raise DataError(
            f"{path}: 'y' must hold indices (n,) into the strings of 'classes' (k,), "
            f"not {index.dtype} {index.shape} into {classes.dtype} {classes.shape}"
        )
    if index.size and index.max() >= len(classes):
        raise DataError(f"{path}: 'y' holds {index.max()}, but there are {len(classes)} classes")
    names = _texts(_checked(classes, "classes", path), "classes", path).tolist()
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise DataError(f"{path}: array 'classes' holds {annotation_text(repeated[0])!r} twice")
    # Unsigned codes keep their type, often a byte per sample; only signed ones can be negative.
    codes = index if index.dtype.kind == "u" else np.maximum(index, -1)
    return categorical_of(codes, names, f"{path}: array 'classes'")


def _runs(array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the first value and the length of each run of equal values of an array (n,).

    An annotation stands for minutes, and as objects its values take ten times the memory.
    """
    bits = array
    if array.dtype.kind == "f" and array.dtype.itemsize <= 8:
        # -0.0 equals 0.0 but has a text of its own, and NaN does not equal itself.
        bits = array.view(f"u{array.dtype.itemsize}")
    changes = flagged(
        (rows.start + 1, bits[rows.start + 1 : rows.stop + 1] != bits[rows])
        for rows in blocks(len(bits) - 1, array)
    )
    first = np.append(np.zeros(int(len(array) > 0), np.intp), changes)
    return array[first], np.diff(first, append=len(array))


def _repeated(values: NDArray[Any], counts: NDArray[np.intp]) -> NDArray[Any]:
    """Return ``np.repeat(values, counts)``."""
    ends = np.cumsum(counts)
    return mapped(
        int(counts.sum()),
        lambda rows: values[np.searchsorted(ends, np.arange(rows.start, rows.stop), side="right")],
        like=values,
    )


def _checked(array: NDArray[Any], name: str, path: Path) -> NDArray[Any]:
    if array.ndim != 1 or array.dtype.kind not in "USbiuf":
        raise DataError(f"{path}: array {name!r} holds {array.dtype} {array.shape}, text (n,) is needed")
    return array


def _texts(array: NDArray[Any], name: str, path: Path) -> NDArray[Any]:
    """Return an array (n,) of text or of single values as objects."""
    if not is_unicode(array):
        raise DataError(f"{path}: array {name!r} holds what is not Unicode text")
    return array.astype(object)


def _numeric(array: NDArray[Any], name: str, path: Path) -> NDArray[Any]:
    if array.dtype.kind not in "fiu":
        raise DataError(f"{path}: array {name!r} holds {array.dtype}, numbers are needed")
    return array
