"""Writes that either happen whole or not at all.

Every file goes to a temporary in the target's own folder, is flushed to disk and then renamed over the
target. A process killed in between leaves the previous file and an orphan temporary, which the next
write to the same folder removes.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from patchtst_har.errors import DataError

_SUFFIX = ".part"


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
        If the folder is missing or not writable.
    """
    target = Path(target)
    clean_orphans(target.parent)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.{_owner()}.", suffix=_SUFFIX)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        _sync(temporary)
        temporary.replace(target)
        _sync(target.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def atomic_write_text(target: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8 to `target`, whole or not at all."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def atomic_write_json(target: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all; NaN and infinity are refused."""
    atomic_write_text(target, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file.

    Raises
    ------
    DataError
        If the file is not UTF-8 or not JSON; the message names the file, and line and column if known.
    OSError
        If the file cannot be opened.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}: not JSON ({error.msg}, line {error.lineno} column {error.colno})"
        ) from error


def ensure_folder(folder: str | os.PathLike[str]) -> Path:
    """Create `folder` and its parents; fail early, with its name, if nothing can be written there."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise DataError(f"{folder}: is a file, a folder is needed") from error
    except NotADirectoryError as error:
        raise DataError(f"{folder}: a part of this path is a file") from error
    _probe(folder, folder)
    return folder


def check_writable(folder: str | os.PathLike[str]) -> None:
    """Fail early, as `ensure_folder` would, but leave no new folder: for results that take long to make."""
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: is a file, a folder is needed")
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise DataError(f"{folder}: a part of this path is a file")
    _probe(nearest, folder)


def _probe(folder: Path, asked_for: Path) -> None:
    """Create a file and remove it: permission bits lie to root and on network shares."""
    try:
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".probe.{_owner()}.", suffix=_SUFFIX)
    except OSError as error:
        raise OSError(error.errno, f"cannot be written ({error.strerror})", str(asked_for)) from error
    os.close(handle)
    Path(name).unlink()


def clean_orphans(folder: Path) -> None:
    """Remove temporaries in `folder` whose process on this host is gone."""
    for path in folder.glob(f".*{_SUFFIX}"):
        owner = path.name.removesuffix(_SUFFIX).split(".")[-2]
        host, _, pid = owner.rpartition("-")
        if host == _host() and pid.isdigit() and not _alive(int(pid)):
            path.unlink(missing_ok=True)


def _host() -> str:
    return socket.gethostname().replace(".", "_") or "host"


def _owner() -> str:
    return f"{_host()}-{os.getpid()}"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    # The umask can only be read by setting it; 0o077 in between can only make a racing file stricter.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
