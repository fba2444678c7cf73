"""Exports of devices and watches as CSV: recognised by their content, or refused with the way out."""

import gzip
import logging
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from device_writers import START, walk
from patchtst_har.data.options import ReadOptions
from patchtst_har.data.recording import read_recording
from patchtst_har.errors import DataError

SAMPLES = walk(400, grid=1000)
ACTIGRAPH = [
    "------------ Data File Created By ActiGraph GT3X+ ActiLife v6.13.3 Firmware v2.5.0 "
    "date format {format} at 30 Hz  Filter Normal -----------",
    "Serial Number: NEO1F09120034", "Start Time {time}", "Start Date {day}",
    "Epoch Period (hh:mm:ss) 00:00:00", "Download Time 12:37:52", "Download Date 9/5/2024",
    "Current Memory Address: 0",
    "Current Battery Voltage: 4.07     Mode = 12", "--------------------------------------------------",
]  # fmt: skip
AXES = "Accelerometer X,Accelerometer Y,Accelerometer Z"


def table(
    samples: Any = SAMPLES, digits: int = 3, mark: str = ",", before: list[str] | None = None
) -> list[str]:
    rows = [mark.join(f"{value:.{digits}f}" for value in row) for row in np.asarray(samples).tolist()]
    return (
        rows if before is None else [f"{stamp}{mark}{row}" for stamp, row in zip(before, rows, strict=True)]
    )


def stamps(form: str, rate_hz: float = 50.0, n: int = 400) -> list[str]:
    moments = [START + timedelta(seconds=k / rate_hz) for k in range(n)]
    return [moment.strftime(form.replace("%ms", f"{moment.microsecond // 1000:03d}")) for moment in moments]


def actigraph(day: str = "3/4/2024", form: str = "M/d/yyyy", time: str = "09:30:00") -> list[str]:
    return [line.format(day=day, format=form, time=time) for line in ACTIGRAPH]


def geneactiv_lines() -> list[str]:
    said = ["Device Type,GENEActiv", "Device Model,1.1", "Device Unique Serial Code,051386",
            "Time Zone,GMT +01:00", "Measurement Frequency,50 Hz",
            "Device Location Code,left wrist"]  # fmt: skip
    return said + [""] * (100 - len(said))


def write(folder: Path, lines: list[str], *, name: str = "a.csv", end: str = "\n", bom: bool = False) -> Path:
    content = (b"\xef\xbb\xbf" if bom else b"") + (end.join(lines) + end).encode()
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder / name


def commas(lines: list[str]) -> list[str]:
    """Return lines as a European locale writes them."""
    return [line.replace(",", ";").replace(".", ",") for line in lines]


def check(
    path: Path, rate_hz: float, atol: float = 1e-6, options: ReadOptions | None = None
) -> dict[str, Any]:
    recording, info = read_recording(path, options=options)
    np.testing.assert_allclose(recording[["x", "y", "z"]].to_numpy(), SAMPLES, rtol=0, atol=atol)
    begin = pd.Timestamp(START, tz=recording.index.tz)
    seconds = (recording.index - begin).total_seconds()
    np.testing.assert_allclose(seconds, np.arange(400) / rate_hz, rtol=0, atol=1.1e-3)
    assert info["sample_rate_hz"] == pytest.approx(rate_hz, rel=1e-3)
    return info


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [False, True])
@pytest.mark.parametrize("header", [[AXES], []])
def test_an_actigraph_export(tmp_path: Path, name: str, end: str, bom: bool, header: list[str]) -> None:
    path = write(tmp_path, actigraph() + header + table(), name=name, end=end, bom=bom)
    reading = check(path, 30.0)["reading"]
    assert reading["form"] == "an ActiGraph export"
    assert (reading["start"], reading["rate_hz"]) == ("2024-03-04T09:30:00", 30.0)
    assert reading["device"] == {"maker": "ActiGraph", "model": "GT3X+", "serial": "NEO1F09120034"}


