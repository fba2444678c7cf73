"""Files that declare or need more than there is: refused unread, and want of memory is named."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from patchtst_har.data.formats import parquet
from patchtst_har.data.recording import read_recording
from patchtst_har.errors import DataError

LITTLE_MEMORY = """
import resource, sys
import pyarrow.parquet
from patchtst_har.data.formats import csv, npz, parquet
from patchtst_har.data.recording import read_recording
from patchtst_har.errors import DataError
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 30 * 2**20,) * 2)
for path in sys.argv[1:]:
    try:
        print(len(read_recording(path)[0]))
    except DataError as error:
        print(error)
"""


def test_parquet_rows_beyond_measure_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = 100_000
    stamps = pd.DatetimeIndex(np.zeros(n, "datetime64[ns]"))
    pd.DataFrame({"time": stamps, "x": 0.0, "y": 0.0, "z": 1.0}).to_parquet(tmp_path / "a.parquet")
    assert len(read_recording(tmp_path / "a.parquet")[0]) == n
    monkeypatch.setattr(parquet, "_parts", lambda *_: pytest.fail("was read"))
    monkeypatch.setattr(parquet, "_FEW_ROWS", n - 1)
    with pytest.raises(DataError, match=r"a\.parquet: declares 100,000 rows in .* KiB, which no recording"):
        read_recording(tmp_path / "a.parquet")
    monkeypatch.setattr(parquet, "MAX_SAMPLES", n - 1)
    with pytest.raises(DataError, match=r"declares 100,000 rows, more than the 99,999 that are read"):
        read_recording(tmp_path / "a.parquet")


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".parquet"])
def test_want_of_memory_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"something")

    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("patchtst_har.data.recording.read_file", full)
    with pytest.raises(DataError, match=rf"a{suffix}: not enough memory to read it"):
        read_recording(path)


@pytest.mark.spawns
def test_a_process_with_little_memory_names_the_file(tmp_path: Path) -> None:
    n = 1_500_000
    stamps = np.arange(n) * 10_000_000
    samples = np.random.default_rng(0).normal(size=(n, 3))
    np.savez(tmp_path / "a.npz", time_ns=stamps, acc=samples)
    table = pd.DataFrame(samples, columns=list("xyz"), index=pd.DatetimeIndex(stamps, name="time"))
    table.to_parquet(tmp_path / "a.parquet")
    paths = [tmp_path / "a.npz", tmp_path / "a.parquet"]
    done = subprocess.run(
        [sys.executable, "-c", LITTLE_MEMORY, *map(str, paths)], capture_output=True, text=True, check=True
    )
    for line, path in zip(done.stdout.splitlines(), paths, strict=True):
        assert line.startswith(f"{path}: not enough memory to read it")
