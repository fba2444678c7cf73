"""Writes that either happen whole or not at all.

Every file goes to a temporary in the target's own folder, is flushed to disk and then renamed over the
target. A process killed in between leaves the previous file and an orphan temporary, which the next
process of this machine that writes to the same folder removes.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import socket
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from patchtst_har.errors import DataError
from patchtst_har.support.documents import MOST_JSON_BYTES, parse_json, read_text
from patchtst_har.support.names import printable

_SUFFIX = ".part"
_WINDOWS = os.name == "nt"
_SURROGATES = re.compile("[\ud800-\udfff]")


@contextmanager
def atomic_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path to write to; on a clean exit it replaces `target` atomically.

    Parameters
    ----------
    target : path-like
        The file to create or replace. Its folder must exist.

    Yields
    ------
    pathlib.Path
        An empty temporary file in the same folder. If the block raises, it is removed and `target` is
        left as it was.

    Raises
    ------
    OSError
        If the folder is missing or not writable, or the disk is full; names `target`.
    """
    target = Path(target)
    _clean_now_and_then(target.parent)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.{owner()}.", suffix=_SUFFIX)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        sync(temporary)
        temporary.replace(target)
        sync(target.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(temporary)):
            raise OSError(error.errno, error.strerror, str(target)) from error
        raise


@contextmanager
def errors_named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Give an error of the system that names no file, such as that of a full disk, the name of this one."""
    try:
        yield
    except OSError as error:
        if error.errno and error.filename is None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def atomic_write_text(target: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8 to `target`, whole or not at all; file names in it need not be UTF-8."""
    with atomic_path(target) as temporary:
        temporary.write_text(printable(text), encoding="utf-8")


def atomic_write_json(target: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all; NaN and infinity are refused."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    # Escaped twice: JSON's own escape would be read as half a surrogate pair again.
    atomic_write_text(target, _SURROGATES.sub(lambda half: "\\" + printable(half[0]), text) + "\n")


def read_json(path: str | os.PathLike[str], most_bytes: int = MOST_JSON_BYTES) -> Any:
    """Read a JSON file that may come from anyone.

    Raises
    ------
    DataError
        If the file is not a regular one, larger than `most_bytes`, not UTF-8, or not JSON as `parse_json`
        accepts it; the message names the file, and line and column if known.
    OSError
        If the file cannot be opened.
    """
    return parse_json(read_text(Path(path), most_bytes), str(path))


def ensure_folder(folder: str | os.PathLike[str]) -> Path:
    """Create `folder` and its parents; fail early, with its name, if nothing can be written there."""
    folder = Path(folder)
    _nearest(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _probe(folder, folder)
    return folder


def check_writable(folder: str | os.PathLike[str]) -> None:
    """Fail early, as `ensure_folder` would, but leave no new folder: for results that take long to make."""
    _probe(_nearest(Path(folder)), Path(folder))


def _nearest(folder: Path) -> Path:
    """Return `folder`, or the nearest one above it that exists; refuse a file on the way."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not nearest.is_dir():
        wrong = "is a file, a folder is needed" if nearest == folder else "a part of this path is a file"
        raise DataError(f"{folder}: {wrong}")
    return nearest


def _probe(folder: Path, asked_for: Path) -> None:
    """Create a file and remove it: permission bits lie to root and on network shares."""
    try:
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".probe.{owner()}.", suffix=_SUFFIX)
    except OSError as error:
        raise OSError(error.errno, f"cannot be written ({error.strerror})", str(asked_for)) from error
    os.close(handle)
    Path(name).unlink()


def clean_orphans(folder: Path) -> None:
    """Remove temporaries in `folder` whose process is gone; those of other containers are left for a week."""
    for path in folder.glob(f".*{_SUFFIX}"):
        if is_orphan(path, path.name.removesuffix(_SUFFIX).split(".")[-2]):
            path.unlink(missing_ok=True)


def is_orphan(path: Path, owned_by: str) -> bool:
    """Whether the process that made a temporary file or folder is gone; `owned_by`: its `owner`."""
    place, _, pid = owned_by.rpartition("-")
    known = place == _pid_space() and pid.isdigit()
    # Of another boot or container nothing can be known, but nobody writes one file for a week.
    return (known and not _alive(int(pid))) or (pid.isdigit() and _age_s(path) > _WEEK_S)


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


_CLEANED_S: dict[str, float] = {}
_CLEAN_EVERY_S = 60.0
_WEEK_S = 7 * 86_400.0


def _clean_now_and_then(folder: Path) -> None:
    """Clean at most once a minute: listing a folder of 100,000 files takes 0.1 s."""
    now, key = time.monotonic(), str(folder.absolute())
    if now - _CLEANED_S.get(key, -math.inf) >= _CLEAN_EVERY_S:
        _CLEANED_S[key] = now
        clean_orphans(folder)


@cache
def _pid_space() -> str:
    """Name where a process number means one process: host, boot and container (PID namespace)."""
    host = socket.gethostname().replace(".", "_") or "host"
    marks = []
    with contextlib.suppress(OSError):
        marks.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        marks.append(str(Path("/proc/self/ns/pid").readlink()))
    return f"{host}-{zlib.crc32(''.join(marks).encode()):08x}"


def owner() -> str:
    """Name this process among those of all hosts and containers, without dots."""
    return f"{_pid_space()}-{os.getpid()}"


def _alive(pid: int) -> bool:
    # Windows takes signal 0 for Ctrl-C: nobody is asked there, and what was left stays for a week.
    if _WINDOWS:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        # One that was killed, and that its parent has not asked about, writes nothing any more.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return True


def sync(path: Path) -> None:
    """Have a file's content, or a folder's entries, on the disk before going on."""
    # Windows opens no folders, writes their entries itself, and wants a file open for writing.
    if _WINDOWS and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if _WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    # The umask can only be read by setting it; 0o077 in between can only make a racing file stricter.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