@pytest.mark.parametrize(
    ("day", "form", "time"),
    [
        ("04.03.2024", "dd.MM.yyyy", "09:30:00"),
        ("2024-03-04", "yyyy-MM-dd", "09:30:00"),
        ("4/3/2024", "d/M/yyyy", "9:30:00 AM"),
        ("3-4-24", "M-d-yy", "09:30:00"),
    ],
)
def test_the_date_of_an_actigraph_export_is_read_as_its_header_says(
    tmp_path: Path, day: str, form: str, time: str
) -> None:
    check(write(tmp_path, [*actigraph(day, form, time), AXES, *table()]), 30.0)


def test_an_actigraph_export_with_decimal_commas(tmp_path: Path) -> None:
    lines = actigraph("04.03.2024", "dd.MM.yyyy") + commas([AXES, *table()])
    assert check(write(tmp_path, lines, end="\r\n", bom=True), 30.0)["reading"]["decimal"] == ","


def test_an_actigraph_export_with_stamps(tmp_path: Path) -> None:
    rows = table(before=stamps("%m/%d/%Y %H:%M:%S.%ms", 30.0))
    info = check(write(tmp_path, [*actigraph(), f"Timestamp,{AXES}", *rows]), 30.0)
    assert "start" not in info["reading"]
    assert info["reading"]["time_format"] == "%m/%d/%Y %H:%M:%S.%f"


def test_the_format_of_stamps_of_an_actigraph_export_may_be_said_or_be_iso(tmp_path: Path) -> None:
    rows = table(before=stamps("%d.%m.%Y %H:%M:%S.%ms", 30.0))
    path = write(tmp_path, [*actigraph(), f"Timestamp,{AXES}", *rows])
    check(path, 30.0, options=ReadOptions(time_format="%d.%m.%Y %H:%M:%S.%f"))
    iso = [line.replace("date format M/d/yyyy ", "") for line in actigraph()]
    rows = table(before=stamps("%Y-%m-%d %H:%M:%S.%ms", 30.0))
    check(write(tmp_path, [*iso, f"Timestamp,{AXES}", *rows], name="b.csv"), 30.0)


def test_what_the_user_says_counts_more(tmp_path: Path) -> None:
    path = write(tmp_path, [*actigraph(), AXES, *table()])
    for skip_rows in (0, 10):
        start = {"start": START.isoformat(), "rate_hz": 60.0}
        info = check(path, 60.0, options=ReadOptions(skip_rows=skip_rows, **start))
        assert info["reading"]["rate_hz"] == 60.0


