"""Recordings too long for memory: their arrays lie in files without names, and nothing else changes."""

import gzip
import mmap
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from patchtst_har.config import DataConfig
from patchtst_har.data.frames import check_recording
from patchtst_har.data.options import ReadOptions
from patchtst_har.data.recording import read_recording, write_recording
from patchtst_har.data.windows import WindowBatches, cut_windows
from patchtst_har.errors import DataError
from patchtst_har.support import long_arrays
from patchtst_har.support.long_arrays import GrowingArray, SpillError, blocks, gathered, release, searched
from tests.support.device_writers import (
    activity,
    cwa,
    cwa_blocks,
    cwa_header,
    geneactiv,
    gt3x,
    on_geneactiv_grid,
    walk,
)

N_SAMPLES = 12_000
STAMPS = pd.date_range("2024-03-04 09:30:00", periods=N_SAMPLES, freq="10ms", name="time").as_unit("ns")


def table(samples: np.ndarray | None = None, stamps: pd.DatetimeIndex = STAMPS) -> pd.DataFrame:
    """Return a recording with every column that is read."""
    samples = walk(N_SAMPLES) if samples is None else samples
    frame = pd.DataFrame(samples, columns=["x", "y", "z"], index=stamps)
    frame["annotation"] = np.where(np.arange(N_SAMPLES) % 5000 < 2500, "walking", "at rest")
    frame.loc[frame.index[:100], "annotation"] = None
    return frame.assign(temperature=np.float32(21.5), light=np.arange(N_SAMPLES, dtype=np.float32))


def with_holes(samples: np.ndarray) -> np.ndarray:
    changed = samples.copy()
    changed[3000:3050] = np.nan
    changed[5000:7500] = 0
    changed[9000:9010, 1] = 99.0
    return changed


def npz(path: Path, frame: pd.DataFrame, **arrays: np.ndarray) -> None:
    texts = frame["annotation"].fillna("").to_numpy(dtype=str)
    stamps = frame.index.asi8  # type: ignore[attr-defined]
    columns = {name: frame[name].to_numpy() for name in ("temperature", "light")}
    acc = frame[["x", "y", "z"]].to_numpy()
    own = {} if "t_ms" in arrays else {"time_ns": stamps}
    np.savez(path, **({"acc": acc, "annotation": texts} | own | columns | arrays))


