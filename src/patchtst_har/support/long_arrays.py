"""Arrays of any length in bounded memory: beyond some size they lie in a file without a name.

A recording of weeks is gigabytes. Its arrays are made by `GrowingArray` and gone through in `blocks`; those
that lie in a file are mapped into memory, and what has been read is given back after each block.
"""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, BinaryIO, Literal, cast

import numpy as np
from numpy.typing import NDArray

from patchtst_har.errors import DataError
from patchtst_har.support.formatting import size

IN_MEMORY_BYTES = 2**25
"""A longer array lies in a file."""

BLOCK_ROWS = 2**16

_GATHERED_ROWS = 2**19
_SEARCHED = 2**10
_GIVE_BACK = getattr(mmap, "MADV_DONTNEED", None)


def is_long(n_bytes: int) -> bool:
    """Whether an array of this size lies in a file."""
    return n_bytes > IN_MEMORY_BYTES


class SpillError(DataError):
    """The folder for temporary files cannot hold a long array."""


class GrowingArray:
    """An array that grows at its end: in place, so that no value is held twice, and later in a file.

    The file has no name, so that it is gone when the array is, or the process, however that ends.

    Parameters
    ----------
    like : ndarray, optional
        Gives type and shape of an array that gets no rows.
    """

    def __init__(self, like: NDArray[Any] | None = None) -> None:
        self._array: NDArray[Any] = np.empty(0) if like is None else like[:0].copy()
        self._file: BinaryIO | None = None
        self._folder = ""
        self.n_rows = 0

    def append(self, values: NDArray[Any]) -> None:
        """Add rows; the first ones give type and shape.

        Raises
        ------
        SpillError
            If the folder for temporary files is full or not writable.
        """
        if not self.n_rows:
            self._array = np.empty((0, *values.shape[1:]), values.dtype)
        n_rows = self.n_rows + len(values)
        if self._file is None and is_long(n_rows * math.prod(self._array.shape[1:]) * self._array.itemsize):
            self._to_file()
        if self._file is not None:
            self._write(values)
        else:
            if n_rows > len(self._array):
                self._resize(max(n_rows, len(self._array) * 9 // 8))
            self._array[self.n_rows : n_rows] = values
        self.n_rows = n_rows

    def whole(self) -> NDArray[Any]:
        """Return the array of all rows; nothing may be added after."""
        if self._file is None:
            self._resize(self.n_rows)
            return self._array
        with self._file as file:
            try:
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_WRITE)
            except OSError as error:
                raise MemoryError(f"a file of {size(file.tell())} cannot be mapped") from error
        return np.frombuffer(content, self._array.dtype).reshape(-1, *self._array.shape[1:])

    def _resize(self, n_rows: int) -> None:
        self._array.resize((n_rows, *self._array.shape[1:]), refcheck=False)

    def _to_file(self) -> None:
        # Where TMPDIR cannot be used, Python would take another folder without a word.
        self._folder = os.environ.get("TMPDIR") or tempfile.gettempdir()
        try:
            self._file = cast(BinaryIO, tempfile.TemporaryFile(buffering=0, dir=self._folder))  # noqa: SIM115
        except OSError as error:
            raise self._error(error) from error
        held, self._array = self._array[: self.n_rows], self._array[:0].copy()
        self._write(held)

    def _write(self, values: NDArray[Any]) -> None:
        rows = np.ascontiguousarray(values, self._array.dtype)
        # Written, not mapped: a full disk is an error then, and no signal that ends the process.
        rest = memoryview(cast(Any, rows.view(np.uint8).reshape(-1))) if rows.size else memoryview(b"")
        try:
            while rest and self._file is not None:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise self._error(error) from error

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()

    def _error(self, error: OSError) -> SpillError:
        return SpillError(
            f"{self._folder} cannot hold a long recording while it is read ({error.strerror or error}); "
            "choose another folder for temporary files (TMPDIR)"
        )


def release(*arrays: NDArray[Any]) -> None:
    """Give back the memory of arrays that lie in files; their values stay."""
    for array in arrays:
        owner: Any = array
        while isinstance(owner, np.ndarray):
            owner = owner.base
        content = owner.obj if isinstance(owner, memoryview) else owner
        if isinstance(content, mmap.mmap) and _GIVE_BACK is not None:
            content.madvise(_GIVE_BACK)


def blocks(n_rows: int, *arrays: NDArray[Any], n_block: int | None = None) -> Iterator[slice]:
    """Yield consecutive rows, and give back the memory of `arrays` after each block."""
    n_block = n_block or BLOCK_ROWS
    for first in range(0, n_rows, n_block):
        yield slice(first, min(first + n_block, n_rows))
        release(*arrays)


def gathered(array: NDArray[Any], rows: NDArray[np.integer[Any]]) -> NDArray[Any]:
    """Return ``array[rows]`` for rows in order."""
    values = np.empty((len(rows), *array.shape[1:]), array.dtype)
    edges = np.searchsorted(rows, np.arange(0, len(array), _GATHERED_ROWS))
    for first, stop in pairwise([*edges.tolist(), len(rows)]):
        if first < stop:
            values[first:stop] = array[rows[first:stop]]
            release(array)
    return values


def searched(
    array: NDArray[Any], values: NDArray[Any], side: Literal["left", "right"] = "left"
) -> NDArray[np.intp]:
    """Return ``np.searchsorted(array, values, side)`` for values in order."""
    found = np.empty(len(values), np.intp)
    for part in blocks(len(values), array, n_block=_SEARCHED):
        found[part] = np.searchsorted(array, values[part], side)
    return found


def flagged(flags: Iterator[tuple[int, NDArray[np.bool_]]]) -> NDArray[np.intp]:
    """Return where flags are set that come in blocks, each with the row of its first one."""
    rows = [first + np.flatnonzero(block) for first, block in flags]
    return np.concatenate(rows) if rows else np.empty(0, np.intp)


def mapped(
    n_rows: int,
    block_of: Callable[[slice], NDArray[Any]],
    *arrays: NDArray[Any],
    like: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Return what a function makes of all rows, block by block, from `arrays`."""
    result = GrowingArray(like)
    for rows in blocks(n_rows, *arrays):
        result.append(block_of(rows))
    return result.whole()


def selected(array: NDArray[Any], rows: NDArray[np.integer[Any]]) -> NDArray[Any]:
    """Return ``array[rows]``, for rows in any order."""
    return mapped(len(rows), lambda part: array[rows[part]], array, rows, like=array)
