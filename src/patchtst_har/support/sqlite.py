"""SQLite files that a user names by a URL or a path."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from patchtst_har.errors import DataError
from patchtst_har.support.locks import wait_for_lock

_PREFIX = "sqlite:///"


def sqlite_path(text: str) -> Path:
    """Return the file of ``sqlite:///PATH`` or of a plain path (relative to the working directory).

    Raises
    ------
    ValueError
        If it is a URL of another kind.
    """
    path = text.removeprefix(_PREFIX)
    if not path or "://" in path or path.startswith("sqlite:"):
        raise ValueError(f"needs {_PREFIX}PATH or the path of an SQLite file, is {text!r}")
    if any(character in path for character in "?#%"):
        raise ValueError(f"needs a path without ? # and %, is {text!r}")
    return Path(path)


def sqlite_url(path: Path) -> str:
    """Return the URL of an SQLite file, with its whole path."""
    return f"{_PREFIX}{path.absolute()}"


def check_tables(path: Path, table: str, what: str) -> None:
    """Refuse a file that is no SQLite database, or one that another program keeps.

    Parameters
    ----------
    path : pathlib.Path
        It need not exist; an empty database is accepted, too.
    table : str
        A table that a database of the right kind has.
    what : str
        That kind, in words.

    Raises
    ------
    DataError
        The message names the file.
    """
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    except sqlite3.Error as error:
        raise DataError(f"{path}: not an SQLite database ({error})") from error
    names = {name for (name,) in rows}
    if names and table not in names:
        raise DataError(f"{path}: is a database of another program, not of {what}")


@contextmanager
def turn(path: Path) -> Iterator[None]:
    """Wait until no other process has its turn at a file, and have it; the lock lies next to the file."""
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        wait_for_lock(lock.fileno())
        yield
