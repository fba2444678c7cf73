"""Guarded reading and atomic writing of NPZ archives.

An archive may come from anyone: object arrays (pickles) are never read, a member name that occurs twice is
refused, and the size that a header declares is held against the archive and a cap before any memory is
allocated.
"""

from __future__ import annotations

import io
import math
import os
import sys
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from patchtst_har.errors import DataError
from patchtst_har.support.files import atomic_path
from patchtst_har.support.formatting import listed
from patchtst_har.support.long_arrays import GrowingArray, blocks, is_long
from patchtst_har.support.zip_archives import open_zip

MAX_EXPANDED_BYTES = 16 * 2**30
"""Default cap on the memory of all arrays read from one archive."""

# The DEFLATE format cannot expand further than this (https://zlib.net/zlib_tech.html).
_MAX_DEFLATE_RATIO = 1032
# NumPy reads a header of any declared length before it refuses what is longer than this.
_MAX_HEADER_BYTES = 10_000
_LONG_BYTES = 2**20


def read_npz(
    path: str | os.PathLike[str],
    required: Sequence[str],
    optional: Sequence[str] = (),
    *,
    max_bytes: int = MAX_EXPANDED_BYTES,
    long: bool = False,
) -> dict[str, NDArray[Any]]:
    """Read named arrays from an NPZ archive that is not trusted.

    Parameters
    ----------
    path : path-like
        The archive.
    required : sequence of str
        Arrays that must be there.
    optional : sequence of str
        Arrays that are read if they are there.
    max_bytes : int
        Cap on the sum of the sizes that the arrays' headers declare.
    long : bool
        Let large arrays lie in files in place of memory (`patchtst_har.support.long_arrays`).

    Returns
    -------
    dict of str to numpy.ndarray
        The arrays found, in the order asked for.

    Raises
    ------
    DataError
        If the file is missing, unreadable, no archive or damaged; if a member name occurs twice, a required
        array is absent, an array holds objects, or a declared size (of the list of members, of a header, of
        an array) exceeds its cap or what the archive can hold.
    """
    with open_archive(Path(path)) as archive:
        names = member_names(archive, required, path)
        wanted = [*required, *(name for name in optional if f"{name}.npy" in names)]
        total = sum(declared_bytes(archive, name, path) for name in wanted)
        if total > max_bytes:
            raise DataError(f"{path}: its arrays declare {total:,} bytes, more than the cap of {max_bytes:,}")
        read = _read_long if long else _read_member
        return {name: read(archive, name, path) for name in wanted}


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as an uncompressed NPZ archive, whole or not at all.

    Raises
    ------
    DataError
        If an array holds objects.
    OSError
        If the folder is missing or not writable.
    """
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise DataError(f"{path}: array {name!r} holds objects, which are not written")
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **cast("dict[str, Any]", dict(arrays)))


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive; what is wrong with it, or while it is read, is a `DataError` that names it."""
    try:
        with path.open("rb") as file, open_zip(file, path, "an NPZ archive") as archive:
            yield archive
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise DataError(f"{path}: is a folder, an NPZ file is needed") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def member_names(
    archive: zipfile.ZipFile, required: Sequence[str], path: str | os.PathLike[str]
) -> list[str]:
    """Return the names of an archive's members; refuse one that occurs twice or lacks a required array."""
    names = archive.namelist()
    for name in sorted(name for name, count in Counter(names).items() if count > 1):
        raise DataError(f"{path}: the archive has two members named {name!r}")
    missing = [name for name in required if f"{name}.npy" not in names]
    if missing:
        found = listed(sorted(name.removesuffix(".npy") for name in names)) or "nothing"
        raise DataError(f"{path}: no array {', '.join(map(repr, missing))} (found: {found})")
    return names


