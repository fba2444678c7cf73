"""CSV files in the forms in which devices and their tools write them."""

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from patchtst_har.data.options import ReadOptions, parse_columns
from patchtst_har.data.recording import ReadingWarning, read_recording
from patchtst_har.errors import DataError

STAMPS = pd.date_range("2024-05-01 10:00", periods=200, freq="10ms")
BANNER = "".join(f"------ Data File Created By ActiGraph GT3X+, line {k} ------\n" for k in range(10))
ISO = STAMPS.strftime("%Y-%m-%d %H:%M:%S.%f").tolist()
AXES = {"x": "Accelerometer X", "y": "Accelerometer Y", "z": "Accelerometer Z"}


def rows(stamps: Any = ISO, separator: str = ",", values: str = "0.1,0.2,0.97") -> str:
    return "".join(separator.join([stamp, *values.split(",")]) + "\n" for stamp in stamps)


def write(folder: Path, text: str, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def read(path: Path, **options: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
    return read_recording(path, options=ReadOptions(**options))


@pytest.mark.parametrize(
    ("text", "options", "header_line"),
    [
        (rows(), {}, None),
        ("\n \n# written by AX\n#,,\ntime,x,y,z\n" + rows(), {}, 5),
        ("time;x;y;z\n" + rows(separator=";"), {}, 1),
        ("time\tx\ty\tz\n" + rows(separator="\t"), {}, 1),
        (rows(separator=";"), {}, None),
        ("time|x|y|z\n" + rows(separator="|"), {"delimiter": "|"}, 1),
        ("time;x;y;z\n" + rows(separator=";").replace("0.", "0,"), {"decimal": ","}, 1),
        (rows(separator=";").replace("0.1;0.2;0.97", "0,1;0,2;0,97"), {"decimal": ","}, None),
        (BANNER + "time,x,y,z\n" + rows(), {"skip_rows": 10}, 11),
        (
            BANNER + "Timestamp," + ",".join(AXES.values()) + "\n" + rows(),
            {"skip_rows": 10, "columns": AXES},
            11,
        ),
        (
            '"t, local",x (g),y (g),z (g)\n' + rows(),
            {"columns": parse_columns("time=t, local,x=x (g),y= y (g) ,z=z (g)")},
            1,
        ),
        (
            "time,x,y,z\n" + rows(STAMPS.strftime("%m/%d/%Y %H:%M:%S.%f")),
            {"time_format": "%m/%d/%Y %H:%M:%S.%f"},
            1,
        ),
        (
            "time;x;y;z\n" + rows(STAMPS.strftime("%d.%m.%Y %H:%M:%S,%f"), ";"),
            {"time_format": "%d.%m.%Y %H:%M:%S,%f"},
            1,
        ),
        ("time,x,y,z\n" + rows().replace("\n", "\r\n"), {}, 1),
        ("time,x,y,z\n" + rows().replace("\n", "\r"), {}, 1),
        ("time,x,y,z\n" + rows()[:-1], {}, 1),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.slow
def test_a_form_is_read(
    tmp_path: Path, text: str, options: dict[str, Any], header_line: int | None, name: str
) -> None:
    recording, info = read(write(tmp_path, text, name), **options)
    assert recording.index.tolist() == STAMPS.tolist()
    np.testing.assert_allclose(recording.to_numpy(), np.tile([0.1, 0.2, 0.97], (200, 1)), rtol=1e-6)
    assert info["reading"]["header_line"] == header_line
    assert options.items() <= info["reading"].items() or "columns" in options
    assert info["warnings"] == []


def test_a_zone_in_brackets_after_the_offset(tmp_path: Path) -> None:
    stamps = [f"{stamp}+0100 [Europe/London]" for stamp in ISO]
    recording, _ = read(write(tmp_path, "time,x,y,z\n" + rows(stamps)))
    assert recording.index[0] == pd.Timestamp("2024-05-01 09:00", tz="UTC")


def test_files_without_stamps(tmp_path: Path) -> None:
    text = "x,y,z\n" + "0.1,0.2,0.97\n" * 300
    recording, info = read(write(tmp_path, text), start="2024-05-01T10:00:00+02:00", rate_hz=64.5)
    assert recording.index[0] == pd.Timestamp("2024-05-01 08:00", tz="UTC")
    assert recording.index[258] == pd.Timestamp("2024-05-01 08:00:04", tz="UTC")
    assert info["sample_rate_hz"] == pytest.approx(64.5)
    wrist = "1714557600.0,1714557600.0,1714557600.0\n32,32,32\n" + "0.1,0.2,0.97\n" * 300
    recording, info = read(write(tmp_path, wrist), start="2024-05-01T10:00:00", rate_hz=32, skip_rows=2)
    assert recording.index[32] == pd.Timestamp("2024-05-01 10:00:01")
    pd.DataFrame({"x": [0.0] * 9, "y": 0.0, "z": 1.0}).to_parquet(tmp_path / "a.parquet")
    assert len(read(tmp_path / "a.parquet", start="2024-05-01", rate_hz=50)[0]) == 9
    np.savez(tmp_path / "a.npz", acc=np.ones((9, 3)))
    assert read(tmp_path / "a.npz", start="2024-05-01", rate_hz=50)[0].index[5] == pd.Timestamp(
        "2024-05-01 00:00:00.1"
    )


def test_columns_of_binary_files_can_be_named(tmp_path: Path) -> None:
    names = {"time": "when", "x": "a", "y": "b", "z": "c", "annotation": "code"}
    table = pd.DataFrame({"when": ISO, "a": 0.0, "b": 0.6, "c": 0.8, "code": "7"})
    table.to_parquet(tmp_path / "a.parquet")
    found, _ = read(tmp_path / "a.parquet", columns=names)
    assert found.index.tolist() == STAMPS.tolist()
    stamps = STAMPS.as_unit("ms").astype("int64").to_numpy()
    arrays = {"when": stamps, **{axis: table[axis].to_numpy() for axis in "abc"}, "code": np.full(200, "7")}
    np.savez(tmp_path / "a.npz", **arrays)
    archived, _ = read_recording(tmp_path / "a.npz", time_unit="ms", options=ReadOptions(columns=names))
    pd.testing.assert_frame_equal(found, archived)
    with pytest.raises(DataError, match=r"name the unit of array 'when'"):
        read(tmp_path / "a.npz", columns=names)


@pytest.mark.parametrize(
    ("last", "header"),
    [
        ("2024-05-01 09", "time,x,y,z"),
        ("2024-05-01 10:00:02.000000,0.1,0.2", "time,x,y,z"),
        ("2024-05-01 10:00:02.000000,0.1,0.2,0.97,wal", "time,x,y,z,label"),
        ('2024-05-01 10:00:02.000000,0.1,0.2,0.97,"wal', "time,x,y,z,label"),
        ("0.1,0.2,0.97,2024-05-01 10:0", "x,y,z,time"),
        ("0.1,0.2,0.97,", "x,y,z,time"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_last_line_that_was_cut_off_is_left_out(tmp_path: Path, last: str, header: str, name: str) -> None:
    whole = {
        "time,x,y,z": rows(),
        "time,x,y,z,label": rows(values="0.1,0.2,0.97,walking"),
        "x,y,z,time": "".join(f"0.1,0.2,0.97,{stamp}\n" for stamp in ISO),
    }[header]
    path = write(tmp_path, f"{header}\n{whole}{last}", name)
    with pytest.warns(ReadingWarning, match=rf"{name}: file cut off in line 202, dropped"):
        recording, info = read_recording(path)
    assert recording.index.tolist() == STAMPS.tolist()
    assert info["reading"]["cut_line"] == 202
    assert len(info["warnings"]) == 1
    # The same line with its end is a line like others.
    if last.startswith("2024-05-01 09"):
        with pytest.raises(DataError, match="time runs backwards at line 202"):
            read_recording(write(tmp_path, f"{header}\n{whole}{last}\n", name))


def test_want_of_memory_while_a_table_is_parsed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise pd.errors.ParserError("Error tokenizing data. C error: out of memory")

    monkeypatch.setattr(pd, "read_csv", full)
    with pytest.raises(DataError, match=r"a\.csv: not enough memory to read it"):
        read_recording(write(tmp_path, "time,x,y,z\n" + rows()))


def test_the_format_of_stamps_may_have_the_name_of_a_zone(tmp_path: Path) -> None:
    path = write(tmp_path, "time,x,y,z\n" + rows([f"{stamp} UTC" for stamp in ISO]))
    recording, _ = read(path, time_format="%Y-%m-%d %H:%M:%S.%f %Z")
    assert recording.index.tolist() == STAMPS.tz_localize("UTC").tolist()


def test_a_last_line_without_its_end_is_not_cut_if_it_is_whole(tmp_path: Path) -> None:
    text = "x,y,z,time\n0,0,1,99.99\n0,0,1,100"
    assert len(read_recording(write(tmp_path, text), time_unit="s")[0]) == 2
    text = "x,y,z,time\n0,0,1,2024-05-01 10:00:00.990000\n0,0,1,2024-05-01 10:00:01"
    assert len(read_recording(write(tmp_path, text))[0]) == 2
    # A line before it with more columns tells nothing of it, and is an error of its own.
    with pytest.raises(DataError, match="Expected 4 fields in line 3, saw 5"):
        read_recording(write(tmp_path, "x,y,z,time\n0,0,1,1\n0,0,1,2,3\n0,0,1,3"), time_unit="s")
    text = "time,x,y,z,label\n2024-05-01,0,0,1,walk\n2024-05-02,0,0,1,sit"
    assert read_recording(write(tmp_path, text))[0]["annotation"].tolist() == ["walk", "sit"]


def test_comments_within_the_samples_keep_the_line_numbers(tmp_path: Path) -> None:
    lines = rows().splitlines(keepends=True)
    text = "# one\ntime,x,y,z\n" + "".join(lines[:9]) + "#,, two\n" + "".join(lines[9:])
    assert len(read_recording(write(tmp_path, text))[0]) == 200
    for bad, message in (
        (ISO[50] + ",0.1,low,1\n", r"line 54, column 'y': 'low' is not a number"),
        (ISO[50] + ",0,0,1,5,6\n", r"not a well-formed table \(Expected 4 fields in line 54, saw 6\)"),
        ("soon,0,0,1\n", r"line 54, column 'time': 'soon' is not an ISO 8601"),
        (",0,0,1\n", r"line 54 has no time stamp"),
        (ISO[40] + ",0,0,1\n", r"time runs backwards at line 54 "),
    ):
        with pytest.raises(DataError, match=message):
            read_recording(write(tmp_path, text.replace(lines[50], bad)))


def test_a_line_that_begins_with_a_hash_within_quotes_is_no_comment(tmp_path: Path) -> None:
    text = 'time,x,y,z,label\n2024-05-01,0,0,1,"a\n#b"\n2024-05-02,0,0,1,c\n'
    assert read_recording(write(tmp_path, text))[0]["annotation"].tolist() == ["a\n#b", "c"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            BANNER + "Timestamp,Accelerometer X\n",
            {},
            r"line 1: no column .*'------ Data File Created.{0,20}\.\.\.,",
        ),
        (BANNER + "time,x,y,z\n" + rows(), {}, r"line 11 looks like the header: --skip-rows 10"),
        ("Timestamp,A (g),B (g),C (g)\n" + rows(), {}, r"no column 'x', 'y', 'z' \(found: 'Timestamp', "),
        ("time,x,y,z\n" + rows(), {"columns": {"x": "X (g)"}}, r"no column 'X \(g\)' .*; see --columns"),
        ("time,x,y,z\n" + rows(), {"columns": {"x": "y"}}, "column 'y' is chosen for two purposes"),
        (
            "time;x;y;z\n" + rows(separator=";").replace("0.1;0.2;0.97", "1,500;0;1"),
            {},
            r"if decimal, --decimal ,",
        ),
        ("time;x;y;z\n" + rows(separator=";").replace("0.97", "0,9"), {"decimal": "."}, r"--decimal ,"),
        ("time,x,y,z\n" + rows(), {"skip_rows": 10**12}, "the file is empty after the 10+ lines"),
        ("# only\n\n", {}, "holds only blank lines and comments"),
        ("time,x,y,z\n" + rows(), {"time_format": "%d.%m.%Y"}, r"line 2, .* of the format '%d.%m.%Y'"),
        ("time,x,y,z\n" + rows(), {"time_format": "%Q"}, "time_format '%Q' cannot be used"),
        ("time,x,y,z\n" + rows(), {"time_format": "%Y%Y"}, "time_format '%Y%Y' cannot be used"),
        (
            "time,x,y,z\n" + "0" * 10**5 + "_,0,0,1\n",
            {"time_format": "%Y"},
            "line 2, column 'time': '0{80}' is not",
        ),
        (
            "x,y,z\n" + "0,0,1\n" * 99,
            {"start": "2261-01-01", "rate_hz": 1e-3},
            "sample 99 would come after 2261",
        ),
        (",".join(["time", "x", "y", "z", *map(str, range(50_000))]) + "\n", {}, "has 50,004 columns"),
    ],
)
def test_what_is_wrong_is_said_with_the_way_out(
    tmp_path: Path, text: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message) as raised:
        read(write(tmp_path, text), **options)
    assert str(tmp_path / "a.csv") in str(raised.value) or "time_format" in message or "start" in options
    assert len(str(raised.value)) - len(str(tmp_path)) < 400


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": {"w": "a"}}, "columns: 'w' is not known"),
        ({"delimiter": ";;"}, "delimiter must be one ASCII character"),
        ({"delimiter": "\u2192"}, "delimiter must be one ASCII character"),
        ({"decimal": "'"}, "decimal must be '.' or ','"),
        ({"decimal": ",", "delimiter": ","}, "cannot both be ','"),
        ({"skip_rows": -1}, "skip_rows must not be negative"),
        ({"on_disorder": "shuffle"}, "on_disorder='shuffle' is not known"),
        ({"start": "2024-05-01"}, "start and rate go together"),
        ({"start": "noon", "rate_hz": 30}, "start must be an ISO 8601 moment"),
        ({"start": "9999-05-01", "rate_hz": 30}, "start must be in the years 1678 to 2261"),
        ({"start": "0001-01-01T00:00+14:00", "rate_hz": 30}, "start must be in the years"),
        ({"start": "2024-05-01", "rate_hz": 0}, "rate must be between"),
        ({"start": "2024-05-01", "rate_hz": 9, "columns": {"time": "t"}}, "leave the time column out"),
    ],
)
def test_impossible_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ReadOptions(**options)


@pytest.mark.parametrize("text", ["Timestamp", "x=", "x=a,x=b", "=a"])
def test_columns_that_cannot_be_understood_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="columns: "):
        parse_columns(text)


@pytest.mark.parametrize("name", ["a.parquet", "a.npz"])
@pytest.mark.parametrize("options", [{"delimiter": ";"}, {"decimal": ","}, {"skip_rows": 1}])
def test_options_that_do_not_apply_are_refused(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=rf"{name}: {next(iter(options))} does not apply to"):
        read(write(tmp_path, "something", name), **options)


def packed(path: Path, head: str, block: bytes, times: int) -> Path:
    """Write a gzip file of one block many times over."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [squeeze.compress(head.encode()), *(squeeze.compress(block) for _ in range(times))]
    path.write_bytes(b"".join([*parts, squeeze.flush()]))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("block", "message"),
    [
        (b"\n" * 10**6, "nearly all lines from line 1 on are blank"),
        (b"#\r\n" * 300_000, "nearly all lines from line 1 on are blank"),
        (b"0" * 10**6, "line 2 is longer than 1,048,576 characters"),
        (b"2024-05-01 00:00:00,0,0,1\n" * 40_000, r"expand to more than 16.0 MiB of text"),
    ],
)
def test_what_expands_beyond_measure_is_refused(tmp_path: Path, block: bytes, message: str) -> None:
    path = packed(tmp_path / "a.csv.gz", "time,x,y,z\n", block, 20)
    with pytest.raises(DataError, match=message):
        read_recording(path)


def test_formats_of_dates_are_looked_for_only_where_a_stamp_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On every stamp, it would take three times as long as reading the file."""
    (tmp_path / "a.csv").write_text(
        "time,x,y,z\n" + "".join(f"2024-03-01 08:00:{s:02d},0,0,1\n" for s in range(60))
    )
    looked_at: list[object] = []
    monkeypatch.setattr(
        "patchtst_har.data.formats.text_stamps._likely_formats", lambda column: looked_at.append(column) or ""
    )
    assert len(read_recording(tmp_path / "a.csv")[0]) == 60
    assert looked_at == []


def test_values_beyond_the_header_are_not_dropped(tmp_path):
    """Pandas takes the number of columns from the first sample, which may have several lines in quotes."""
    path = tmp_path / "r.csv"
    path.write_text('time,x,y,z\n2024-03-01,0,0,"\n2024-03-01,"1",2\n' + "2024-03-01,0,0,1\n" * 9)
    with pytest.raises(DataError, match=r"r\.csv: the header names 4 columns, the first row has 5"):
        read_recording(path)
