"""What a stream remembers as plain arrays, and the checks on what is read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchtst_har.errors import DataError
from patchtst_har.support.npz import is_unicode

_VERSION = 3
MOST_NS = 2**62
"""No stamp is that far from 1970, in ns."""
_SUM_TOLERANCE = 1e-6
_UNKNOWN, _UNSTAMPED, _STAMPED = -1, 0, 1


def head(settings: Mapping[str, Any], stamped: bool | None) -> dict[str, NDArray[Any]]:
    """Return the arrays that say what a state belongs to."""
    return {
        "version": np.array(_VERSION, np.int64),
        "settings": np.array(json.dumps(settings, sort_keys=True)),
        "stamped": np.array(_UNKNOWN if stamped is None else int(stamped), np.int64),
    }


def stamped_of(state: Mapping[str, NDArray[Any]]) -> bool | None:
    """Return whether the stream's samples have stamps; None if there was none yet."""
    value = int(state["stamped"])
    return None if value == _UNKNOWN else value == _STAMPED


def check_state(
    state: Mapping[str, Any], settings: Mapping[str, Any], n_classes: int, *, smoothed: bool
) -> dict[str, NDArray[Any]]:
    """Return a state's arrays, contiguous; refuse what cannot be one of a stream with these settings.

    Raises
    ------
    DataError
        If an array is missing, unknown, or of another type or shape, the version or the settings differ, or
        a number is not finite; the message names it.
    """
    shapes = _shapes(int(settings["window_size"]), n_classes, smoothed=smoothed)
    if set(state) != set(shapes):
        wrong = sorted(set(state) ^ set(shapes))
        raise DataError(f"state: no state of such a stream ({', '.join(wrong)} missing or unknown)")
    arrays = {name: _check_array(name, state[name], *expected) for name, expected in shapes.items()}
    if int(arrays["version"]) != _VERSION:
        raise DataError(f"state: version {int(arrays['version'])} is not {_VERSION}")
    expected_settings = json.dumps(settings, sort_keys=True)
    if str(arrays["settings"]) != expected_settings:
        raise DataError(f"state: is of a stream with {arrays['settings']}, this one has {expected_settings}")
    if int(arrays["stamped"]) not in (_UNKNOWN, _UNSTAMPED, _STAMPED):
        raise DataError("state: stamped must be -1, 0 or 1")
    if (arrays["counts"] < 0).any() or (arrays["counts"] > MOST_NS).any():
        raise DataError("state: counts has a number that cannot be")
    if len(arrays["waiting_windows"]) != len(arrays["waiting_places"]):
        raise DataError("state: waiting_windows and waiting_places differ in length")
    _check_places(arrays)
    if smoothed:
        filters = arrays["filters"]
        if (filters < 0).any() or (abs(filters.sum(axis=1) - 1.0) > _SUM_TOLERANCE).any():
            raise DataError("state: filters has a row of which the probabilities do not add up to 1")
    return arrays


def _check_places(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse windows whose place (start, segment, number, restarts) no buffer can have counted."""
    for name in ("waiting_places", "last_window"):
        rows = arrays.get(name, np.empty(0, np.int64))
        if rows.size % 4:
            raise DataError(f"state: {name} must have four numbers for each window")
        for place in rows.reshape(-1, 4):
            start_ns, *counts = place.tolist()
            if abs(start_ns) > MOST_NS or min(counts) < 0 or max(counts) > MOST_NS:
                raise DataError(f"state: {name} has a window that cannot be ({place.tolist()})")


def _shapes(
    window_size: int, n_classes: int, *, smoothed: bool
) -> dict[str, tuple[type[np.generic], tuple[int, ...]]]:
    """Return type and shape of every array; -1 is any length."""
    shapes: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
        "version": (np.int64, ()),
        "settings": (np.str_, ()),
        "stamped": (np.int64, ()),
        "counts": (np.int64, (5,)),
        "buffer_numbers": (np.int64, (-1,)),
        "buffer_points": (np.float32, (-1, 3)),
        "waiting_windows": (np.float32, (-1, window_size, 3)),
        "waiting_places": (np.int64, (-1, 4)),
    }
    if smoothed:
        shapes |= {
            "filters": (np.float64, (-1, n_classes)),
            "last_window": (np.int64, (-1,)),
            "held": (np.bool_, (-1,)),
            "held_start_ns": (np.int64, (-1,)),
            "held_stage_ns": (np.int64, (-1, 3)),
            "held_probabilities": (np.float64, (-1, n_classes)),
            "held_distances": (np.float64, (-1,)),
        }
    return shapes


def _check_array(name: str, value: Any, dtype: type[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
    array = np.asarray(value)
    if not np.issubdtype(array.dtype, dtype):
        raise DataError(f"state: {name} must be {dtype.__name__}, is {array.dtype}")
    fits = array.ndim == len(shape) and all(
        want in (-1, have) for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise DataError(f"state: {name} must have shape {shape}, has {array.shape}")
    if not is_unicode(array):
        raise DataError(f"state: {name} holds what is not Unicode text")
    # A distance that is not known is NaN.
    if array.dtype.kind == "f" and name != "held_distances" and not np.isfinite(array).all():
        raise DataError(f"state: {name} has a value that is not finite")
    # A vector of one contiguous piece, whatever it was cut from; no dimension is added.
    return array.copy(order="C")
