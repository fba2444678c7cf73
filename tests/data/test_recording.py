import gzip
import os
import re
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest

from patchtst_har.config import DataConfig
from patchtst_har.data.options import ReadOptions
from patchtst_har.data.recording import read_recording, write_recording
from patchtst_har.data.resample import clean_samples
from patchtst_har.data.stamps import index_ns
from patchtst_har.data.units import UnitWarning
from patchtst_har.data.windows import cut_windows
from patchtst_har.errors import DataError
from patchtst_har.synthetic import recording as make_recording

CSV = """time,x,y,z,annotation
2024-03-01 08:00:00.000,0.1,0.2,0.97,7030 sleeping;MET 0.95
2024-03-01 08:00:00.010,0.2,0.2,0.97,
2024-03-01 08:00:00.020,0.3,0.2,0.97,"home;sitting, reading"
"""


def write(folder: Path, text: str | bytes, name: str = "P001.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_capture_24_csv(tmp_path: Path) -> None:
    recording, info = read_recording(write(tmp_path, CSV))
    assert recording.index.name == "time"
    assert recording.index.dtype == "datetime64[ns]"
    assert list(recording.columns) == ["x", "y", "z", "annotation"]
    assert all(recording[axis].dtype == np.float32 for axis in "xyz")
    np.testing.assert_allclose(recording["x"], [0.1, 0.2, 0.3], rtol=1e-6)
    assert recording["annotation"].isna().tolist() == [False, True, False]
    assert recording["annotation"].iloc[2] == "home;sitting, reading"
    assert info["n_samples"] == 3
    assert info["sample_rate_hz"] == pytest.approx(100)


def test_gzip_gives_the_same(tmp_path: Path) -> None:
    plain, _ = read_recording(write(tmp_path, CSV))
    packed, _ = read_recording(write(tmp_path, gzip.compress(CSV.encode()), "P001.csv.gz"))
    pd.testing.assert_frame_equal(plain, packed)
    loud, _ = read_recording(write(tmp_path, gzip.compress(CSV.encode()), "P002.CSV.GZ"))
    pd.testing.assert_frame_equal(plain, loud)


def test_chunks_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_recording(
        tmp_path / "P001.csv", make_recording(bouts=(("walking", 3.0), ("sitting", 2.5), (None, 1.0)))
    )
    whole, _ = read_recording(tmp_path / "P001.csv")
    monkeypatch.setattr("patchtst_har.data.formats.csv._CHUNK_ROWS", 97)
    pieces, _ = read_recording(tmp_path / "P001.csv")
    pd.testing.assert_frame_equal(whole, pieces)
    assert whole["annotation"].cat.categories.tolist() == ["sitting", "walking"]


@pytest.mark.parametrize(
    "header",
    ["Time,X,Y,Z", "timestamp,accX,accY,accZ", "datetime,acc_x,acc_y,acc_z", " time , x , y , z "],
)
def test_other_names_for_the_columns(tmp_path: Path, header: str) -> None:
    recording, _ = read_recording(write(tmp_path, header + "\n2024-03-01 08:00:00,0,0,1\n"))
    assert recording[["x", "y", "z"]].to_numpy().tolist() == [[0, 0, 1]]


def test_extra_columns_and_a_byte_order_mark(tmp_path: Path) -> None:
    text = "\ufefftime,x,y,z,temp,lux,steps\n2024-03-01 08:00:00,0,0,1,21.5,300,7\n"
    recording, _ = read_recording(write(tmp_path, text))
    assert list(recording.columns) == ["x", "y", "z", "temperature", "light"]
    assert recording[["temperature", "light"]].to_numpy().tolist() == [[21.5, 300]]


def test_two_columns_that_fit_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'accX', 'acc_x' could all be 'x'"):
        read_recording(write(tmp_path, "time,accX,acc_x,y,z\n2024-03-01,0,0,0,1\n"))


@pytest.mark.parametrize("header", ["time,x,y,z,x", "time,time,x,y,z", "time,x,y,z,annotation,annotation"])
def test_a_column_name_that_occurs_twice_is_refused(tmp_path: Path, header: str) -> None:
    n_more = header.count(",") - 1
    path = write(tmp_path, f"{header}\n2024-03-01,2024-03-01{',0' * n_more}\n")
    with pytest.raises(DataError, match=r"P001\.csv: line 1: 2 columns are named '(x|time|annotation)'"):
        read_recording(path)


def test_columns_that_are_not_used_may_share_a_name(tmp_path: Path) -> None:
    recording, _ = read_recording(write(tmp_path, "time,x,y,z,steps,steps\n2024-03-01,0,0,1,5,6\n"))
    assert list(recording.columns) == ["x", "y", "z"]


def test_a_named_time_column(tmp_path: Path) -> None:
    path = write(tmp_path, "time,clock,x,y,z\nnoon,2024-03-01 12:00:00,0,0,1\n")
    assert read_recording(path, time_column="clock")[0].index[0] == pd.Timestamp("2024-03-01 12:00")
    with pytest.raises(DataError, match=r"no column 'when' \(found: 'time', 'clock', 'x', 'y', 'z'\)"):
        read_recording(path, time_column="when")


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_epoch_numbers_are_read_exactly_in_the_unit_that_is_named(
    tmp_path: Path, unit: str, scale: int
) -> None:
    stamps = [1_700_000_000 * scale, 1_700_000_001 * scale]
    path = write(tmp_path, "time,x,y,z\n" + "".join(f"{stamp},0,0,1\n" for stamp in stamps))
    recording, _ = read_recording(path, time_unit=unit)  # type: ignore[arg-type]
    assert recording.index.astype("int64").tolist() == [1_700_000_000 * 10**9, 1_700_000_001 * 10**9]


def test_fractional_seconds_since_1970(tmp_path: Path) -> None:
    path = write(tmp_path, "time,x,y,z\n1700000000.25,0,0,1\n1700000000.5,0,0,1\n")
    recording, _ = read_recording(path, time_unit="s")
    assert recording.index.astype("int64").tolist() == [1_700_000_000_250_000_000, 1_700_000_000_500_000_000]


def test_epoch_numbers_without_a_unit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"column 'time' holds numbers \(1700000000\); name their unit with time_unit"
    ):
        read_recording(write(tmp_path, "time,x,y,z\n1700000000,0,0,1\n"))


