"""ActiGraph's files, new and old container, against records written from the published layouts."""

import gzip
import struct
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from device_writers import (
    ACTIVITY,
    ACTIVITY2,
    BATTERY,
    EVENT,
    METADATA,
    PARAMETERS,
    START,
    activity,
    gt3x,
    info_txt,
    log_record,
    packed_12_bits,
    parameters,
    seconds_1970,
    walk,
    zipped,
)
from patchtst_har.data.recording import ReadingWarning, read_recording
from patchtst_har.data.resample import resample_recording
from patchtst_har.errors import DataError

WARNED = pytest.mark.filterwarnings("ignore::patchtst_har.data.recording.ReadingWarning")
SAMPLES = walk(600)
FIRST = seconds_1970(START)
HEAD = [log_record(METADATA, FIRST, b'{"MetadataType":"Bio"}'), log_record(PARAMETERS, FIRST, parameters())]


def write(folder: Path, content: bytes, name: str = "a.gt3x") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def values(recording: pd.DataFrame) -> Any:
    return recording[["x", "y", "z"]].to_numpy()


def times_s(recording: pd.DataFrame) -> Any:
    return (recording.index - pd.Timestamp(START)).total_seconds().to_numpy()


@pytest.mark.parametrize("name", ["a.gt3x", "A.GT3X", "a.gt3x.gz"])
@pytest.mark.parametrize("kind", [ACTIVITY, ACTIVITY2])
def test_samples_and_times_are_those_that_were_written(tmp_path: Path, name: str, kind: int) -> None:
    battery = log_record(BATTERY, FIRST, b"\x10\x10")
    recording, info = read_recording(
        write(tmp_path, gt3x([*HEAD, battery, *activity(SAMPLES, kind=kind)]), name)
    )
    np.testing.assert_allclose(values(recording), SAMPLES, rtol=0, atol=1e-6)
    assert recording.index.tz is None
    np.testing.assert_allclose(times_s(recording), np.arange(600) / 30, rtol=0, atol=1e-7)
    assert info["sample_rate_hz"] == pytest.approx(30)
    assert info["warnings"] == []


def test_what_the_file_says_about_the_device_is_kept(tmp_path: Path) -> None:
    reading = read_recording(write(tmp_path, gt3x([*HEAD, *activity(SAMPLES)])))[1]["reading"]
    assert reading["device"].pop("library").startswith("actfast 1.")
    assert reading["device"] == {
        "maker": "ActiGraph",
        "model": "Link",
        "serial": "TAS1E00000001",
        "firmware": "1.7.2",
        "sample_rate_hz": 30,
        "range_g": 8,
        "time_zone": "-05:00:00",
        "location": "Right Wrist",
        "start": "2024-03-04T09:30:00.000000",
        "idle_sleep_mode": False,
    }
    assert "idle_sleep" not in reading


@pytest.mark.parametrize("kind", [ACTIVITY, ACTIVITY2])
@pytest.mark.parametrize(
    ("serial", "more", "with_parameters", "scale"),
    [
        ("NEO1C00000001", {}, False, 341.0),
        ("CLE1C00000001", {}, False, 341.0),
        ("MOS2C00000001", {}, False, 256.0),
        ("XYZ1C00000001", {"Acceleration Scale": "333.0"}, False, 333.0),
        ("NEO1C00000001", {}, True, 256.0),
    ],
)
def test_the_scale_is_that_of_the_log_or_the_device(
    tmp_path: Path, kind: int, serial: str, more: dict[str, str], with_parameters: bool, scale: float
) -> None:
    head = HEAD if with_parameters else HEAD[:1]
    records = activity(SAMPLES, kind=kind, scale=scale)
    recording, _ = read_recording(write(tmp_path, gt3x([*head, *records], info_txt(serial=serial, **more))))
    np.testing.assert_allclose(values(recording), SAMPLES, rtol=0, atol=0.51 / scale)


def test_an_unknown_scale_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, gt3x(activity(SAMPLES), info_txt(serial="XYZ1")))
    with pytest.raises(DataError, match=r"a\.gt3x: neither 'Acceleration Scale' nor a known serial number"):
        read_recording(path)


def asleep(kind: int = ACTIVITY2) -> list[bytes]:
    """Return the log of a device that sleeps from second 5 to 65 and from 70 to 71."""
    starts = ((0, 0), (5, 65), (10, 71))
    records = [log_record(PARAMETERS, FIRST, parameters(sleep_mode=True))]
    for first, second in starts:
        samples = SAMPLES[first * 30 : first * 30 + 150]
        records.append(log_record(EVENT, FIRST + second, b"\x09"))
        records += activity(samples, start=START + timedelta(seconds=second), kind=kind)
        records.append(log_record(EVENT, FIRST + second + 5, b"\x08"))
    return records


