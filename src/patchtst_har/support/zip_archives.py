"""Guarded opening of zip archives, which may come from anyone."""

from __future__ import annotations

import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from patchtst_har.errors import DataError

# Of the list of members, which is read as a whole when an archive is opened: some 10,000 of them.
_MAX_DIRECTORY_BYTES = 2**20
_END, _END_64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64_BYTES = 20
_ENCRYPTED = 1
_DAMAGED = (
    zipfile.BadZipFile,
    NotImplementedError,
    UnicodeDecodeError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    EOFError,
)


@contextmanager
def open_zip(file: BinaryIO, path: Path, kind: str = "a zip archive") -> Iterator[zipfile.ZipFile]:
    """Open an archive; what is wrong with it, or while it is read, is a `DataError` that names `path`.

    Parameters
    ----------
    file : binary file
        The archive.
    path : pathlib.Path
        Its name.
    kind : str
        What it should be, for messages.
    """
    try:
        _check_directory(file, path)
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                if member.flag_bits & _ENCRYPTED:
                    raise DataError(f"{path}: {member.filename!r} is encrypted")
            yield archive
    except _DAMAGED as error:
        raise DataError(f"{path}: not {kind}, or a damaged one ({error})") from error


def _check_directory(file: BinaryIO, path: Path) -> None:
    """Refuse a list of members that is too long, before it is read; what is no archive passes."""
    n_bytes = file.seek(0, os.SEEK_END)
    start = max(n_bytes - _END.size - 2**16, 0)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if 0 <= at <= len(tail) - _END.size:
        sizes = [_END.unpack_from(tail, at)[5]]
        # Archives of more than 4 GiB have a second, larger end record before the first.
        at_64 = start + at - _LOCATOR_64_BYTES - _END_64.size
        if at_64 >= 0:
            file.seek(at_64)
            record = _END_64.unpack(file.read(_END_64.size))
            if record[0] == b"PK\x06\x06":
                sizes = [record[8]]
        if sizes[0] > _MAX_DIRECTORY_BYTES:
            raise DataError(
                f"{path}: the archive's list of members takes {sizes[0]:,} bytes, "
                f"more than {_MAX_DIRECTORY_BYTES:,}"
            )
    file.seek(0)
