"""Stamps that go back in time: refused with a way out, sorted, or dropped."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchtst_har.data.options import ReadOptions
from patchtst_har.data.order import kept_in_order
from patchtst_har.data.recording import ReadingWarning, read_recording
from patchtst_har.errors import DataError


def csv(path: Path, stamps: pd.DatetimeIndex) -> Path:
    lines = "".join(f"{t},0.{k % 9 + 1},0.2,0.97\n" for k, t in enumerate(stamps))
    path.write_text("time,x,y,z\n" + lines)
    return path


STAMPS = pd.date_range("2024-05-01 10:00", periods=300, freq="10ms")
ROWS = np.arange(300)
SWAPPED = np.r_[:100, 101, 100, 102:300]


@pytest.mark.parametrize(
    ("order", "kept", "n_moved"),
    [
        (SWAPPED, 299, 2),
        (np.r_[:100, 90:300], 300, 18),
        (np.r_[:100, 250, 100:300], 300, 151),
        (np.r_[:100, 3, 100:300], 300, 97),
        (np.r_[:50, 150:200, 50:150, 200:300], 250, 150),
    ],
)
def test_samples_out_of_order_are_refused_sorted_or_dropped(
    tmp_path: Path, order: np.ndarray, kept: int, n_moved: int
) -> None:
    path = csv(tmp_path / "a.csv", STAMPS[order])
    line = int(np.flatnonzero(np.diff(order) < 0)[0]) + 3
    with pytest.raises(DataError, match=rf"backwards at line {line} .*--sort .*--on-disorder drop"):
        read_recording(path)
    with pytest.warns(ReadingWarning, match=r"out of order, dropped"):
        recording, info = read_recording(path, options=ReadOptions(on_disorder="drop"))
    assert recording.index.is_monotonic_increasing
    assert (len(recording), info["n_out_of_order"]) == (kept, len(order) - kept)
    with pytest.warns(ReadingWarning, match=r"out of order, moved to their place"):
        recording, info = read_recording(path, options=ReadOptions(on_disorder="sort"))
    assert recording.index.tolist() == sorted(STAMPS[order])
    assert len(recording) == info["n_samples"] == len(order)
    assert info["n_out_of_order"] == n_moved
    assert info["reading"]["on_disorder"] == "sort"


def test_what_is_in_order_is_left_alone(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", STAMPS)
    for how in ("sort", "drop"):
        recording, info = read_recording(path, options=ReadOptions(on_disorder=how))  # type: ignore[arg-type]
        assert len(recording) == 300
        assert info["n_out_of_order"] == 0
        assert info["warnings"] == []


def test_a_glitch_into_the_future_costs_one_sample(tmp_path: Path) -> None:
    stamps = STAMPS.insert(100, pd.Timestamp("2099-01-01"))
    with pytest.warns(ReadingWarning, match="1 sample out of order, dropped"):
        recording, _ = read_recording(
            csv(tmp_path / "a.csv", stamps), options=ReadOptions(on_disorder="drop")
        )
    assert recording.index.tolist() == STAMPS.tolist()


@given(st.lists(st.integers(0, 30), min_size=1, max_size=40))
def test_what_is_kept_is_in_order_and_never_empty(stamps: list[int]) -> None:
    time_ns = np.array(stamps, np.int64)
    keep = kept_in_order(time_ns)
    assert (np.diff(time_ns[keep]) >= 0).all()
    assert keep.any()
    assert keep.all() == bool((np.diff(time_ns) >= 0).all())


def test_the_end_of_daylight_saving_time_is_named(tmp_path: Path) -> None:
    first = pd.date_range("2024-10-27 02:59:58", periods=200, freq="10ms")
    second = pd.date_range("2024-10-27 02:00:00", periods=200, freq="10ms")
    with pytest.raises(DataError, match=r"line 202 .*daylight saving time \(DST\).*offset from UTC"):
        read_recording(csv(tmp_path / "a.csv", first.append(second)))
    with pytest.raises(DataError, match=r"line 202 .*--sort") as raised:
        read_recording(csv(tmp_path / "a.csv", first.append(second).tz_localize("UTC")))
    assert "DST" not in str(raised.value)
    with pytest.raises(DataError, match=r"line 202 .*--sort"):
        read_recording(csv(tmp_path / "a.csv", first.append(second + pd.Timedelta("10min"))))


def test_binary_files_count_rows_from_0(tmp_path: Path) -> None:
    stamps = STAMPS[SWAPPED].as_unit("ns").astype("int64").to_numpy()
    np.savez(tmp_path / "a.npz", time_ns=stamps, acc=np.ones((300, 3)))
    with pytest.raises(DataError, match=r"backwards at row 101 \(counted from 0\)"):
        read_recording(tmp_path / "a.npz")
    pd.DataFrame({"time": STAMPS[SWAPPED], "x": 0.0, "y": 0.0, "z": 1.0}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"backwards at row 101 \(counted from 0\)"):
        read_recording(tmp_path / "a.parquet")
