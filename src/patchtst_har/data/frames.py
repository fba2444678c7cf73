"""A recording as a DataFrame: made from the arrays of a file, joined from parts, checked, taken apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from patchtst_har.data.columns import AXES, EXTRAS
from patchtst_har.data.stamps import check_length, check_order, index_ns, row_place
from patchtst_har.errors import DataError
from patchtst_har.support.long_arrays import GrowingArray, mapped, selected
from patchtst_har.support.single_precision import to_float32


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
    # Of integers, a copy is made neither with a zone nor without; setting a column makes one.
    dtype = "datetime64[ns, UTC]" if is_utc else "datetime64[ns]"
    index = pd.DatetimeIndex(time_ns, dtype=dtype, name="time", copy=False)
    frame = pd.DataFrame(acceleration, index=index, columns=list(AXES), copy=False)
    columns = {} if annotation is None else {"annotation": annotation}
    more = [
        pd.Series(values, index=index, name=name, copy=False)
        for name, values in (columns | dict(extras or {})).items()
    ]
    return pd.concat([frame, *more], axis=1) if more else frame


def check_recording(
    recording: pd.DataFrame, source: str = "recording", place: Callable[[int], str] = row_place
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return a recording's stamps (n,) int64 ns and acceleration (n, 3) float32, or say what is wrong.

    The arrays may share the recording's memory and are not to be written to.

    Raises
    ------
    DataError
        If this is no DataFrame, the index is not a DatetimeIndex, holds NaT, runs backwards or lasts more
        than 285 years, or `x`, `y`, `z` are not numbers.
    """
    time_ns, acceleration = checked_arrays(recording, source)
    is_utc = cast(pd.DatetimeIndex, recording.index).tz is not None
    check_order(time_ns, source, place, is_utc=is_utc)
    check_length(time_ns, source)
    return time_ns, acceleration


