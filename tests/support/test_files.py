import errno
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from patchtst_har.errors import DataError
from patchtst_har.support import files
from patchtst_har.support.files import (
    atomic_path,
    atomic_write_json,
    atomic_write_text,
    check_writable,
    clean_orphans,
    ensure_folder,
    read_json,
)

STUCK_WRITER = """
import sys, time
from patchtst_har.support.files import atomic_path
with atomic_path(sys.argv[1]) as temporary:
    temporary.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""
BUSY_WRITER = """
import sys
from patchtst_har.support.files import atomic_write_text
print("writing", flush=True)
number = 0
while True:
    number += 1
    atomic_write_text(sys.argv[1], f"{number}\\n" * 20_000)
"""


def start(code: str, target: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_writing_creates_and_replaces(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    for text in ("first", "zweite, längere"):
        atomic_write_text(target, text)
        assert target.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [target]


def test_the_target_stays_until_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
        assert temporary.parent == target.parent, "a rename is atomic only within one file system"
    assert target.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_interrupted_block_leaves_the_target_and_no_temporary(
    tmp_path: Path, error: type[BaseException]
) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_new_file_has_the_permissions_that_the_umask_gives(tmp_path: Path) -> None:
    previous = os.umask(0o027)
    try:
        atomic_write_text(tmp_path / "a.txt", "")
        assert os.umask(0o027) == 0o027, "the umask stays as it was"
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


@pytest.mark.spawns
def test_the_orphan_of_a_killed_writer_is_cleaned_by_the_next_write(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    kill(start(STUCK_WRITER, target))
    assert target.read_text() == "old"
    assert len(list(tmp_path.glob(".*.part"))) == 1
    atomic_write_text(tmp_path / "b.txt", "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt"]


@pytest.mark.spawns
def test_a_killed_writer_that_its_parent_has_not_asked_about_is_gone(tmp_path: Path) -> None:
    process = start(STUCK_WRITER, tmp_path / "a.txt")
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    atomic_write_text(tmp_path / "b.txt", "other")
    assert [path.name for path in tmp_path.iterdir()] == ["b.txt"]
    process.communicate()


@pytest.mark.spawns
def test_the_temporary_of_a_living_writer_is_left_alone(tmp_path: Path) -> None:
    process = start(STUCK_WRITER, tmp_path / "a.txt")
    try:
        atomic_write_text(tmp_path / "b.txt", "other")
        assert len(list(tmp_path.glob(".*.part"))) == 1
    finally:
        kill(process)


@pytest.mark.parametrize("asked", ["kill", "read_text"])
def test_of_a_process_that_cannot_be_asked_nothing_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    """Of another user, or where /proc is hidden."""

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    temporary = tmp_path / f".a.{files.owner()}.x.part"
    temporary.touch()
    files.owner()  # Reads /proc, once.
    with monkeypatch.context() as patch:
        patch.setattr(os if asked == "kill" else Path, asked, refused)
        clean_orphans(tmp_path)
    assert temporary.exists()


@pytest.mark.spawns
def test_temporaries_of_other_hosts_and_strange_names_are_left_alone(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    place = files.owner().rpartition("-")[0]
    host = place.rpartition("-")[0]
    assert host == (socket.gethostname().replace(".", "_") or "host")
    ours = tmp_path / f".a.txt.{place}-{gone.pid}.x1.part"
    # The second is of another container with the same host name, or of another boot.
    others = (f".a.elsewhere-{gone.pid}.x1.part", f".a.{host}-0badc0de-{gone.pid}.x1.part")
    strange = [tmp_path / name for name in (*others, ".part", "..part", ".a.part", "a.part")]
    for path in (ours, *strange):
        path.write_text("")
    clean_orphans(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(strange)
    for path in strange:
        os.utime(path, (time.time() - 8 * 86_400,) * 2)
    clean_orphans(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(strange[len(others) :])


def test_a_folder_is_not_listed_at_every_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cleaned: list[Path] = []
    monkeypatch.setattr(files, "clean_orphans", cleaned.append)
    for name in "abc":
        atomic_write_text(tmp_path / name, "")
    (tmp_path / "below").mkdir()
    atomic_write_text(tmp_path / "below" / "a", "")
    assert cleaned == [tmp_path, tmp_path / "below"]
    later = time.monotonic() + 61
    monkeypatch.setattr(files.time, "monotonic", lambda: later)
    atomic_write_text(tmp_path / "d", "")
    assert cleaned[2:] == [tmp_path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(OSError, match="No space left") as caught, atomic_path(target):  # noqa: SIM117
        with Path("/dev/full").open("w") as full:
            full.write("x")
    assert caught.value.filename == str(target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_content_and_name_are_on_the_disk_before_a_write_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content before the rename: else a power cut could leave an empty file under the right name."""
    target, synced = tmp_path / "a.txt", []

    def fsync(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else os.pread(descriptor, 9, 0).decode()
        synced.append((kind, target.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    atomic_write_text(target, "text")
    assert synced == [("text", False), ("folder", True)]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_no_failure_of_a_write_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os if step == "fsync" else Path, step, fail)
    with pytest.raises(OSError, match="Input/output error") as caught:
        atomic_write_text(target, "new")
    assert caught.value.filename == str(target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_error_that_names_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, atomic_path(tmp_path / "a.txt"):
        (tmp_path / "elsewhere").read_text()
    assert caught.value.filename == str(tmp_path / "elsewhere")


@pytest.mark.spawns
def test_a_file_is_whole_whenever_its_writer_is_killed(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("0\n")
    rng = np.random.default_rng(0)
    for _ in range(6):
        process = start(BUSY_WRITER, target)
        time.sleep(rng.uniform(0.0, 0.06))
        kill(process)
        lines = set(target.read_text().splitlines())
        assert len(lines) == 1, "a file holds what one write gave it"
    atomic_write_text(target, "end")
    assert list(tmp_path.iterdir()) == [target]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone"):
        atomic_write_text(tmp_path / "gone" / "a.txt", "")


def test_a_folder_below_a_file_is_refused_and_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file: is a file, a folder is needed"):
        ensure_folder(tmp_path / "file")
    with pytest.raises(DataError, match=r"file/below: a part of this path is a file"):
        ensure_folder(tmp_path / "file" / "below")
    with pytest.raises(NotADirectoryError):
        atomic_write_text(tmp_path / "file" / "a.txt", "")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that nobody can write to")
def test_a_folder_that_cannot_be_written_is_an_error_even_for_root() -> None:
    with pytest.raises(OSError, match="/proc"):
        ensure_folder("/proc/self")
    with pytest.raises(OSError, match="/proc"):
        atomic_write_text("/proc/self/a.txt", "")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that nobody can write to")
@pytest.mark.parametrize("check", [ensure_folder, check_writable])
def test_it_is_the_folder_asked_for_that_is_named(check: Callable[[str], object]) -> None:
    with pytest.raises(OSError, match="cannot be written") as error:
        check("/proc/self")
    assert error.value.filename == "/proc/self"


def test_checking_a_folder_makes_none(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b")
    check_writable(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file: is a file"):
        check_writable(tmp_path / "file")
    with pytest.raises(DataError, match=r"file/a/b: a part of this path is a file"):
        check_writable(tmp_path / "file" / "a" / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_ensure_folder_makes_parents_and_leaves_no_trace(tmp_path: Path) -> None:
    folder = ensure_folder(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert list(folder.iterdir()) == []
    assert ensure_folder(folder) == folder


def test_json_round_trip(tmp_path: Path) -> None:
    value = {"name": "Übung", "numbers": [1, 2.5, None, True]}
    atomic_write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert "Übung" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_a_file_name_that_is_not_utf8_is_written_as_an_escape(tmp_path: Path) -> None:
    name = os.fsdecode(b"P\xe9.csv")
    atomic_write_json(tmp_path / "a.json", {name: [name, "é\\"]})
    assert read_json(tmp_path / "a.json") == {"P\\udce9.csv": ["P\\udce9.csv", "é\\"]}
    atomic_write_text(tmp_path / name, name)
    assert (tmp_path / name).read_text() == "P\\udce9.csv"


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"a": object()}])
def test_what_json_cannot_hold_leaves_the_old_file(tmp_path: Path, value: object) -> None:
    atomic_write_json(tmp_path / "a.json", 1)
    with pytest.raises((ValueError, TypeError)):
        atomic_write_json(tmp_path / "a.json", value)
    assert json.loads((tmp_path / "a.json").read_text()) == 1
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"a\.json: not JSON \(Expecting value, line 1 column 1\)"),
        (b'{"a": 1,\n "b" 2}', r"a\.json: not JSON \(Expecting ':' delimiter, line 2 column 6\)"),
        (b'"\xff"', r"a\.json: not UTF-8 text \(byte 1\)"),
    ],
)
def test_damaged_json_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_json(tmp_path / "a.json")