def declared_bytes(archive: zipfile.ZipFile, name: str, path: str | os.PathLike[str]) -> int:
    """Return the size that a member's header declares, checked against the archive."""
    member = archive.getinfo(f"{name}.npy")
    with open_member(archive, name, path) as file:
        shape, _, dtype = npy_header(file, name, path)
        header_bytes = file.tell()
    if dtype.hasobject:
        raise DataError(f"{path}: array {name!r} holds objects (a pickle), which are never read")
    if dtype.itemsize == 0 and 0 not in shape:
        raise DataError(f"{path}: array {name!r} declares shape {shape} of {dtype}, values without a size")
    declared = math.prod(shape) * dtype.itemsize
    if declared != member.file_size - header_bytes:
        raise DataError(
            f"{path}: array {name!r} declares shape {shape} of {dtype}, {declared:,} bytes, "
            f"but its member holds {member.file_size - header_bytes:,}"
        )
    ratio = 1 if member.compress_type == zipfile.ZIP_STORED else _MAX_DEFLATE_RATIO
    if member.file_size > ratio * max(member.compress_size, 1):
        raise DataError(
            f"{path}: array {name!r} declares {declared:,} bytes, "
            f"which {member.compress_size:,} stored bytes cannot hold"
        )
    return declared


def npy_header(
    file: BinaryIO, name: str, path: str | os.PathLike[str]
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read shape, whether the order is Fortran's, and type of an array from the head of its member."""
    unreadable = f"{path}: array {name!r} has no readable NPY header"
    try:
        version = np.lib.format.read_magic(file)
    except ValueError as error:
        raise DataError(f"{unreadable} ({error})") from error
    if version not in ((1, 0), (2, 0)):
        raise DataError(f"{path}: array {name!r} has NPY version {version}, which is not read")
    length = file.read(2 if version == (1, 0) else 4)
    n_bytes = int.from_bytes(length, "little")
    if n_bytes > _MAX_HEADER_BYTES:
        raise DataError(f"{unreadable} ({n_bytes:,} bytes, at most {_MAX_HEADER_BYTES:,} are read)")
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        with warnings.catch_warnings():
            # Of the compiler, on what no writer writes.
            warnings.simplefilter("error", DeprecationWarning)
            warnings.simplefilter("error", SyntaxWarning)
            shape, fortran_order, dtype = reader(io.BytesIO(length + file.read(n_bytes)))
    # NumPy evaluates the header as a Python literal, and lets through whatever that raises: SyntaxError,
    # TokenError, MemoryError and RecursionError (deep nesting), TypeError, OverflowError.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{unreadable} ({reason})") from error
    if not all(type(size) is int and 0 <= size <= sys.maxsize for size in shape):
        raise DataError(f"{unreadable} (its shape is not made of whole numbers up to {sys.maxsize})")
    return shape, fortran_order, dtype


def is_unicode(array: NDArray[Any]) -> bool:
    """Return whether an array of text holds characters alone; one of another type holds no others.

    NumPy trusts the file: what is no character ends in an error of the interpreter, or in another text.
    """
    if array.dtype.kind != "U" or array.dtype.itemsize == 0:
        return True
    flat = np.ascontiguousarray(array).reshape(-1)
    points = flat.view(np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
    beyond = points.size and points.max() > sys.maxunicode
    return not (beyond or ((points >= 0xD800) & (points < 0xE000)).any())


def _read_member(archive: zipfile.ZipFile, name: str, path: str | os.PathLike[str]) -> NDArray[Any]:
    with open_member(archive, name, path) as file:
        try:
            array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        except (ValueError, OverflowError) as error:
            raise DataError(f"{path}: array {name!r} cannot be read ({error})") from error
    return array


def _read_long(archive: zipfile.ZipFile, name: str, path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read what `_read_member` reads, whose header has been checked, without holding it in memory."""
    with open_member(archive, name, path) as file:
        shape, by_columns, dtype = npy_header(file, name, path)
        if not is_long(math.prod(shape) * dtype.itemsize):
            return _read_member(archive, name, path)
        values = GrowingArray()
        n_at_a_time = max(_LONG_BYTES // dtype.itemsize, 1)
        for rows in blocks(math.prod(shape), n_block=n_at_a_time):
            content = file.read((rows.stop - rows.start) * dtype.itemsize)
            if len(content) < (rows.stop - rows.start) * dtype.itemsize:
                raise DataError(f"{path}: array {name!r} cannot be read (the member ends early)")
            values.append(np.frombuffer(content, dtype))
        flat = values.whole()
        return flat.reshape(shape[::-1]).T if by_columns else flat.reshape(shape)


@contextmanager
def open_member(archive: zipfile.ZipFile, name: str, path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open the member of an array."""
    try:
        file = archive.open(f"{name}.npy")
    except (NotImplementedError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: array {name!r} cannot be read ({error})") from error
    with file:
        yield cast(BinaryIO, file)
