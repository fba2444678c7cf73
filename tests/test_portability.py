"""Where what only Linux or POSIX systems have is missing, another way gives the same."""

import os
import signal
import tempfile

import numpy as np
import pandas as pd
import pytest

from device_writers import cwa, walk
from patchtst_har.cohort.workers import WorkerDied
from patchtst_har.data.recording import read_recording
from patchtst_har.errors import DataError
from patchtst_har.realtime import sources
from patchtst_har.support import files, process_memory
from patchtst_har.support.host import host_facts
from patchtst_har.support.npz import write_npz
from patchtst_har.support.stored_arrays import StoredArray
from without_posix import run_without_posix


@pytest.mark.spawns
@pytest.mark.slow
def test_a_recording_is_labelled_without_what_windows_lacks(tmp_path):
    code = """
from patchtst_har import Recognizer, data, synthetic

recording = sys.argv[1]
data.write_recording(recording, synthetic.recording().iloc[:3000])
print(len(Recognizer.from_pretrained("wrist").label_recording(data.read_recording(recording)[0]).windows))
"""
    assert run_without_posix(code, str(tmp_path / "day.csv")) == "3\n"


def test_arrays_are_read_from_files_without_preadv(tmp_path, monkeypatch):
    values = np.arange(3 * 2**20, dtype=np.int64)  # More than is read at once.
    write_npz(tmp_path / "values.npz", {"values": values})
    monkeypatch.delattr(os, "preadv")
    array = StoredArray.find(tmp_path / "values.npz", "values")
    array.check_values()
    out = np.empty(2**18, np.int64)
    with array.reader() as read:
        read(12_345, out)
    np.testing.assert_array_equal(out, values[12_345:][: len(out)])


def test_standard_input_is_read_where_a_pipe_cannot_be_polled(monkeypatch):
    monkeypatch.setattr(sources, "_POLLS_PIPES", False)
    ours, theirs = os.pipe()
    with os.fdopen(ours) as stdin, os.fdopen(theirs, "wb", buffering=0) as pipe:
        monkeypatch.setattr(sources.sys, "stdin", stdin)
        with sources.standard_input() as receive:
            assert receive() is None
            pipe.write(b"1,2,3\n")
            assert received(receive) == b"1,2,3\n"
            pipe.close()
            assert received(receive) == b""


def received(receive):
    return next(content for content in (receive() for _ in range(100)) if content is not None)


def test_on_windows_no_process_gets_a_signal_and_no_folder_is_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_WINDOWS", True)
    monkeypatch.setattr(os, "kill", None)  # Signal 0 would be Ctrl-C there.
    real, opened = os.open, []

    def opens(path, flags, *more, **keys):
        opened.append((path, flags & os.O_ACCMODE))
        return real(path, flags, *more, **keys)

    left = tmp_path / f".left.{files.owner().rpartition('-')[0]}-999999999.part"
    left.touch()
    monkeypatch.setattr(os, "open", opens)
    files.atomic_write_text(tmp_path / "note.txt", "text")
    assert left.exists()
    assert (tmp_path / "note.txt").read_text() == "text"
    assert {how for _, how in opened} == {os.O_RDWR}
    assert str(tmp_path) not in {str(path) for path, _ in opened}


def test_device_files_are_decoded_without_files_in_memory(tmp_path, monkeypatch):
    path = tmp_path / "a.cwa"
    path.write_bytes(cwa(walk(1200)))
    expected, _ = read_recording(path)
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found, _ = read_recording(path)
    pd.testing.assert_frame_equal(found, expected)
    assert [file.name for file in tmp_path.iterdir()] == ["a.cwa"]


def test_the_death_of_a_worker_is_named_without_sigkill(monkeypatch):
    monkeypatch.delattr(signal, "SIGKILL")
    assert str(WorkerDied(-signal.SIGTERM)) == "worker died (signal 15)"


def test_memory_of_a_process_is_not_made_up(monkeypatch):
    monkeypatch.setattr(process_memory, "_content", lambda name: None)
    monkeypatch.setattr(process_memory, "_HAS_RESOURCE", False)
    with pytest.raises(DataError, match="memory: linux does not tell that of a process; Linux and macOS do"):
        process_memory.peak_rss_mb()
    monkeypatch.setattr(process_memory, "_HAS_RESOURCE", True)
    linux = process_memory.peak_rss_mb()
    monkeypatch.setattr(process_memory, "_UNIT_BYTES", 1)
    assert process_memory.peak_rss_mb() == pytest.approx(linux / 1024, rel=0.1)


def test_a_host_without_a_load_average_has_none(monkeypatch):
    monkeypatch.delattr(os, "getloadavg")
    assert host_facts()["load_average"] is None