@pytest.mark.parametrize("kind", [ACTIVITY, ACTIVITY2])
def test_idle_sleep_is_a_gap_that_is_listed(tmp_path: Path, kind: int) -> None:
    recording, info = read_recording(write(tmp_path, gt3x(asleep(kind))))
    assert len(recording) == 450
    assert [[(at - FIRST * 10**9) / 1e9 for at in span] for span in info["reading"]["idle_sleep"]] == [
        [5, 65],
        [70, 71],
    ]
    assert info["reading"]["device"]["idle_sleep_mode"]
    lengths = [len(segment.samples) for segment in resample_recording(recording, 30.0)]
    assert lengths[0] == 150
    assert sum(lengths) == 150 + 150 + 150 + 30 * (len(lengths) == 2)


@WARNED
def test_damage_is_no_idle_sleep(tmp_path: Path) -> None:
    records = asleep()
    records[3] = records[3][:20] + bytes([records[3][20] ^ 4]) + records[3][21:]
    _, info = read_recording(write(tmp_path, gt3x(records)))
    assert [(span[0] - FIRST * 10**9) / 1e9 for span in info["reading"]["idle_sleep"]] == [5, 70]
    assert info["reading"]["n_damaged_records"] == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda record: record[:30] + bytes([record[30] ^ 1]) + record[31:],
        lambda record: record[:6] + b"\xff\xff" + record[8:],
        lambda record: record[:6] + b"\x05\x00" + record[8:],
        lambda record: b"\xab" * len(record),
        lambda record: b"\x1e" * len(record),
        lambda record: record[:50],
        lambda record: b"",
    ],
    ids=["bit", "too long", "too short", "noise", "separators", "cut", "missing"],
)
@pytest.mark.parametrize("chunk", [2**22, 37])
@WARNED
def test_a_damaged_record_is_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Any, chunk: int
) -> None:
    monkeypatch.setattr("patchtst_har.data.formats.device_files.CHUNK", chunk)
    records = activity(SAMPLES)
    missing = spoil(records[7]) == b""
    records[7] = spoil(records[7])
    recording, info = read_recording(write(tmp_path, gt3x([*HEAD, *records])))
    kept = np.r_[0:210, 240:600]
    np.testing.assert_array_equal(values(recording), SAMPLES[kept])
    np.testing.assert_allclose(times_s(recording), kept / 30, rtol=0, atol=1e-7)
    assert info["reading"]["n_damaged_records"] == (0 if missing else 1)


def test_zeros_between_records_and_records_without_samples_are_passed_over(tmp_path: Path) -> None:
    records = activity(SAMPLES)
    records[3:3] = [bytes(5), log_record(ACTIVITY2, FIRST + 2, b"\x01"), log_record(ACTIVITY, FIRST + 2, b"")]
    recording, info = read_recording(write(tmp_path, gt3x([*HEAD, *records, bytes(3)])))
    np.testing.assert_array_equal(values(recording), SAMPLES)
    assert info["warnings"] == []


def test_a_log_that_was_cut_off_says_so(tmp_path: Path) -> None:
    records = activity(SAMPLES)
    with pytest.warns(ReadingWarning, match=r"1 of 20 records damaged and left out"):
        recording, _ = read_recording(write(tmp_path, gt3x([*HEAD, *records[:-1], records[-1][:40]])))
    assert len(recording) == 570


@WARNED
def test_a_second_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    records = activity(SAMPLES)
    recording, info = read_recording(
        write(tmp_path, gt3x([*HEAD, *records[:9], *records[7:9], *records[9:]]))
    )
    np.testing.assert_array_equal(values(recording), SAMPLES)
    assert info["reading"]["n_duplicate_records"] == 2


def test_a_clock_that_was_set_back_is_refused(tmp_path: Path) -> None:
    again = activity(SAMPLES[::-1], start=START + timedelta(seconds=10))
    with pytest.raises(DataError, match=r"time runs backwards at record \d+ .*--sort puts"):
        read_recording(write(tmp_path, gt3x([*HEAD, *activity(SAMPLES), *again])))


def test_another_rate_than_declared_is_said(tmp_path: Path) -> None:
    path = write(tmp_path, gt3x([*HEAD, *activity(SAMPLES, rate_hz=60)]))
    with pytest.warns(ReadingWarning, match=r"a second has 60 samples, the sample rate in info\.txt is 30"):
        _, info = read_recording(path)
    assert info["sample_rate_hz"] == pytest.approx(60)


