"""A recording as a DataFrame: made from the arrays of a file, joined from parts, checked, taken apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from patchtst_har.data.columns import AXES, EXTRAS, to_float32
from patchtst_har.data.stamps import check_order, index_ns
from patchtst_har.errors import DataError


def make_frame(
    time_ns: NDArray[np.int64],
    acceleration: NDArray[np.float32],
    annotation: pd.Categorical | None = None,
    extras: Mapping[str, NDArray[np.float32]] | None = None,
    *,
    is_utc: bool = False,
) -> pd.DataFrame:
    """Return arrays as a recording that shares their memory.

    Parameters
    ----------
    time_ns : (n,) int64
        Stamps, ns since 1970.
    acceleration : (n, 3) float32
        In any unit.
    annotation : (n,) Categorical, optional
        Strings; missing where not annotated.
    extras : mapping of str to (n,) float32, optional
        Further columns by name.
    is_utc : bool
        Whether the stamps are UTC; if not, they are a local wall clock.
    """
    index = pd.DatetimeIndex(time_ns.view("datetime64[ns]"), name="time")
    if is_utc:
        index = index.tz_localize("UTC")
    frame = pd.DataFrame(acceleration, index=index, columns=list(AXES), copy=False)
    if annotation is not None:
        frame["annotation"] = annotation
    for name, values in (extras or {}).items():
        frame[name] = values
    return frame


def check_recording(
    recording: pd.DataFrame, source: str = "recording"
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return a recording's stamps (n,) int64 ns and acceleration (n, 3) float32, or say what is wrong.

    The arrays may share the recording's memory and are not to be written to.

    Raises
    ------
    DataError
        If the index is not a DatetimeIndex, holds NaT or runs backwards, or `x`, `y`, `z` are not numbers.
    """
    if not isinstance(recording.index, pd.DatetimeIndex):
        raise DataError(f"{source}: needs a DatetimeIndex, has {type(recording.index).__name__}")
    missing = [axis for axis in AXES if axis not in recording.columns]
    if missing:
        found = ", ".join(map(repr, recording.columns)) or "none"
        raise DataError(f"{source}: no column {', '.join(map(repr, missing))} (found: {found})")
    for axis in AXES:
        if recording[axis].dtype.kind not in "fiu":
            raise DataError(f"{source}: column {axis!r} holds {recording[axis].dtype}, numbers are needed")
    time_ns = index_ns(recording.index, source)
    check_order(time_ns, source)
    return time_ns, acceleration_of(recording)


def normalised(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return what the reader of another package made as `make_frame` makes it: sorts of columns, ns, UTC.

    Raises
    ------
    DataError
        See `check_recording`.
    """
    time_ns, acceleration = check_recording(frame, source)
    annotated = "annotation" in frame.columns
    return make_frame(
        time_ns.copy(),
        np.array(acceleration, order="C"),
        to_categorical(frame["annotation"].to_numpy(dtype=object)) if annotated else None,
        {name: to_float32(frame[name]) for name in EXTRAS if name in frame.columns},
        is_utc=frame.index.tz is not None,  # type: ignore[attr-defined]
    )


def acceleration_of(recording: pd.DataFrame) -> NDArray[np.float32]:
    """Return the axes (n, 3), without a copy if they lie side by side as float32: not to be written to."""
    first = list(recording.columns).index(AXES[0])
    axes = recording.iloc[:, first : first + len(AXES)]
    if tuple(axes.columns) != AXES:
        axes = recording[list(AXES)]
    return axes.to_numpy(dtype=np.float32)


def join_frames(parts: Iterable[pd.DataFrame]) -> pd.DataFrame | None:
    """Return consecutive parts of one file as one, as they come; None if there are none.

    The arrays grow in place, so that no sample is held twice.
    """
    arrays: dict[str, NDArray[Any]] = {}
    annotations: list[Any] = []
    n_samples, is_utc = 0, False
    for part in parts:
        index = cast(pd.DatetimeIndex, part.index)
        is_utc = index.tz is not None
        columns: dict[str, NDArray[Any]] = {"time_ns": index.asi8, "acceleration": acceleration_of(part)}
        columns |= {name: part[name].to_numpy() for name in EXTRAS if name in part.columns}
        if "annotation" in part.columns:
            annotations.append(part["annotation"].array)
        for name, values in columns.items():
            array = arrays.setdefault(name, np.empty((0, *values.shape[1:]), values.dtype))
            if n_samples + len(values) > len(array):
                n_rows = max(n_samples + len(values), len(array) * 9 // 8)
                array.resize((n_rows, *array.shape[1:]), refcheck=False)
            array[n_samples : n_samples + len(values)] = values
        n_samples += len(part)
    if not n_samples:
        return None
    for array in arrays.values():
        array.resize((n_samples, *array.shape[1:]), refcheck=False)
    annotation = None
    if annotations:
        united = pd.api.types.union_categoricals(annotations, sort_categories=True)
        annotation = united.rename_categories(pd.Index(list(united.categories), dtype=object))
    time_ns, acceleration = arrays.pop("time_ns"), arrays.pop("acceleration")
    return make_frame(time_ns, acceleration, annotation, arrays, is_utc=is_utc)


def to_categorical(values: Any) -> pd.Categorical:
    """Return annotations as strings with sorted categories; None, NaN and "" mean not annotated."""
    codes, names = pd.factorize(np.asarray(values, dtype=object), use_na_sentinel=True)
    texts = [str(name) for name in names]
    order = sorted({text for text in texts if text})
    position = np.array([order.index(text) if text else -1 for text in texts] + [-1], dtype=np.int64)
    return pd.Categorical.from_codes(position[codes], categories=pd.Index(order, dtype=object))