@pytest.mark.parametrize("european", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_geneactiv_export(tmp_path: Path, european: bool, end: str) -> None:
    before = stamps("%Y-%m-%d %H:%M:%S:%ms")
    rows = [f"{row},12,0,28.2" for row in table(before=before)]
    lines = geneactiv_lines() + rows
    info = check(write(tmp_path, commas(lines) if european else lines, end=end), 50.0)
    reading = info["reading"]
    assert reading["form"] == "a GENEActiv export"
    assert reading["device"]["serial"] == "051386"
    assert reading["device"]["time_zone"] == "GMT +01:00"
    recording = read_recording(tmp_path / "a.csv")[0]
    assert recording["temperature"].iloc[0] == np.float32(28.2)
    assert recording["light"].iloc[0] == 12


def test_axivity_exports(tmp_path: Path) -> None:
    before = stamps("%Y-%m-%d %H:%M:%S.%ms")
    check(write(tmp_path, table(before=before, digits=6)), 50.0)
    header = "Time,Accel-X (g),Accel-Y (g),Accel-Z (g),Gyro-X (d/s),Gyro-Y (d/s),Gyro-Z (d/s)"
    rows = [f"{row},1.5,200.0,-3.25" for row in table(before=before)]
    check(write(tmp_path, [header.replace(",", ", "), *rows]), 50.0)


def test_decimal_commas_in_quotes_and_commas_for_thousands(tmp_path: Path) -> None:
    before = stamps("%Y-%m-%d %H:%M:%S.%ms")
    rows = [row.split(";") for row in table(mark=";", before=before)]
    quoted = [
        ",".join([stamp, *(f'"{value.replace(".", ",")}"' for value in values)]) for stamp, *values in rows
    ]
    check(write(tmp_path, ["time,x,y,z", *quoted]), 50.0)
    check(write(tmp_path, quoted), 50.0)
    counts = [f'{",".join(row)},"1,234"' for row in rows]
    check(write(tmp_path, ["time,x,y,z,counts", *counts]), 50.0)
    counts = [f"{';'.join(row)};1,234" for row in rows]
    check(write(tmp_path, ["time;x;y;z;counts", *counts]), 50.0)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_empatica_file(tmp_path: Path, end: str) -> None:
    counts = np.rint(SAMPLES * 64)
    first = START.replace(tzinfo=UTC).timestamp()
    lines = [", ".join([f"{first:.6f}"] * 3), ", ".join(["32.000000"] * 3), *table(counts, 0)]
    recording, info = read_recording(write(tmp_path, lines, end=end, name="ACC.csv"))
    np.testing.assert_allclose(recording[["x", "y", "z"]].to_numpy(), counts / 64, rtol=0, atol=1e-7)
    assert recording.index[0] == pd.Timestamp(START, tz="UTC")
    assert recording.index[32] == pd.Timestamp(START, tz="UTC") + pd.Timedelta(seconds=1)
    assert info["reading"]["device"]["maker"] == "Empatica"
    assert info["sample_rate_hz"] == pytest.approx(32)


def test_three_columns_of_numbers_need_not_be_of_an_empatica(tmp_path: Path) -> None:
    counts = np.rint(SAMPLES * 64)
    start = f"{START.replace(tzinfo=UTC).timestamp():.6f}"
    other = f"{START.replace(tzinfo=UTC).timestamp() + 1:.6f}"
    for first in ([start, start, other], ["32.000000"] * 3):
        path = write(tmp_path, [", ".join(first), ", ".join(["32.000000"] * 3), *table(counts, 0)])
        with pytest.raises(DataError, match=r"a\.csv: line 1: no column 'time'"):
            read_recording(path)
    path = write(tmp_path, [", ".join([start] * 3), ", ".join(["32.000000"] * 3), *table(counts, 0)])
    options = ReadOptions(start="2024-01-01 10:00", rate_hz=50.0)
    recording, info = read_recording(path, options=options)
    assert str(recording.index[0]) == "2024-01-01 10:00:00"
    assert info["sample_rate_hz"] == pytest.approx(50)


def epoch(unit: str, rate_hz: float = 50.0) -> list[str]:
    first = int(START.replace(tzinfo=UTC).timestamp())
    digits = {"s": 3, "ms": 0, "us": 0, "ns": 0}[unit]
    scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    return [f"{first * scale + k / rate_hz * scale:.{digits}f}" for k in range(400)]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("header", ["timestamp,x,y,z", "epoch,ax,ay,az", None])
def test_logs_of_watches_with_numbers_since_1970(tmp_path: Path, unit: str, header: str | None) -> None:
    rows = table(before=epoch(unit))
    info = check(write(tmp_path, rows if header is None else [header, *rows]), 50.0)
    assert info["reading"]["time_unit"] == unit


def still(values: Any) -> Any:
    """Return samples of which most are at rest."""
    samples = np.tile([0.0, 0.6, 0.8], (1000, 1)) + np.random.default_rng(0).normal(0, 0.002, (1000, 3))
    return samples * values


def test_metres_per_second_squared_are_known_by_the_magnitude_at_rest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = [str(1709544600000 + 20 * k) for k in range(1000)]
    with caplog.at_level(logging.INFO, "patchtst_har"):
        path = write(tmp_path, ["time;x;y;z", *table(still(9.80665), 6, ";", before)])
        recording, info = read_recording(path)
    assert info["units"] == "m/s2"
    assert recording[["x", "y", "z"]].to_numpy()[0] == pytest.approx([0, 0.6, 0.8], abs=0.02)
    assert "taken for m/s2, by the magnitude at rest" in caplog.text
    iso = [str(np.datetime64(int(stamp), "ms")) for stamp in before]
    with pytest.raises(DataError, match="name the unit, --units m/s2"):
        read_recording(write(tmp_path, ["time,x,y,z", *table(still(9.80665), 6, ",", iso)]))
    with pytest.raises(DataError, match="name the unit, --units mg"):
        read_recording(write(tmp_path, ["time,x,y,z", *table(still(1000), 3, ",", before)]))


@pytest.mark.parametrize(
    ("header", "scale"),
    [
        ("time,x (m/s^2),y (m/s^2),z (m/s^2)", 9.80665),
        ("time,Acceleration X [mg],Acceleration Y [mg],Acceleration Z [mg]", 1000.0),
        (
            "loggingTime(txt),accelerometerAccelerationX(G),accelerometerAccelerationY(G),accelerometerAccelerationZ(G)",
            1,
        ),
    ],
)
def test_the_unit_behind_the_names_of_columns(tmp_path: Path, header: str, scale: float) -> None:
    rows = table(SAMPLES * scale, 6, before=stamps("%Y-%m-%d %H:%M:%S.%ms"))
    check(write(tmp_path, [header, *rows]), 50.0, atol=1e-5)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([line.replace("00:00:00", "00:00:10") for line in actigraph()], r"counts in epochs of 00:00:10"),
        (
            [line.replace(" at 30 Hz", "") for line in actigraph()],
            "without start or rate: name --start and --rate",
        ),
        (
            [line.replace(" date format M/d/yyyy", "") for line in actigraph()],
            r"the start '3/4/2024' '09:30:00' may be read in two ways: name --start and --rate",
        ),
        (actigraph(day="40/40/2024"), "cannot be read: name --start"),
    ],
)
def test_what_an_actigraph_header_leaves_open_is_refused(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    with pytest.raises(DataError, match=rf"a\.csv: .*{message}"):
        read_recording(write(tmp_path, [*lines, AXES, *table()]))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (geneactiv_lines(), "without samples in its first"),
        (
            [*geneactiv_lines(), "2024-03-04 09:30:00:000,0,0,1,2,0,25,0.01,0.1,0.1,0.1,300"],
            "with 12 columns; those of samples have 7",
        ),
        (
            ["time;x;y;z", *table(SAMPLES * 0 + 1.5, 3, ";", stamps("%H:%M:%S"))],
            "column 'time': '09:30:00' is not",
        ),
        (["time,x,y,z", *table(before=[str(k * 20) for k in range(400)])], "name their unit with time_unit="),
        (["time,x,y,z", *table(before=[str(1709544600 + k * 20) for k in range(400)])], "name their unit"),
        (["a,b", "1,2", "3,4"], r"no column 'time', 'x', 'y', 'z' \(found: 'a', 'b'\)"),
        (["time,x (g),y (g),z (mg)", *table(before=epoch("ms"))], "are not in one unit"),
        (["epoch (ms),time,x,y,z", *[f"1,{row}" for row in table(before=epoch("ms"))]], None),
        (
            ["epoch (ms),Timestamp,x,y,z", *[f"1,{row}" for row in table(before=epoch("ms"))]],
            "could all be 'time'",
        ),
    ],
)
def test_what_is_ambiguous_is_refused_with_the_way_out(
    tmp_path: Path, lines: list[str], message: str | None
) -> None:
    path = write(tmp_path, lines)
    if message is None:
        check(path, 50.0)
        return
    with pytest.raises(DataError, match=rf"a\.csv: .*{message}"):
        read_recording(path)


def test_one_line_says_what_was_taken_for_what(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, actigraph("04.03.2024", "dd.MM.yyyy") + commas([AXES, *table()]))
    with caplog.at_level(logging.INFO, "patchtst_har.data.formats"):
        check(path, 30.0)
    (message,) = (record.getMessage() for record in caplog.records)
    assert message == (
        f"{path}: taken for an ActiGraph export: start 2024-03-04T09:30:00; rate_hz 30.0; decimal comma; "
        "columns x=Accelerometer X, y=Accelerometer Y, z=Accelerometer Z"
    )


def test_a_usual_file_is_not_commented(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "patchtst_har.data.formats"):
        check(write(tmp_path, ["time,x,y,z", *table(before=stamps("%Y-%m-%d %H:%M:%S.%ms"))]), 50.0)
    assert not caplog.records