@pytest.mark.parametrize("n_samples", [600, 601])
def test_the_old_container_is_read(tmp_path: Path, n_samples: int) -> None:
    samples = walk(n_samples)
    info = info_txt(serial="NEO1C00000001", Firmware="2.5.0")
    content = zipped(
        {"info.txt": info.encode(), "activity.bin": packed_12_bits(samples, 341), "lux.bin": b"\0\0"}
    )
    recording, found = read_recording(write(tmp_path, content))
    np.testing.assert_allclose(values(recording), samples, rtol=0, atol=0.51 / 341)
    np.testing.assert_allclose(times_s(recording), np.arange(n_samples) / 30, rtol=0, atol=1e-8)
    assert found["reading"]["device"]["range_g"] == 6


def test_the_published_example_is_decoded(tmp_path: Path) -> None:
    packed = bytes.fromhex("006008EBD007009EBF007008EBF0")
    recording, _ = read_recording(
        write(tmp_path, zipped({"info.txt": info_txt(serial="NEO1").encode(), "activity.bin": packed}))
    )
    wanted = [[0.023, 0.018, -0.947], [0.026, 0.021, -0.941], [0.023, 0.021, -0.941]]
    np.testing.assert_allclose(values(recording), wanted, rtol=0, atol=5.1e-4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"MD" + bytes(2000), r"not a file of ActiGraph; it looks like Axivity's"),
        (b"PK\x03\x04" + bytes(50), "not a zip archive, or a damaged one"),
        (gt3x([*HEAD, *activity(SAMPLES)])[:-30], "not a zip archive, or a damaged one"),
        (zipped({"log.bin": b""}), "the archive has no 'info.txt'"),
        (zipped({"info.txt": info_txt().encode()}), "has neither 'log.bin' nor 'activity.bin'"),
        (gt3x([]), "has no samples"),
        (gt3x([b"\x1e\x00"]), "none of its 1 record is whole"),
        (gt3x(HEAD), "has no samples"),
        (gt3x(HEAD, info_txt().replace("Sample Rate: 30", "Sample Rate: fast")), "no usable 'Sample Rate'"),
        (
            gt3x(activity(SAMPLES), info_txt(**{"Acceleration Scale": "0"})),
            "info.txt gives a scale of 0 per g",
        ),
        (
            gt3x(activity(SAMPLES), info_txt(**{"Acceleration Scale": "nan"})),
            "info.txt gives a scale of nan per g",
        ),
        (
            zipped({"info.txt": info_txt(**{"Start Date": "9" * 9000}).encode(), "activity.bin": b"1" * 9}),
            "no usable 'Start Date'",
        ),
        (gt3x(HEAD, info_txt(rate_hz=0)), "'Sample Rate' in info.txt is 0"),
        (
            zipped(
                {
                    "info.txt": info_txt().replace("Start Date: 6", "Start Date: x").encode(),
                    "activity.bin": b"1" * 9,
                }
            ),
            "no usable 'Start Date'",
        ),
        (zipped({"info.txt": info_txt().encode(), "activity.bin": b""}), "has no samples"),
        (
            gt3x([log_record(PARAMETERS, 0, struct.pack("<HHI", 0, 55, 0)), *activity(SAMPLES)]),
            "its log gives a scale of 0 per g",
        ),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"a\.gt3x: .*{message}"):
        read_recording(write(tmp_path, content))


@pytest.mark.parametrize("name", ["a.gt3x", "a.gt3x.gz"])
def test_what_expands_beyond_measure_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("patchtst_har.data.formats.device_files.SMALL", 2**15)
    path = write(tmp_path, gt3x([*HEAD, bytes(2**20)]), name)
    with pytest.raises(DataError, match=r"'log\.bin' declares 1\.0 MiB, more than 1\.\d KiB hold"):
        read_recording(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    import zipfile

    path = write(tmp_path, gt3x([*HEAD, *activity(SAMPLES)]))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("log.bin", b"")
    with pytest.raises(DataError, match=r"two members named 'log\.bin'"):
        read_recording(path)


def test_damaged_samples_in_the_archive_are_refused(tmp_path: Path) -> None:
    content = bytearray(gt3x([*HEAD, *activity(walk(3000))]))
    content[len(content) // 2] ^= 0x55
    with pytest.raises(
        DataError, match=r"a\.gt3x: ('log\.bin' is damaged|not a zip archive, or a damaged one)"
    ):
        read_recording(write(tmp_path, bytes(content)))