def test_epoch_numbers_in_an_impossible_unit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2 has no usable time stamp"):
        read_recording(write(tmp_path, "time,x,y,z\n1700000000000000000,0,0,1\n"), time_unit="s")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "Europe/London"])
def test_parquet_stamps_of_any_unit_and_zone(tmp_path: Path, unit: str, zone: str | None) -> None:
    index = pd.date_range("2024-07-01 12:00", periods=3, freq="s", tz=zone, unit=unit, name="time")  # type: ignore[call-overload]
    frame = pd.DataFrame({"x": 0.0, "y": 0.0, "z": 1.0}, index=index)
    frame.to_parquet(tmp_path / "a.parquet")
    recording, _ = read_recording(tmp_path / "a.parquet")
    expected = pd.Timestamp("2024-07-01 12:00", tz=zone).as_unit("ns").value
    assert recording.index.as_unit("ns").astype("int64").tolist() == [expected + k * 10**9 for k in range(3)]
    assert str(recording.index.tz) == ("None" if zone is None else "UTC")


@pytest.mark.parametrize(
    ("text", "hour"),
    [("Z", 12), ("+02", 10), ("+0200", 10), ("+02:00", 10), (" +02", 10), ("-05", 17), ("-0500", 17)],
)
@pytest.mark.parametrize("stamp", ["2024-07-01T12:00:00.5", "2024-07-01 12:00:00.500"])
def test_zoned_csv_stamps_become_utc(tmp_path: Path, text: str, hour: int, stamp: str) -> None:
    recording, _ = read_recording(write(tmp_path, f"time,x,y,z\n{stamp}{text},0,0,1\n"))
    assert str(recording.index.tz) == "UTC"
    assert recording.index[0] == pd.Timestamp(f"2024-07-01 {hour}:00:00.5", tz="UTC")


@pytest.mark.parametrize(
    "stamp", ["2024-07-01T12:00:00.5", "2024-07-01 12:00", "2024-07-01", "20240701T1200"]
)
def test_csv_stamps_without_a_zone_stay_a_wall_clock(tmp_path: Path, stamp: str) -> None:
    recording, _ = read_recording(write(tmp_path, f"time,x,y,z\n{stamp},0,0,1\n"))
    assert recording.index.tz is None
    assert recording.index[0] == pd.Timestamp(stamp)


