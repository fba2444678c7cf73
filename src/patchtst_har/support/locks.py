"""Locks on open files, which end with the process that holds them: ``flock``, and Windows' lock of a byte."""

from __future__ import annotations

import errno
import os
import time

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

    _HAS_FLOCK = False
else:
    _HAS_FLOCK = True

# Where Windows locks a byte nobody reads it either: far behind what stands in the file.
_PLACE = 2**30
_TRY_AGAIN_S = 0.05


def try_lock_twice(descriptor: int) -> None:
    """Lock an open file until it is closed; the second try is for those who only look (`is_locked`).

    Raises
    ------
    BlockingIOError
        If another has it.
    OSError
        If its file system has no locks.
    """
    try:
        _try_lock(descriptor)
    except BlockingIOError:
        time.sleep(_TRY_AGAIN_S)
        _try_lock(descriptor)


def is_locked(descriptor: int) -> bool:
    """Whether another has the lock of an open file; locks it for a moment.

    Raises
    ------
    OSError
        If its file system has no locks.
    """
    try:
        # Windows has no shared locks, so that those who look meet each other, too.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB) if _HAS_FLOCK else try_lock_twice(descriptor)
    except BlockingIOError:
        return True
    return False


def wait_for_lock(descriptor: int) -> None:
    """Lock an open file until it is closed, as soon as nobody else has it."""
    if _HAS_FLOCK:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return
    while True:
        try:
            _try_lock(descriptor)
        except BlockingIOError:
            time.sleep(_TRY_AGAIN_S)
        else:
            return


def _try_lock(descriptor: int) -> None:
    if _HAS_FLOCK:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    os.lseek(descriptor, _PLACE, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EDEADLK):
            raise
        raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK)) from error
    finally:
        os.lseek(descriptor, 0, os.SEEK_SET)
