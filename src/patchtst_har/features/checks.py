"""Checks of the arguments that the feature functions share; the messages name shapes and values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchtst_har.errors import DataError

Float32Array = NDArray[np.float32]

MAX_SAMPLES = 2**20
"""Longest window that is accepted, in samples."""

MAX_RATE_HZ = float(np.finfo(np.float32).max)
"""Highest sampling rate that is accepted: frequencies are float32."""

# Looked up once: these checks are a tenth of the time of a window's statistics.
_FLOAT32 = np.dtype(np.float32)
_MASKED = np.ma.MaskedArray
_NUMBERS = (int, float, np.integer, np.floating)


def check_window(window: Any) -> Float32Array:
    """Return `window` if it is a (T, 3) C-ordered float32 array with 1 <= T <= `MAX_SAMPLES`."""
    return _checked_samples(window, "window", ("n_samples", "3"))


def check_windows(windows: Any) -> Float32Array:
    """Return `windows` if it is an (n, T, 3) C-ordered float32 array with 1 <= T <= `MAX_SAMPLES`."""
    return _checked_samples(windows, "windows", ("n_windows", "n_samples", "3"))


def check_strided_windows(windows: Any) -> Float32Array:
    """As `check_windows`, but only each window has to be contiguous: they may overlap or lie apart."""
    return _checked_samples(windows, "windows", ("n_windows", "n_samples", "3"), strided=True)


def check_rate(sr: Any) -> float:
    """Return the sampling rate as a float if it is a positive number that is finite in float32."""
    if isinstance(sr, bool) or not isinstance(sr, _NUMBERS):
        raise TypeError(f"sr must be a number of Hz, not {type(sr).__name__}")
    if not 0 < sr <= MAX_RATE_HZ:
        raise DataError(f"sr must be positive and finite, in Hz, not {sr!r} (at most {MAX_RATE_HZ:.3g})")
    return float(sr)


def checked_count(value: Any, name: str) -> int:
    """Return `value` as an int if it is an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}")
    if value < 1:
        raise DataError(f"{name} must be at least 1, not {value}")
    return int(value)


def check_threads(n_threads: Any) -> int:
    """Return `n_threads` as an int if it is an integer of at least 1."""
    return checked_count(n_threads, "n_threads")


def check_batch_size(batch_size: Any) -> int | None:
    """Return `batch_size` as an int if it is an integer of at least 1, or None if it is that."""
    return None if batch_size is None else checked_count(batch_size, "batch_size")


def check_out(out: Any, n_windows: int, n_features: int, windows: Float32Array) -> Float32Array:
    """Return `out`, or a new array if it is None; refuse one that does not fit or overlaps `windows`."""
    shape = (n_windows, n_features)
    if out is None:
        return np.empty(shape, np.float32)
    array = _checked_array(out, "out")
    if array.shape != shape:
        raise DataError(f"out must have shape {shape}, not {array.shape}")
    if not array.flags.writeable:
        raise DataError("out is read-only")
    if np.may_share_memory(array, windows):
        raise DataError("out shares memory with windows")
    return array


def _checked_samples(value: Any, name: str, axes: tuple[str, ...], *, strided: bool = False) -> Float32Array:
    array = _checked_array(value, name, strided=strided)
    shape = array.shape
    if len(shape) != len(axes) or shape[-1] != 3:
        raise DataError(f"{name} must have shape ({', '.join(axes)}), not {shape}{_hint(array, axes)}")
    if not 1 <= shape[-2] <= MAX_SAMPLES:
        raise DataError(f"{name} must have 1 to {MAX_SAMPLES} samples, has shape {shape}")
    return array


def _checked_array(value: Any, name: str, *, strided: bool = False) -> Float32Array:
    if type(value) is not np.ndarray and (not isinstance(value, np.ndarray) or isinstance(value, _MASKED)):
        raise TypeError(f"{name} must be a numpy array, not {type(value).__name__}")
    if value.dtype != _FLOAT32:
        raise DataError(
            f"{name} must be float32, not {value.dtype} (shape {value.shape}): pass {name}.astype(np.float32)"
        )
    flags = value.flags
    contiguous = flags.c_contiguous or (strided and value.ndim == 3 and value[:1].flags.c_contiguous)
    if not (contiguous and flags.aligned):
        raise DataError(
            f"{name} of shape {value.shape} must be C-ordered and aligned: pass np.ascontiguousarray({name})"
        )
    return value


def _hint(array: NDArray[Any], axes: tuple[str, ...]) -> str:
    if array.ndim == len(axes) and array.shape[-2] == 3:
        return ": channels come last, swap the last two axes"
    if array.ndim == len(axes) - 1:
        return ": one window needs a leading axis, pass windows[np.newaxis]"
    if array.ndim == len(axes) + 1:
        return ": several windows at once need the _batch function"
    return ""
