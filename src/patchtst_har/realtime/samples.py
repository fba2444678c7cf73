"""Samples as a stream may be given them, made into what the compiled buffer takes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchtst_har._core import WindowBuffer
from patchtst_har.errors import DataError
from patchtst_har.support.single_precision import to_float32

Take = Callable[[int], int]
"""Feeds a buffer from the sample of this number on; returns the first that was not taken."""

_INT64 = np.iinfo(np.int64)


def reader(buffer: WindowBuffer, samples: Any, t: Any) -> Take:
    """Return what feeds `samples` with their stamps `t` to a buffer (see `Stream.push`).

    Raises
    ------
    DataError
        If samples or stamps do not have one of the forms that `Stream.push` names.
    """
    if type(t) is int and type(samples) is tuple and len(samples) == 3 and _INT64.min <= t <= _INT64.max:
        x, y, z = samples
        if type(x) is float and type(y) is float and type(z) is float:
            return partial(buffer.feed_sample, x, y, z, t)
    rows = _rows(samples)
    return partial(buffer.feed, rows, None if t is None else _stamps(t, len(rows)))


def _rows(samples: Any) -> NDArray[np.float32]:
    if isinstance(samples, list | tuple):
        try:
            samples = np.array(samples, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"samples: needs numbers ({error})") from error
    if not isinstance(samples, np.ndarray) or samples.dtype.kind not in "fiu":
        kind = getattr(samples, "dtype", type(samples).__name__)
        raise DataError(f"samples: needs an array of numbers, is {kind}")
    rows = samples[np.newaxis] if samples.ndim == 1 else samples
    if rows.ndim != 2 or rows.shape[1] != 3:
        raise DataError(f"samples: needs shape (n, 3), or (3,) for one sample, has {samples.shape}")
    return np.ascontiguousarray(to_float32(rows))


def _stamps(t: Any, n: int) -> NDArray[np.int64]:
    stamps = np.asarray(t)
    if stamps.dtype.kind == "M":
        missing = np.flatnonzero(np.isnat(stamps))
        if missing.size:
            raise DataError(f"t: stamp {missing[0]} is missing (NaT)")
        stamps = stamps.astype("datetime64[ns]").view(np.int64)
    if stamps.dtype.kind not in "iu":
        raise DataError(f"t: needs integer ns since 1970 or datetime64, is {stamps.dtype}")
    if stamps.ndim == 0:
        stamps = stamps[np.newaxis]
    if stamps.shape != (n,):
        raise DataError(f"t: needs one stamp per sample, shape ({n},), has {stamps.shape}")
    return np.ascontiguousarray(stamps, dtype=np.int64)
