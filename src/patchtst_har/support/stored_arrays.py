"""Arrays that stay on disk: pieces of them are read from an uncompressed NPZ archive when they are needed.

They are read, not mapped: pages of a map count as memory of the process until the system takes them back, and
a file that becomes shorter ends a process that has mapped it. The system's cache of files serves both.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchtst_har.errors import DataError
from patchtst_har.support.files import atomic_path
from patchtst_har.support.npz import (
    MAX_EXPANDED_BYTES,
    declared_bytes,
    member_names,
    npy_header,
    open_archive,
    open_member,
    read_npz,
    write_npz,
)

_BLOCK_BYTES = 2**20
# Windows would take line ends for text.
_BINARY = getattr(os, "O_BINARY", 0)
_seeking = Lock()
# Of a member's own header: lengths of its name and of its extra field.
_LOCAL_HEADER_BYTES, _LENGTHS, _LENGTHS_AT = 30, struct.Struct("<HH"), 26

Read = Callable[[int, NDArray[Any]], None]
"""Fill an array with the values from a place on; the place counts values of the flat array."""


@dataclass(frozen=True)
class StoredArray:
    """An array in an NPZ archive, described without reading its values.

    Attributes
    ----------
    path : pathlib.Path
        The archive.
    name : str
        The array's name in it.
    shape : tuple of int
    dtype : numpy.dtype
    in_place : bool
        Whether its values stand in the file as they are in memory: not compressed, C order.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    in_place: bool
    _start: int = field(repr=False)
    _header_bytes: int = field(repr=False)
    _crc: int = field(repr=False)
    _stamp: tuple[int, ...] = field(repr=False)

    @classmethod
    def find(cls, path: Path, name: str) -> StoredArray:
        """Describe an array of an archive that is not trusted.

        Raises
        ------
        DataError
            As `patchtst_har.support.npz.read_npz`, but for the cap: nothing is read into memory.
        """
        with open_archive(path) as archive:
            member_names(archive, (name,), path)
            declared_bytes(archive, name, path)
            member = archive.getinfo(f"{name}.npy")
            with open_member(archive, name, path) as file:
                shape, fortran_order, dtype = npy_header(file, name, path)
                header_bytes = file.tell()
        in_place = member.compress_type == zipfile.ZIP_STORED and not fortran_order
        with _opened(path) as handle:
            local = bytearray(_LOCAL_HEADER_BYTES)
            _read_at(handle, memoryview(local), member.header_offset)
            start = member.header_offset + len(local) + sum(_LENGTHS.unpack_from(local, _LENGTHS_AT))
            stamp = _stamp(handle)
        return cls(path, name, shape, dtype, in_place, start, header_bytes, member.CRC, stamp)

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Open the file for some reads.

        Raises
        ------
        DataError
            If the file is gone, was replaced or written to since it was described, or cannot be read.
        """
        if not self.in_place:
            raise ValueError(f"{self.path}: {self.name} is compressed or not in C order")
        with _opened(self.path) as handle:
            if _stamp(handle) != self._stamp:
                raise DataError(f"{self.path}: was replaced or written to while it was in use; begin again")
            values = self._start + self._header_bytes

            def read(first: int, out: NDArray[Any]) -> None:
                self._read(handle, values + first * self.dtype.itemsize, out.reshape(-1).view(np.uint8).data)

            yield read

    def check_values(self) -> None:
        """Compare the values with the checksum that the archive keeps of them.

        Raises
        ------
        DataError
            If they differ.
        """
        crc, place, left = 0, self._start, self._header_bytes + self.n_bytes
        block = memoryview(bytearray(_BLOCK_BYTES))
        with _opened(self.path) as handle:
            while left:
                piece = block[: min(left, len(block))]
                self._read(handle, place, piece)
                crc, place, left = zlib.crc32(piece, crc), place + len(piece), left - len(piece)
        if crc != self._crc:
            raise DataError(f"{self.path}: array {self.name!r} is damaged (its checksum is another)")

    @property
    def n_bytes(self) -> int:
        """Bytes of the values."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def _read(self, handle: int, place: int, out: memoryview) -> None:
        done = 0
        while done < len(out):
            n_bytes = _read_at(handle, out[done:], place + done)
            if n_bytes == 0:
                raise DataError(f"{self.path}: ends before array {self.name!r} does")
            done += n_bytes


def extract_array(source: StoredArray, target: Path) -> None:
    """Write an array as the only one of an archive from which it can be read in place.

    Its values are never in memory as a whole, unless their order is not that of C.

    Raises
    ------
    DataError
        If the source is damaged or larger than `MAX_EXPANDED_BYTES`.
    OSError
        If the target cannot be written; it names it.
    """
    if source.n_bytes > MAX_EXPANDED_BYTES:
        raise DataError(
            f"{source.path}: array {source.name!r} declares {source.n_bytes:,} bytes, more than the cap of "
            f"{MAX_EXPANDED_BYTES:,}"
        )
    with open_archive(source.path) as archive, open_member(archive, source.name, source.path) as file:
        _, fortran_order, _ = npy_header(file, source.name, source.path)
    with atomic_path(target) as temporary:
        if fortran_order:
            values = read_npz(source.path, (source.name,))[source.name]
            write_npz(temporary, {source.name: np.ascontiguousarray(values)})
        else:
            with (
                zipfile.ZipFile(temporary, "w") as archive,
                archive.open(f"{source.name}.npy", "w", force_zip64=True) as sink,
            ):
                for block in _member_blocks(source):
                    sink.write(block)
        # Another process that writes the same file replaces it by one that cannot be told from it.
        os.utime(temporary, (0, 0))


def _member_blocks(source: StoredArray) -> Iterator[bytes]:
    # A generator: an error of the one who writes the blocks is not taken for one of the archive.
    with open_archive(source.path) as archive, open_member(archive, source.name, source.path) as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        handle = os.open(path, os.O_RDONLY | _BINARY)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    try:
        yield handle
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    finally:
        os.close(handle)


def _read_at(handle: int, out: memoryview, place: int) -> int:
    """Fill memory with the bytes from a place on, as many as come at once; return their number."""
    if hasattr(os, "preadv"):
        return os.preadv(handle, [out], place)
    # The place in the file is one for all threads.
    with _seeking:
        os.lseek(handle, place, os.SEEK_SET)
        found = os.read(handle, min(len(out), _BLOCK_BYTES))
    out[: len(found)] = found
    return len(found)


def _stamp(handle: int) -> tuple[int, ...]:
    status = os.fstat(handle)
    return status.st_size, status.st_mtime_ns