def test_the_offset_may_change_within_a_recording(tmp_path: Path) -> None:
    stamps = ["2024-10-27 02:59:59.5+02", "2024-10-27 02:00:00+0100", "2024-10-27T01:00:01.25Z"]
    path = write(tmp_path, "time,x,y,z\n" + "".join(f"{stamp},0,0,1\n" for stamp in stamps))
    index = read_recording(path)[0].index
    expected = ["2024-10-27 00:59:59.5", "2024-10-27 01:00:00", "2024-10-27 01:00:01.25"]
    assert index.tolist() == [pd.Timestamp(text, tz="UTC") for text in expected]
    path.write_text(path.read_text() + "later,0,0,1\n")
    with pytest.raises(DataError, match="line 5, column 'time': 'later' is not an ISO 8601 time stamp"):
        read_recording(path)


@pytest.mark.parametrize(
    "zoned", ["2024-07-01 13:00:00Z", "2024-07-01 15:00:00+02", "2024-07-01T15:00:00+0200"]
)
@pytest.mark.parametrize("naive", ["2024-07-01 12:00:00", "2024-07-01"])
def test_stamps_of_which_only_some_have_a_zone_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, naive: str, zoned: str
) -> None:
    path = write(tmp_path, f"time,x,y,z\n{naive},0,0,1\n{zoned},0,0,1\n")
    with pytest.raises(DataError, match="only some of the stamps in column 'time' carry a zone"):
        read_recording(path)
    monkeypatch.setattr("patchtst_har.data.formats.csv._CHUNK_ROWS", 1)
    with pytest.raises(DataError, match="only some of the stamps in column 'time' carry a zone"):
        read_recording(path)


@pytest.mark.parametrize("zone", [None, "Asia/Kolkata"])
@pytest.mark.parametrize("name", ["P01.csv", "P01.csv.gz"])
def test_written_recordings_are_read_back(tmp_path: Path, zone: str | None, name: str) -> None:
    recording = make_recording(bouts=(("walking", 2.0), (None, 1.0)))
    recording.index = recording.index.tz_localize(zone)
    write_recording(tmp_path / name, recording)
    found, _ = read_recording(tmp_path / name)
    np.testing.assert_array_equal(found.index.astype("int64"), recording.index.astype("int64"))
    np.testing.assert_allclose(found[["x", "y", "z"]], recording[["x", "y", "z"]], rtol=0, atol=6e-7)
    assert found["annotation"].isna().tolist() == recording["annotation"].isna().tolist()


def test_equal_recordings_give_equal_gzip_files(tmp_path: Path) -> None:
    for name in ("a.csv.gz", "b.csv.gz"):
        write_recording(tmp_path / name, make_recording(bouts=(("walking", 1.0),)))
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


def test_writing_to_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"written as \.csv or \.csv\.gz"):
        write_recording(tmp_path / "a.parquet", make_recording())


def test_npz_with_axes_and_annotation(tmp_path: Path) -> None:
    stamps = np.arange(4, dtype=np.int64) * 10_000_000 + 1_700_000_000 * 10**9
    arrays = {axis: np.full(4, value) for axis, value in zip("xyz", (0.0, 0.6, 0.8), strict=True)}
    np.savez(tmp_path / "a.npz", time_ns=stamps, annotation=np.array(["walk", "", "sit", "sit"]), **arrays)
    recording, _ = read_recording(tmp_path / "a.npz")
    assert recording.index.astype("int64").tolist() == stamps.tolist()
    assert recording["annotation"].astype(object).where(recording["annotation"].notna(), None).tolist() == [
        "walk",
        None,
        "sit",
        "sit",
    ]
    assert recording["y"].dtype == np.float32