def moved(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a recording of which some samples are at another place."""
    order = np.arange(N_SAMPLES)
    order[2000:2300] = order[2000:2300][::-1]
    order[[50, 11_000]] = order[[11_000, 50]]
    return frame.iloc[order]


def in_batches(stamps: pd.DatetimeIndex, n_shared: int) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(stamps[np.arange(len(stamps)) // n_shared * n_shared], name="time")


def with_gap(stamps: pd.DatetimeIndex) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(stamps[:6000].append(stamps[6000:] + pd.Timedelta("23D")), name="time")


BLOCKS = cwa_blocks(walk(N_SAMPLES))
FILES: dict[str, Callable[[Path], object]] = {
    "a.csv": lambda path: write_recording(path, table()),
    "a.csv.gz": lambda path: write_recording(path, table()),
    "a.parquet": lambda path: table().to_parquet(path),
    "zoned.parquet": lambda path: table(stamps=STAMPS.tz_localize("UTC")).to_parquet(path),
    "a.npz": lambda path: npz(path, table()),
    "f.npz": lambda path: npz(path, table(), acc=np.asfortranarray(walk(N_SAMPLES).astype(np.float64))),
    "ms.npz": lambda path: npz(path, table(), t_ms=np.arange(N_SAMPLES) * 10),
    "a.cwa": lambda path: path.write_bytes(cwa(walk(N_SAMPLES))),
    "a.cwa.gz": lambda path: path.write_bytes(gzip.compress(cwa(walk(N_SAMPLES)))),
    "off.cwa": lambda path: path.write_bytes(cwa(walk(N_SAMPLES), rate_hz=98.3)),
    "moved.cwa": lambda path: path.write_bytes(
        cwa_header() + b"".join([*BLOCKS[:20], *BLOCKS[40:60], *BLOCKS[20:40], *BLOCKS[55:70], *BLOCKS[75:]])
    ),
    "a.bin": lambda path: path.write_bytes(geneactiv(on_geneactiv_grid(walk(3000)))),
    "a.gt3x": lambda path: path.write_bytes(gt3x(activity(walk(9000)))),
    "holes.parquet": lambda path: table(with_holes(walk(N_SAMPLES))).to_parquet(path),
    "gap.parquet": lambda path: table(stamps=with_gap(STAMPS)).to_parquet(path),
    "pairs.parquet": lambda path: table(stamps=in_batches(STAMPS, 2)).to_parquet(path),
    "batches.parquet": lambda path: table(stamps=in_batches(STAMPS, 25)).to_parquet(path),
    "mg.parquet": lambda path: (
        table(walk(N_SAMPLES) * 1000)
        .rename(columns={axis: f"{axis} (mg)" for axis in "xyz"})
        .to_parquet(path)
    ),
    "twice.parquet": lambda path: pd.concat(
        [table(stamps=in_batches(STAMPS, 25)).iloc[:5025], table(stamps=in_batches(STAMPS, 25)).iloc[5000:]]
    ).to_parquet(path),
    "sort.parquet": lambda path: moved(table()).to_parquet(path),
    "drop.parquet": lambda path: moved(table()).to_parquet(path),
}


def windows_of(recording: pd.DataFrame) -> list[Any]:
    cut, labelled = WindowBatches(recording, DataConfig(hop_size=300)), cut_windows(recording)
    batches = [windows for _, windows in cut.batches(7)]
    return [
        *batches,
        cut.start_ns,
        cut.non_wear_ns,
        labelled.windows,
        labelled.labels,
        cut.info,
        labelled.dropped,
    ]


@pytest.mark.filterwarnings("ignore::patchtst_har.data.units.SignalWarning")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ("a.npz", "a.gt3x", "sort.parquet") else pytest.mark.slow)
        for name in FILES
    ],
)
@pytest.mark.slow
def test_a_recording_in_files_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    FILES[name](tmp_path / name)
    kind = name.partition(".")[0]
    options = ReadOptions(on_disorder=kind if kind in ("sort", "drop") else "refuse")  # type: ignore[arg-type]
    expected, info = read_recording(tmp_path / name, options=options)
    expected_windows = windows_of(expected)
    monkeypatch.setattr(long_arrays, "IN_MEMORY_BYTES", 3000)
    monkeypatch.setattr(long_arrays, "BLOCK_ROWS", 700)
    recording, info_of_files = read_recording(tmp_path / name, options=options)
    for array in check_recording(recording):
        assert lies_in_a_file(array)
    for column in set(recording.columns) - set("xyz"):
        values = recording[column].array
        assert lies_in_a_file(values.codes if column == "annotation" else values.to_numpy()), column
    pd.testing.assert_frame_equal(recording, expected)
    np.testing.assert_equal(info_of_files, info)
    np.testing.assert_equal(windows_of(recording), expected_windows)


def lies_in_a_file(array: np.ndarray) -> bool:
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return isinstance(owner, memoryview) and isinstance(owner.obj, mmap.mmap)


@pytest.fixture
def parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a recording that is too long for memory."""
    table().to_parquet(tmp_path / "a.parquet")
    monkeypatch.setattr(long_arrays, "IN_MEMORY_BYTES", 3000)
    return tmp_path / "a.parquet"


def test_the_files_have_no_names(parquet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that nothing is left of them, however a process ends."""
    folder = parquet.with_name("temporary")
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    recording, _ = read_recording(parquet)
    assert lies_in_a_file(check_recording(recording)[1])
    assert list(folder.iterdir()) == []


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_full(**_: object) -> object:
        return Path("/dev/full").open("r+b", buffering=0)

    monkeypatch.setattr(long_arrays, "IN_MEMORY_BYTES", 3000)
    monkeypatch.setattr("tempfile.TemporaryFile", open_full)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.npz", "a.cwa", "a.bin", "a.gt3x"])
def test_a_full_disk_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_disk: None, name: str
) -> None:
    FILES[name](tmp_path / name)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    message = rf"{name}: {tmp_path} cannot hold a long recording .*\(No space left on device\).*TMPDIR"
    with pytest.raises(DataError, match=message):
        read_recording(tmp_path / name)


def test_a_disk_that_is_full_later_is_one_clear_error(full_disk: None) -> None:
    """Samples without those that are not usable are another array."""
    with pytest.raises(SpillError, match="cannot hold a long recording"):
        WindowBatches(table(with_holes(walk(N_SAMPLES))), DataConfig())


@pytest.mark.parametrize("folder", ["missing", "a.parquet"])
def test_a_folder_that_cannot_be_used_is_not_replaced_by_another(
    parquet: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv("TMPDIR", str(parquet.with_name(folder)))
    with pytest.raises(DataError, match=rf"a\.parquet: .*{folder} cannot hold a long recording.*TMPDIR"):
        read_recording(parquet)


def test_a_recording_in_files_can_be_changed(parquet: Path) -> None:
    recording, _ = read_recording(parquet)
    before = recording["x"].to_numpy().copy()
    recording["x"] += 1
    release(*check_recording(recording))
    np.testing.assert_array_equal(recording["x"], before + 1)


def test_arrays_are_gathered_and_searched_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_arrays, "IN_MEMORY_BYTES", 100)
    monkeypatch.setattr(long_arrays, "_GATHERED_ROWS", 64)
    monkeypatch.setattr(long_arrays, "_SEARCHED", 5)
    rng = np.random.default_rng(0)
    values, growing = np.sort(rng.integers(0, 500, 1000)), GrowingArray()
    for rows in blocks(1000, n_block=77):
        growing.append(values[rows])
    array = growing.whole()
    assert lies_in_a_file(array)
    rows = np.sort(rng.integers(0, 1000, 300))
    np.testing.assert_array_equal(gathered(array, rows), values[rows])
    np.testing.assert_array_equal(gathered(array, rows[:0]), [])
    wanted = np.sort(rng.integers(-5, 505, 99))
    for side in ("left", "right"):
        np.testing.assert_array_equal(searched(array, wanted, side), np.searchsorted(values, wanted, side))  # type: ignore[arg-type]


PEAKS = """
import sys, warnings
from patchtst_har.config import DataConfig
from patchtst_har.data.options import ReadOptions
from patchtst_har.data.recording import read_recording
from patchtst_har.data.windows import WindowBatches
from patchtst_har.support import long_arrays
from patchtst_har.support.process_memory import peak_rss_mb, reset_peak
warnings.simplefilter("ignore")
long_arrays.IN_MEMORY_BYTES = 2**18
for path in sys.argv[1:]:
    reset_peak()
    recording, _ = read_recording(path, options=ReadOptions(on_disorder="sort"))
    n = sum(len(windows) for _, windows in WindowBatches(recording, DataConfig()).batches(64))
    print(n, peak_rss_mb())
"""


@pytest.mark.spawns
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the peak cannot be reset")
def test_the_peak_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    """Ten times the recording is 18 MB more; what is taken once is taken before the peaks are compared."""
    paths = []
    for name in ("sort", "holes", "batches"):
        for n_samples in (100_000, 1_000_000):
            acc, time_ns = np.resize(walk(10_000), (n_samples, 3)), np.arange(n_samples) * 10_000_000
            if name == "holes":
                acc[50::60] = np.nan
            elif name == "batches":
                time_ns = time_ns // 10**9 * 10**9
            else:
                time_ns[1000:1100] = time_ns[1000:1100][::-1]
            paths.append(tmp_path / f"{name}_{n_samples}.npz")
            np.savez(paths[-1], time_ns=time_ns, acc=acc)
    command = [sys.executable, "-c", PEAKS, *map(str, [*paths[::2], *paths])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    n_windows, peaks_mb = np.array([line.split() for line in done.stdout.splitlines()], float)[3:].T
    assert n_windows.tolist() == pytest.approx([100, 1000] * 3, abs=1)
    assert (peaks_mb[1::2] - peaks_mb[::2]).max() < 6, peaks_mb
