"""Windows of many participants that stay on disk: any of them are read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from patchtst_har.support.stored_arrays import Read, StoredArray

_BLOCK = 1024


class WindowStore:
    """Windows (n, T, 3) in several files or arrays, which follow each other.

    It is indexed like an array, by a number, a slice or an array of rows, and gives a new array; nothing that
    was read is kept. Reads are sorted, and each file is opened once for all that is read of it.

    Parameters
    ----------
    parts : sequence of StoredArray or ndarray of float32, shape (n_i, T, 3)
        At least one; C order.

    Attributes
    ----------
    shape : tuple of int
        (n, T, 3).
    """

    dtype = np.dtype(np.float32)
    ndim = 3

    def __init__(self, parts: Sequence[StoredArray | NDArray[np.float32]]) -> None:
        self._parts = tuple(parts)
        self._firsts = np.cumsum([0, *(part.shape[0] for part in parts)])
        self.shape: tuple[int, ...] = (int(self._firsts[-1]), *parts[0].shape[1:])

    @classmethod
    def of(cls, windows: WindowArray) -> WindowStore:
        """Return windows as a store; those in memory are shared."""
        return windows if isinstance(windows, cls) else cls([np.ascontiguousarray(windows)])

    @classmethod
    def join(cls, stores: Iterable[WindowStore]) -> WindowStore:
        """Return stores as one."""
        return cls([part for store in stores for part in store._parts])

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of all windows."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __getitem__(self, rows: int | np.integer[Any] | slice | NDArray[Any]) -> NDArray[np.float32]:
        if isinstance(rows, int | np.integer):
            window: NDArray[np.float32] = self._rows(np.array([range(len(self))[rows]]))[0]
            return window
        if not isinstance(rows, slice):
            asked = np.asarray(rows)
            return self._rows(np.flatnonzero(asked) if asked.dtype == bool else _places(asked, len(self)))
        first, end, step = rows.indices(len(self))
        if step != 1:
            return self._rows(np.arange(first, end, step))
        out = np.empty((max(end - first, 0), *self.shape[1:]), np.float32)
        for part, begin in zip(self._parts, self._firsts.tolist(), strict=False):
            low, high = max(first, begin), min(end, begin + part.shape[0])
            if low < high:
                with _reader(part) as read:
                    read((low - begin) * out[0].size, out[low - first : high - first])
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("windows on disk cannot be an array without being read")
        return self[:].astype(self.dtype if dtype is None else dtype, copy=False)

    def read_samples(self, starts: NDArray[np.int64], targets: Sequence[NDArray[np.float32]]) -> None:
        """Fill each target (m_i, 3) with the samples from a place on.

        Parameters
        ----------
        starts : ndarray of int64, shape (k,)
            Places of samples, counted over all windows one after another.
        targets : sequence of k ndarrays of float32, C order
            Each within the windows of one part.
        """
        size, n_axes = self.shape[1:]
        order = np.argsort(starts, kind="stable")
        of_part = np.searchsorted(self._firsts * size, starts[order], side="right") - 1
        for number in np.unique(of_part).tolist():
            base = int(self._firsts[number]) * size
            with _reader(self._parts[number]) as read:
                for row in order[of_part == number].tolist():
                    read((int(starts[row]) - base) * n_axes, targets[row])

    def _rows(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        out = np.empty((len(rows), *self.shape[1:]), np.float32)
        self.read_samples(rows * self.shape[1], list(out))
        return out


WindowArray = NDArray[np.float32] | WindowStore
"""Windows (n, T, 3) in memory, or read when they are indexed."""


class SlicedWindows(Protocol):
    """Windows (n, T, 3) of which any that follow each other can be had."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, T, 3)."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> NDArray[np.float32]: ...


def blocks_of_windows(windows: SlicedWindows, size: int = _BLOCK) -> Iterator[NDArray[np.float32]]:
    """Yield windows in order, at most `size` at a time."""
    for first in range(0, len(windows), size):
        yield windows[first : first + size]


def _places(rows: NDArray[Any], n: int) -> NDArray[np.int64]:
    """Return rows that count from the front; refuse those that do not exist."""
    places = np.where(rows < 0, rows + n, rows).astype(np.int64)
    if places.size and not 0 <= places.min() <= places.max() < n:
        raise IndexError(f"there are {n} windows, asked for rows from {rows.min()} to {rows.max()}")
    return places


def _reader(part: StoredArray | NDArray[np.float32]) -> AbstractContextManager[Read]:
    return part.reader() if isinstance(part, StoredArray) else _held(part)


@contextmanager
def _held(part: NDArray[np.float32]) -> Iterator[Read]:
    values = part.reshape(-1)

    def read(first: int, out: NDArray[Any]) -> None:
        out.reshape(-1)[:] = values[first : first + out.size]

    yield read