def test_npz_with_one_array_of_acceleration_and_class_indices(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "a.npz",
        t_ms=np.array([0, 10, 20], np.int32),
        acc=np.tile(np.float32([0, 0, 1]), (3, 1)),
        y=np.array([1, -1, 0], np.int8),
        classes=np.array(["walk", "sit"]),
    )
    recording, _ = read_recording(tmp_path / "a.npz")
    assert recording.index.astype("int64").tolist() == [0, 10_000_000, 20_000_000]
    assert recording["annotation"].iloc[[0, 2]].tolist() == ["sit", "walk"]
    assert recording["annotation"].isna().tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"acc": np.zeros((3, 3))}, "no array 'time_ns' or 't_ms'"),
        ({"t_ms": np.arange(3)}, "no array 'acc', nor 'x', 'y', 'z'"),
        ({"t_ms": np.arange(3), "acc": np.zeros((3, 2))}, r"'acc' has shape \(3, 2\)"),
        ({"t_ms": np.arange(4), "acc": np.ones((3, 3))}, r"time has shape \(4,\), acceleration \(3, 3\)"),
        ({"t_ms": np.arange(3.0), "acc": np.ones((3, 3))}, "holds float64, integers are needed"),
        ({"t_ms": np.zeros((3, 1), int), "acc": np.ones((3, 3))}, r"stamps has shape \(3, 1\), \(n,\) is"),
        ({"t_ms": np.arange(3), "acc": np.full((3, 3), "a")}, "'acc' holds <U1, numbers are needed"),
        ({"t_ms": np.arange(3), "x": np.ones(3), "y": np.ones(3), "z": np.ones(2)}, "x, y, z have shapes"),
        (
            {"t_ms": np.arange(1), "acc": np.ones((1, 3)), "y": np.array([2]), "classes": np.array(["a"])},
            "'y' holds 2, but there are 1 classes",
        ),
        ({"t_ms": np.empty(0, int), "acc": np.empty((0, 3))}, "has no samples"),
    ],
)
def test_npz_of_another_form_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read_recording(tmp_path / "a.npz")


@pytest.mark.parametrize(("units", "scale"), [("g", 1.0), ("mg", 1000.0), ("m/s2", 9.80665)])
def test_every_unit_becomes_g(tmp_path: Path, units: str, scale: float) -> None:
    recording = make_recording(bouts=(("sitting", 20.0),))
    recording[["x", "y", "z"]] *= scale
    write_recording(tmp_path / "a.csv", recording)
    found, info = read_recording(tmp_path / "a.csv", units=units, strict=True)  # type: ignore[arg-type]
    magnitude = np.linalg.norm(found[["x", "y", "z"]], axis=1)
    assert np.median(magnitude) == pytest.approx(1.0, abs=0.01)
    assert info["rest_magnitude_g"] == pytest.approx(1.0, abs=0.01)
    assert info["rest_magnitude_basis"] == "still"
    assert info["warnings"] == []


def test_a_wrong_unit_is_noticed_and_the_likely_one_named(tmp_path: Path) -> None:
    recording = make_recording(bouts=(("sitting", 20.0),))
    recording[["x", "y", "z"]] *= 1000
    write_recording(tmp_path / "a.csv", recording)
    with pytest.raises(DataError, match=r"a\.csv: the magnitude at rest is .* look like 'mg': .*--units mg"):
        read_recording(tmp_path / "a.csv")
    # Who names the unit is believed.
    with pytest.warns(UnitWarning, match=r"a\.csv: the magnitude at rest is .* look like 'mg'"):
        _, info = read_recording(tmp_path / "a.csv", units="g")
    assert "look like 'mg'" in info["warnings"][0]
    with pytest.raises(DataError, match="look like 'mg'"):
        read_recording(tmp_path / "a.csv", units="g", strict=True)


@pytest.mark.parametrize("name", ["a.npz", "a.parquet"])
def test_another_unit_is_refused_in_every_format(tmp_path: Path, name: str) -> None:
    recording = make_recording(bouts=(("sitting", 20.0),))
    scaled = recording[["x", "y", "z"]] * np.float32(9.80665)
    if name == "a.npz":
        np.savez(tmp_path / name, time_ns=index_ns(recording.index), acc=scaled.to_numpy())
    else:
        pytest.importorskip("pyarrow")
        scaled.to_parquet(tmp_path / name)
    with pytest.raises(DataError, match=rf"{name}: .*'m/s2'.*--units m/s2"):
        read_recording(tmp_path / name)
    found, _ = read_recording(tmp_path / name, units="m/s2")
    np.testing.assert_allclose(found[["x", "y", "z"]], recording[["x", "y", "z"]], rtol=1e-5)