def checked_arrays(
    recording: pd.DataFrame, source: str = "recording"
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return what `check_recording` returns of a recording whose time may run backwards."""
    if not isinstance(recording, pd.DataFrame):
        raise DataError(f"{source}: needs a pandas DataFrame, is {type(recording).__name__}")
    if not isinstance(recording.index, pd.DatetimeIndex):
        raise DataError(f"{source}: needs a DatetimeIndex, has {type(recording.index).__name__}")
    missing = [axis for axis in AXES if axis not in recording.columns]
    if missing:
        found = ", ".join(map(repr, recording.columns)) or "none"
        raise DataError(f"{source}: no column {', '.join(map(repr, missing))} (found: {found})")
    for axis in AXES:
        if list(recording.columns).count(axis) > 1:
            raise DataError(f"{source}: {list(recording.columns).count(axis)} columns are named {axis!r}")
        if recording[axis].dtype.kind not in "fiu":
            raise DataError(f"{source}: column {axis!r} holds {recording[axis].dtype}, numbers are needed")
    return index_ns(recording.index, source), acceleration_of(recording)


def normalised(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return what the reader of another package made as `make_frame` makes it: sorts of columns, ns, UTC.

    Raises
    ------
    DataError
        See `check_recording`.
    """
    time_ns, acceleration = checked_arrays(frame, source)
    annotated = "annotation" in frame.columns
    return make_frame(
        time_ns.copy(),
        np.array(acceleration, order="C"),
        to_categorical(frame["annotation"].to_numpy(dtype=object), source) if annotated else None,
        {name: to_float32(frame[name]) for name in EXTRAS if name in frame.columns},
        is_utc=frame.index.tz is not None,  # type: ignore[attr-defined]
    )


def acceleration_of(recording: pd.DataFrame) -> NDArray[np.float32]:
    """Return the axes (n, 3), without a copy if they lie side by side as float32: not to be written to."""
    first = list(recording.columns).index(AXES[0])
    axes = recording.iloc[:, first : first + len(AXES)]
    if tuple(axes.columns) != AXES:
        axes = recording[list(AXES)]
    return to_float32(axes)


class JoinedAnnotations:
    """Annotations of consecutive parts of a recording, as one column."""

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self._codes = GrowingArray()

    def append(self, part: pd.Categorical) -> None:
        """Add the annotations of a part, which are strings."""
        own = [self._names.setdefault(name, len(self._names)) for name in part.categories]
        self._codes.append(np.array([*own, -1], np.int32)[part.codes])

    def whole(self) -> pd.Categorical:
        """Return all of them, with sorted categories."""
        codes = self._codes.whole()
        order = np.argsort(np.array(list(self._names), dtype=object), kind="stable")
        n_bytes = np.min_scalar_type(-len(order) - 1)
        lookup = np.full(len(order) + 1, -1, n_bytes)
        lookup[order] = np.arange(len(order))
        names = pd.Index(sorted(self._names), dtype=object)
        of_names = mapped(len(codes), lambda rows: lookup[codes[rows]], codes, like=lookup)
        return pd.Categorical.from_codes(of_names, categories=names)


def join_frames(parts: Iterable[pd.DataFrame]) -> pd.DataFrame | None:
    """Return consecutive parts of one file as one, as they come; None if there are none.

    Of a long file, the result lies in files (`patchtst_har.support.long_arrays`).
    """
    arrays: dict[str, GrowingArray] = {}
    annotations: JoinedAnnotations | None = None
    is_utc = False
    for part in parts:
        index = cast(pd.DatetimeIndex, part.index)
        is_utc = index.tz is not None
        columns: dict[str, NDArray[Any]] = {"time_ns": index.asi8, "acceleration": acceleration_of(part)}
        columns |= {name: part[name].to_numpy() for name in EXTRAS if name in part.columns}
        if "annotation" in part.columns:
            annotations = annotations or JoinedAnnotations()
            annotations.append(cast(pd.Categorical, part["annotation"].array))
        for name, values in columns.items():
            arrays.setdefault(name, GrowingArray()).append(values)
    if not arrays or not arrays["time_ns"].n_rows:
        return None
    whole = {name: array.whole() for name, array in arrays.items()}
    time_ns, acceleration = whole.pop("time_ns"), whole.pop("acceleration")
    annotation = None if annotations is None else annotations.whole()
    return make_frame(time_ns, acceleration, annotation, whole, is_utc=is_utc)


def rows_of(recording: pd.DataFrame, rows: NDArray[np.integer[Any]]) -> pd.DataFrame:
    """Return some samples of a recording as a reader returns it, in the order of `rows`."""
    index = cast(pd.DatetimeIndex, recording.index)
    annotation = recording["annotation"].array if "annotation" in recording.columns else None
    return make_frame(
        selected(index.asi8, rows),
        selected(acceleration_of(recording), rows),
        None
        if annotation is None
        else pd.Categorical.from_codes(selected(annotation.codes, rows), dtype=annotation.dtype),
        {name: selected(recording[name].to_numpy(), rows) for name in EXTRAS if name in recording.columns},
        is_utc=index.tz is not None,
    )


def to_categorical(values: Any, source: str = "recording") -> pd.Categorical:
    """Return annotations (n,) as strings with sorted categories.

    None, NaN and "" mean not annotated; bytes are UTF-8. Every other value keeps its own text: 1, 1.0 and
    True are three annotations.

    Raises
    ------
    DataError
        If bytes are not UTF-8, or a text cannot be written as UTF-8.
    """
    values = np.asarray(values, dtype=object)
    if pd.api.types.infer_dtype(values, skipna=True) != "string":
        # As objects, 1, 1.0 and True are equal, and factorize would give them the text of the first.
        values = np.array([annotation_text(value, source) for value in values], dtype=object)
    codes, names = pd.factorize(values, use_na_sentinel=True)
    return categorical_of(codes, list(names), source)


def categorical_of(
    codes: NDArray[np.integer[Any]], values: Sequence[object], source: str = "recording"
) -> pd.Categorical:
    """Return annotations given by their index (n,) into `values`, -1 where missing; see `to_categorical`."""
    texts = [annotation_text(value, source) for value in values]
    names = sorted({text for text in texts if text})
    position = {name: number for number, name in enumerate(names)}
    lookup = np.array(
        [position.get(text, -1) for text in texts] + [-1], dtype=np.min_scalar_type(-len(names) - 1)
    )
    return pd.Categorical.from_codes(lookup[codes], categories=pd.Index(names, dtype=object))


def annotation_text(value: object, source: str = "recording") -> str:
    """Return one annotation as text, "" if it is missing; see `to_categorical`."""
    if (
        value is None
        or value is pd.NA
        or value is pd.NaT
        or (isinstance(value, float | np.floating) and value != value)
    ):
        return ""
    try:
        text = value.decode() if isinstance(value, bytes) else str(value)
        text.encode()
    except UnicodeError as error:
        raise DataError(f"{source}: annotation {value!r} is not UTF-8 text ({error.reason})") from error  # type: ignore[attr-defined]
    return text
