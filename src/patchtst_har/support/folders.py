"""Folders with one writer at a time, and folders that are replaced whole."""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from patchtst_har.errors import DataError
from patchtst_har.support.files import ensure_folder, is_orphan, owner, sync
from patchtst_har.support.locks import is_locked, try_lock_twice

logger = logging.getLogger(__name__)

LOCK_FILE = ".lock"
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
# No link is followed to a file of somebody else, where the system can say so.
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
# Windows renames no folder in which a file is open: there the lock lies next to the folder.
_LOCK_IS_INSIDE = os.name != "nt"

# Which thread holds a folder, and how often: what it calls may lock the folder again.
_held: dict[str, tuple[int, int]] = {}


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold a folder for this thread; it is created, and removed again if it stays empty.

    The lock is the system's (`patchtst_har.support.locks`): that of a process that died, by whatever signal,
    is gone with it.

    Raises
    ------
    DataError
        If another process or thread holds the folder; the message names its number and host.
    OSError
        If nothing can be written there.
    """
    key, me = str(folder.resolve()), threading.get_ident()
    holder, depth = _held.get(key, (me, 0))
    if depth and holder == me:
        _held[key] = me, depth + 1
        try:
            yield
        finally:
            _held[key] = me, depth
        return
    missing = _missing(folder)
    descriptor = _acquire(folder)
    _held[key] = me, 1
    try:
        yield
    finally:
        del _held[key]
        _release(descriptor, _lock_file(folder))
        for created in missing:
            with suppress(OSError):
                created.rmdir()


def is_held(folder: Path) -> bool:
    """Whether a living process holds a folder (`folder_lock`), this one included."""
    try:
        descriptor = os.open(_lock_file(folder), os.O_RDONLY | _NO_LINK)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        return is_locked(descriptor)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    finally:
        os.close(descriptor)
    return False


def _missing(folder: Path) -> list[Path]:
    """Return which of a path's folders are missing, the innermost first."""
    return [path for path in (folder, *folder.absolute().parents) if not path.exists()]


def _lock_file(folder: Path) -> Path:
    if _LOCK_IS_INSIDE:
        return folder / LOCK_FILE
    folder = folder.resolve()
    return folder.with_name(f".{folder.name}{LOCK_FILE}")


def _release(descriptor: int, path: Path) -> None:
    if not _LOCK_IS_INSIDE:
        # Another may have opened it by now, and keeps it.
        os.close(descriptor)
        with suppress(OSError):
            path.unlink()
        return
    # While it is held: whoever waits for this file sees that it is another one now.
    path.unlink(missing_ok=True)
    os.close(descriptor)


def _acquire(folder: Path) -> int:
    path = _lock_file(folder)
    while True:
        ensure_folder(folder)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o644)
        try:
            _lock(descriptor, folder)
            # Its last holder may have removed it between the two calls.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    os.ftruncate(descriptor, 0)
                    os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        try_lock_twice(descriptor)
    except BlockingIOError as error:
        holder = os.read(descriptor, 200).decode("utf-8", "replace") or "another process"
        raise DataError(
            f"{folder}: is being written by {holder}; wait for it, or choose another folder"
        ) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        logger.warning("%s: its file system has no locks; nothing else may write there", folder)


def stage_of(folder: Path, kind: str) -> Path:
    """Return a name next to a folder, for a stage of its replacement by this process."""
    folder = folder.resolve()
    return folder.with_name(f".{folder.name}.{owner()}.{kind}")


def left_stages(folder: Path, kind: str) -> list[Path]:
    """Return what processes that are gone left under such names."""
    folder = folder.resolve()
    start, end = f".{folder.name}.", f".{kind}"
    if not folder.parent.is_dir():
        return []
    found = (path for path in folder.parent.iterdir() if path.name.startswith(start))
    return [
        path
        for path in found
        if path.name.endswith(end) and is_orphan(path, path.name[len(start) : -len(end)])
    ]


def exchange(one: Path, other: Path) -> None:
    """Exchange two folders' names in one step; a lock on `one` holds for what has its name afterwards.

    Where the file system cannot, it takes three renames: a kill between them leaves both folders whole, but
    may leave `one` under a name next to it that ends in ``.moved``.

    Raises
    ------
    OSError
        If a folder is in use as a mount point, or the place next to it cannot be written.
    """
    one, other = one.resolve(), other.resolve()  # What a link leads to is exchanged, not the link.
    # One more name of the same file, where the file system has such.
    if (one / LOCK_FILE).exists():
        with suppress(OSError):
            (other / LOCK_FILE).hardlink_to(one / LOCK_FILE)
    library = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    renameat2 = getattr(library, "renameat2", None)
    paths = os.fsencode(one), os.fsencode(other)
    if renameat2 is not None:
        if renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0:
            sync(one.parent)
            return
        number = ctypes.get_errno()
        if number not in _NO_EXCHANGE:
            raise OSError(number, os.strerror(number), str(one))
    moved = stage_of(one, "moved")
    one.rename(moved)
    other.rename(one)
    moved.rename(other)
    sync(one.parent)