def test_acceleration_without_gravity_is_named_as_such(tmp_path: Path) -> None:
    recording = make_recording(bouts=(("walking", 30.0),))
    recording[["x", "y", "z"]] -= recording[["x", "y", "z"]].rolling(100, min_periods=1).mean()
    write_recording(tmp_path / "a.csv", recording)
    with pytest.warns(UnitWarning, match="fits no known unit: gravity was probably removed"):
        read_recording(tmp_path / "a.csv")


@pytest.mark.parametrize(("marker", "n_axes"), [(-9999.0, 3), (32767.0, 3), (-32768.0, 1)])
@pytest.mark.parametrize("units", ["g", "m/s2", "mg"])
@pytest.mark.slow
def test_markers_of_missing_values_are_unusable_in_every_unit(
    tmp_path: Path, units: Literal["g", "m/s2", "mg"], marker: float, n_axes: int
) -> None:
    """Also where most samples are markers, which lie still, and the wearer never does."""
    recording = make_recording(bouts=(("walking", 40.0),))
    recording[["x", "y", "z"]] *= {"g": 1.0, "m/s2": 9.80665, "mg": 1000.0}[units]
    recording.iloc[500:3000, 3 - n_axes : 3] = np.float32(marker)
    recording.iloc[10, 0] = np.nan
    write_recording(tmp_path / "a.csv", recording)
    found, info = read_recording(tmp_path / "a.csv", units=units)
    assert info["warnings"] == []
    assert clean_samples(found, 1.0).info["n_out_of_range"] == 2500


