"""Locks where there is no ``flock``: Windows locks a byte, and renames no folder in which a file is open."""

import errno
import fcntl
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from patchtst_har.errors import DataError
from patchtst_har.support import folders, locks
from patchtst_har.support.folders import exchange, folder_lock, is_held
from patchtst_har.support.sqlite import turn


def locking(descriptor, mode, n_bytes):
    """Do what Windows does, for one byte that nobody reads: the place of the file is where it locks."""
    assert (mode, n_bytes, os.lseek(descriptor, 0, os.SEEK_CUR)) == (2, 1, 2**30)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None


@pytest.fixture
def as_on_windows(monkeypatch):
    monkeypatch.setattr(locks, "_HAS_FLOCK", False)
    monkeypatch.setattr(locks, "msvcrt", SimpleNamespace(LK_NBLCK=2, locking=locking), raising=False)
    monkeypatch.setattr(folders, "_LOCK_IS_INSIDE", False)


@pytest.mark.usefixtures("as_on_windows")
def test_a_folder_is_held_by_a_file_next_to_it(tmp_path):
    folder = tmp_path / "run"
    with folder_lock(folder):
        assert is_held(folder)
        assert not list(folder.iterdir())
        with ThreadPoolExecutor(1) as pool:
            attempt = pool.submit(folder_lock(folder).__enter__)
            with pytest.raises(
                DataError, match=rf"run: is being written by process {os.getpid()} on \S+; wait"
            ):
                attempt.result()
        (folder / "file").touch()
    assert not is_held(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.usefixtures("as_on_windows")
def test_a_held_folder_is_exchanged_and_stays_held(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    other.mkdir()
    (other / "file").touch()
    with folder_lock(one):
        exchange(one, other)
        assert [path.name for path in one.iterdir()] == ["file"]
        assert is_held(one)
    assert not is_held(one)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "other"]


@pytest.mark.usefixtures("as_on_windows")
def test_turns_at_a_file_follow_each_other(tmp_path):
    path, order, waits = tmp_path / "runs.db", [], threading.Event()

    def second():
        waits.set()
        with turn(path):
            order.append("second")

    with ThreadPoolExecutor(1) as pool:
        with turn(path):
            task = pool.submit(second)
            assert waits.wait(10)
            order.append("first")
        task.result(timeout=10)
    assert order == ["first", "second"]


@pytest.mark.usefixtures("as_on_windows")
def test_another_error_than_a_lock_is_not_taken_for_one(tmp_path, monkeypatch):
    def fails(descriptor, mode, n_bytes):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(locks.msvcrt, "locking", fails)
    with pytest.raises(OSError, match="Input/output error"), folder_lock(tmp_path):
        pass
