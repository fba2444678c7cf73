"""Recordings in NPZ archives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from patchtst_har.data.columns import AXES, EXTRAS, to_float32
from patchtst_har.data.frames import make_frame, to_categorical
from patchtst_har.data.stamps import TimeUnit, numbers_ns
from patchtst_har.errors import DataError
from patchtst_har.support.npz import read_npz


def read_npz_recording(path: Path, time_column: str = "", time_unit: TimeUnit | None = None) -> pd.DataFrame:
    """Read an NPZ recording.

    Time is `time_ns` or `t_ms` (integers since 1970, or since any origin of the file's own); acceleration is
    `x`, `y`, `z` or `acc` (n, 3); annotations are `annotation` (strings) or `y` with `classes`, where a
    negative index means not annotated. When `x` is there, `y` is an axis. The arrays' names give column and
    unit of the stamps, so `time_column` and `time_unit` have no effect.
    """
    names = ("time_ns", "t_ms", "acc", "x", "y", "z", "annotation", "classes", *EXTRAS)
    arrays = read_npz(path, (), names)
    acceleration = _acceleration(arrays, path)
    unit: TimeUnit = "ns" if "time_ns" in arrays else "ms"
    stamps = arrays.get("time_ns", arrays.get("t_ms"))
    if stamps is None:
        raise DataError(
            f"{path}: no array 'time_ns' or 't_ms' (found: {', '.join(arrays) or 'none of the known'})"
        )
    if stamps.dtype.kind not in "iu":
        raise DataError(f"{path}: the array of time stamps holds {stamps.dtype}, integers are needed")
    annotation = _annotation(arrays, path)
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
    return make_frame(
        numbers_ns(stamps, unit, str(path)),
        acceleration,
        annotation,
        {name: to_float32(_numeric(arrays[name], name, path)) for name in EXTRAS if name in arrays},
    )


def _acceleration(arrays: dict[str, NDArray[Any]], path: Path) -> NDArray[np.float32]:
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


def _annotation(arrays: dict[str, NDArray[Any]], path: Path) -> pd.Categorical | None:
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