def test_equal_stamps_are_counted_and_backward_ones_refused_by_row(tmp_path: Path) -> None:
    rows = ["08:00:00.00", "08:00:00.00", "08:00:00.02"]
    path = write(tmp_path, "time,x,y,z\n" + "".join(f"2024-03-01 {row},0,0,1\n" for row in rows))
    assert read_recording(path)[1]["n_repeated_stamps"] == 1
    path = write(tmp_path, "time,x,y,z\n" + "".join(f"2024-03-01 {row},0,0,1\n" for row in rows[::-1]))
    with pytest.raises(DataError, match=r"time runs backwards at line 3 \(2024-03-01T08:00:00\.02"):
        read_recording(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("time,x,y,z\n", "has a header but no samples"),
        ("time,x,y\n2024-03-01,0,0\n", r"no column 'z' \(found: 'time', 'x', 'y'\)"),
        ("a,b\n1,2\n", r"no column 'time', 'x', 'y', 'z' \(found: 'a', 'b'\)"),
        (
            "time,x,y,z\n2024-03-01,0,0,1\n\n2024-03-02,0,zero,1\n",
            r"line 4, column 'y': 'zero' is not a number",
        ),
        (
            "time,x,y,z\n2024-03-01,0,0,1\nyesterday,0,0,1\n",
            r"line 3, column 'time': 'yesterday' is not an ISO",
        ),
        ("time,x,y,z\n2024-03-01,0,0,1\n,0,0,1\n", "line 3 has no time stamp"),
        ("time,x,y,z\n2024-03-01,0,0,1,5,6,7\n", "header names 4 columns, the first row has 7"),
        ("time,x,y,z\n2024-03-01,0,0,1\n2024-03-02,0,0,1,5\n", "Expected 4 fields in line 3, saw 5"),
        ("time,x,y,z\n9999-03-01,0,0,1\n", "outside the years 1677 to 2262"),
    ],
)
def test_what_is_wrong_in_a_csv_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DataError, match=message) as caught:
        read_recording(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_value_that_is_no_number_is_found_behind_the_first_chunk(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("patchtst_har.data.formats.csv._CHUNK_ROWS", 10)
    rows = [f"2024-03-01 08:00:{k:02d},0,0,1\n" for k in range(40)]
    rows[33] = rows[33].replace("0,0,1", "0,zero,1")
    with pytest.raises(DataError, match=r"P001\.csv: line 35, column 'y': 'zero' is not a number"):
        read_recording(write(tmp_path, "time,x,y,z\n" + "".join(rows)))


def test_damaged_text_and_archives_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not UTF-8 text"):
        read_recording(write(tmp_path, CSV.encode().replace(b"home", b"h\xf6me")))
    with pytest.raises(DataError, match="not UTF-8 text"):
        read_recording(write(tmp_path, CSV.encode("utf-16")))
    noise = "".join(f"2024-03-01 08:00:{k % 60:02d}.{k % 7},0,0,1\n" for k in range(5000))
    packed = gzip.compress(("time,x,y,z\n" + noise).encode())
    with pytest.raises(DataError, match="truncated or damaged gzip file"):
        read_recording(write(tmp_path, packed[: len(packed) // 2], "a.csv.gz"))
    with pytest.raises(DataError, match="truncated or damaged gzip file"):
        read_recording(write(tmp_path, CSV, "b.csv.gz"))
    with pytest.raises(DataError, match="not a Parquet file"):
        read_recording(write(tmp_path, b"PAR1 something PAR1", "a.parquet"))
    with pytest.raises(DataError, match="not an NPZ archive"):
        read_recording(write(tmp_path, b"PK\x03\x04", "a.npz"))


def test_missing_files_folders_and_unknown_kinds_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.csv: no such file"):
        read_recording(tmp_path / "gone.csv")
    (tmp_path / "link.csv").symlink_to(tmp_path / "gone.csv")
    with pytest.raises(DataError, match=r"link\.csv: is a link to a file that does not exist"):
        read_recording(tmp_path / "link.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=r"folder\.csv: is a folder"):
        read_recording(tmp_path / "folder.csv")
    with pytest.raises(DataError, match=r"unknown kind of file \(known: \.csv"):
        read_recording(write(tmp_path, CSV, "a.txt"))
    with pytest.raises(DataError, match="units='stone' is not known"):
        read_recording(write(tmp_path, CSV), units="stone")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="time_unit='h' is not known"):
        read_recording(write(tmp_path, CSV), time_unit="h")  # type: ignore[arg-type]


def test_parquet_columns_are_checked(tmp_path: Path) -> None:
    index = pd.date_range("2024-07-01", periods=2, freq="s", name="time")
    pd.DataFrame({"x": ["a", "b"], "y": 0.0, "z": 1.0}, index=index).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"column 'x' holds .*string, numbers are needed"):
        read_recording(tmp_path / "a.parquet")
    pd.DataFrame({"time": [1, 2], "x": 0.0, "y": 0.0, "z": 1.0}).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match="column 'time' holds numbers; name their unit"):
        read_recording(tmp_path / "b.parquet")
    assert read_recording(tmp_path / "b.parquet", time_unit="s")[0].index[1] == pd.Timestamp(
        "1970-01-01 00:00:02"
    )
    pd.DataFrame({"time": [True, False], "x": 0.0, "y": 0.0, "z": 1.0}).to_parquet(tmp_path / "e.parquet")
    with pytest.raises(DataError, match="column 'time' holds bool, timestamps are needed"):
        read_recording(tmp_path / "e.parquet")
    pd.DataFrame({"time": index, "x": 0.0, "y": 0.0, "z": 1.0})[:0].to_parquet(tmp_path / "d.parquet")
    with pytest.raises(DataError, match=r"d\.parquet: has no samples"):
        read_recording(tmp_path / "d.parquet")
    pd.DataFrame({"time": [index[0], None], "x": 0.0, "y": 0.0, "z": 1.0}).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(DataError, match=r"row 1 \(counted from 0\) has no time stamp"):
        read_recording(tmp_path / "c.parquet")


def test_parquet_annotations(tmp_path: Path) -> None:
    recording = make_recording(bouts=(("walking", 1.0), (None, 1.0)))
    recording.to_parquet(tmp_path / "a.parquet")
    found, _ = read_recording(tmp_path / "a.parquet")
    assert found["annotation"].isna().sum() == 100
    assert found["annotation"].cat.categories.tolist() == ["walking"]


def test_old_pyarrow_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow

    monkeypatch.setattr(pyarrow, "__version__", "14.0.0")
    with pytest.raises(ImportError, match=r"pyarrow 14\.0\.0 .*patchtst-har\[parquet\]"):
        read_recording(write(tmp_path, b"PAR1", "a.parquet"))


def test_missing_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'patchtst-har\[parquet\]'"):
        read_recording(write(tmp_path, b"PAR1", "a.parquet"))


def test_stamps_that_count_from_nowhere_are_told(tmp_path: Path) -> None:
    time_ms = np.arange(0, 30_000, 10)
    acceleration = np.tile(np.float32([0, 0, 1]), (3000, 1))
    np.savez(tmp_path / "a.npz", t_ms=time_ms, acc=acceleration)
    _, info = read_recording(tmp_path / "a.npz")
    assert any("dates and hours are not real" in warning for warning in info["warnings"])
    np.savez(tmp_path / "b.npz", t_ms=time_ms + 1_700_000_000_000, acc=acceleration)
    assert read_recording(tmp_path / "b.npz")[1]["warnings"] == []


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".npz", ".parquet"])
def test_an_empty_file_is_called_so_in_every_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"P01{suffix}"
    path.touch()
    with pytest.raises(DataError, match=rf"P01{suffix}: the file is empty"):
        read_recording(path)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".npz", ".parquet"])
