"""Folders with one writer at a time, and folders that are replaced whole."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from patchtst_har.errors import DataError
from patchtst_har.support import folders
from patchtst_har.support.folders import LOCK_FILE, exchange, folder_lock, is_held, left_stages

HOLDER = """
import sys, time
from pathlib import Path
from patchtst_har.support.folders import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_that_stays_empty_leaves_no_trace(tmp_path: Path) -> None:
    with folder_lock(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b" / LOCK_FILE).exists()
    assert not list(tmp_path.iterdir())
    with folder_lock(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "file").touch()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["file"]


def test_its_thread_may_lock_a_folder_again(tmp_path: Path) -> None:
    with folder_lock(tmp_path):
        with folder_lock(tmp_path / ".." / tmp_path.name):
            pass
        assert (tmp_path / LOCK_FILE).exists()
    assert not (tmp_path / LOCK_FILE).exists()


@pytest.mark.spawns
def test_a_held_folder_names_its_holder_and_is_free_when_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DataError, match=rf": is being written by process {holder.pid} on \S+; wait"):
            folder_lock(tmp_path).__enter__()
        holder.send_signal(signal.SIGKILL)
    assert (tmp_path / LOCK_FILE).exists(), "nobody cleaned up"
    with folder_lock(tmp_path):
        assert (tmp_path / LOCK_FILE).read_text().startswith(f"process {os.getpid()} on ")
    assert not list(tmp_path.iterdir())


def test_whether_a_folder_is_held_can_be_asked_without_holding_it(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    assert not is_held(tmp_path / "absent")
    with folder_lock(tmp_path):
        assert is_held(tmp_path)
    assert not is_held(tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / LOCK_FILE).write_text("process 1 on elsewhere")
    assert not is_held(tmp_path), "nobody has it locked"


def test_who_asks_does_not_keep_others_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).touch()
    with (tmp_path / LOCK_FILE).open() as asked:
        fcntl.flock(asked, fcntl.LOCK_SH)
        release = threading.Timer(0.01, lambda: fcntl.flock(asked, fcntl.LOCK_UN))
        release.start()
        with folder_lock(tmp_path):
            pass
        release.join()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    def without(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", without)
    with folder_lock(tmp_path):
        assert not is_held(tmp_path)
    assert f"{tmp_path}: its file system has no locks; nothing else may write there" in caplog.text


def test_another_failure_of_a_lock_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    (tmp_path / LOCK_FILE).touch()
    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(OSError, match="Input/output error"):
        is_held(tmp_path)
    with pytest.raises(OSError, match="Input/output error"), folder_lock(tmp_path):
        pass


def test_nothing_is_left_where_there_is_no_folder(tmp_path: Path) -> None:
    assert left_stages(tmp_path / "missing" / "folder", "stage") == []


def test_a_lock_file_is_never_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("text")
    (tmp_path / LOCK_FILE).symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic links"):
        folder_lock(tmp_path).__enter__()
    assert (tmp_path / "precious").read_text() == "text"


class _NoLibrary:
    """A C library of before 2018."""


@pytest.mark.parametrize("in_one_step", [True, False])
def test_folders_change_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_one_step: bool) -> None:
    if not in_one_step:
        monkeypatch.setattr(folders.ctypes, "CDLL", lambda *_, **__: _NoLibrary())
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"from_{name}").touch()
    exchange(tmp_path / "one", tmp_path / "other")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*")) == [
        "one/from_other",
        "other/from_one",
    ]
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "one", tmp_path / "gone")
    assert (tmp_path / "one" / "from_other").exists() or not in_one_step


@pytest.mark.spawns
def test_what_is_left_is_that_of_processes_that_are_gone(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    mine = folders.stage_of(tmp_path / "a", "new")
    theirs = mine.with_name(mine.name.replace(f"-{os.getpid()}.", f"-{gone.pid}."))
    for path in (mine, theirs, tmp_path / ".a.b.new", tmp_path / ".a.new", tmp_path / ".ab.x-1.new"):
        path.mkdir()
    assert left_stages(tmp_path / "a", "new") == [theirs]


def test_a_lock_holds_for_what_takes_the_place_of_its_folder(tmp_path: Path) -> None:
    with folder_lock(tmp_path / "one"):
        (tmp_path / "other").mkdir()
        exchange(tmp_path / "one", tmp_path / "other")
        inode = (tmp_path / "other" / LOCK_FILE).stat().st_ino
        assert (tmp_path / "one" / LOCK_FILE).stat().st_ino == inode
    assert not (tmp_path / "one").exists(), "it was made for the lock, and is empty"