def test_a_pipe_is_no_recording(tmp_path: Path, suffix: str) -> None:
    """It would be waited for, perhaps for ever."""
    path = tmp_path / f"P01{suffix}"
    os.mkfifo(path)
    with pytest.raises(
        DataError, match=rf"P01{suffix}: is a pipe or a device, a recording is a regular file"
    ):
        read_recording(path)


@pytest.mark.parametrize(
    ("stamps", "formats"),
    [
        (("04.05.2026 13:00:00", "04.05.2026 13:00:01"), ("%d.%m.%Y %H:%M:%S",)),
        (("4-5-2026 9:00:00.25", "4-5-2026 9:00:00.50"), ("%d-%m-%Y %H:%M:%S.%f", "%m-%d-%Y %H:%M:%S.%f")),
        (("12/31/2026 09:00:00 PM", "12/31/2026 09:00:01 PM"), ("%m/%d/%Y %I:%M:%S %p",)),
        (("31/12/2026 09:00", "31/12/2026 09:01"), ("%d/%m/%Y %H:%M",)),
        (("May 4, 2026 09:00", "May 4, 2026 09:01"), ()),
        (("31/12/2026 09:00", "12/31/2026 09:01"), ()),
    ],
)
def test_the_format_of_usual_dates_is_proposed_and_reads_them(
    tmp_path: Path, stamps: tuple[str, str], formats: tuple[str, ...]
) -> None:
    path = write(tmp_path, "time,x,y,z\n" + "".join(f'"{stamp}",0,0,1\n' for stamp in stamps))
    proposed = " " + " or ".join(map(repr, formats)) if formats else ""
    with pytest.raises(DataError, match=re.escape(f"name their format (--time-format{proposed})")):
        read_recording(path)
    for time_format in formats:
        assert len(read_recording(path, options=ReadOptions(time_format=time_format))[0]) == 2


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "America/New_York", "UTC"])
@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.csv.gz"])
@pytest.mark.slow
def test_stamps_of_any_unit_and_zone_are_the_same_in_every_file(
    tmp_path: Path, unit: Literal["s", "ms", "us", "ns"], zone: str | None, name: str
) -> None:
    """pandas 3 makes stamps of microseconds, where it made nanoseconds before."""
    index = pd.date_range("2024-03-10 01:55", periods=600, freq="s", tz=zone, name="time").as_unit(unit)
    frame = pd.DataFrame(
        np.float32([0, 0, 1]) * np.ones((600, 1), np.float32), index, columns=["x", "y", "z"]
    )
    if name == "a.parquet":
        frame.to_parquet(tmp_path / name)
    else:
        frame.to_csv(tmp_path / name)
    recording, info = read_recording(tmp_path / name)
    expected = index.tz_convert("UTC").as_unit("ns") if zone else index.as_unit("ns")
    assert recording.index.equals(expected)
    assert info["sample_rate_hz"] == pytest.approx(1.0)
    config = DataConfig(sample_rate_hz=1.0, window_size=60, hop_size=60)
    for table in (frame, recording):
        cut = cut_windows(table, config)
        assert cut.start_ns.tolist() == expected.asi8[::60].tolist()
