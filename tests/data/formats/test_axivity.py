"""Axivity's files, against blocks written from the published layout."""

import gzip
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from device_writers import AX6_HEADER, START, cwa, cwa_blocks, cwa_header, sealed, walk
from patchtst_har.data.options import ReadOptions
from patchtst_har.data.recording import ReadingWarning, read_recording
from patchtst_har.data.resample import resample_recording
from patchtst_har.errors import DataError

WARNED = pytest.mark.filterwarnings("ignore::patchtst_har.data.recording.ReadingWarning")
SAMPLES = walk(1200)


def write(folder: Path, content: bytes | list[bytes], name: str = "a.cwa") -> Path:
    path = folder / name
    text = content if isinstance(content, bytes) else cwa_header() + b"".join(content)
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return path


def times_s(recording: pd.DataFrame, start: datetime = START) -> Any:
    return (recording.index - pd.Timestamp(start)).total_seconds().to_numpy()


@pytest.mark.parametrize("name", ["a.cwa", "A.CWA", "a.cwa.gz"])
@pytest.mark.parametrize(("packing", "rate_code"), [(0x30, 0x4A), (0x32, 0x4A), (0x62, 0x0A)])
def test_samples_and_times_are_those_that_were_written(
    tmp_path: Path, name: str, packing: int, rate_code: int
) -> None:
    samples = walk(1200, grid=2048 if packing == 0x62 else 256)
    path = write(tmp_path, cwa(samples, packing=packing, rate_code=rate_code), name)
    recording, info = read_recording(path)
    np.testing.assert_array_equal(recording[["x", "y", "z"]].to_numpy(), samples)
    assert recording.index.tz is None
    np.testing.assert_allclose(times_s(recording), np.arange(1200) / 100, rtol=0, atol=1e-4)
    assert info["sample_rate_hz"] == pytest.approx(100, abs=0.01)
    assert info["warnings"] == []


@pytest.mark.filterwarnings("ignore::patchtst_har.data.units.UnitWarning")
def test_large_values_keep_their_exponent(tmp_path: Path) -> None:
    samples = np.float32([[3.75, -1.0, 0.0], [-7.0, 7.5, 0.5], [0.25, 1.0, 1.96875]] * 100)
    recording, _ = read_recording(write(tmp_path, cwa(samples, packing=0x30)))
    np.testing.assert_array_equal(recording[["x", "y", "z"]].to_numpy(), samples)


def test_what_the_file_says_about_the_device_is_kept(tmp_path: Path) -> None:
    header = cwa_header(*AX6_HEADER, serial=6011802, session=99)
    blocks = cwa_blocks(walk(400, grid=2048), packing=0x62, rate_code=0x0A, session=99)
    _, info = read_recording(write(tmp_path, header + b"".join(blocks)))
    device = info["reading"]["device"]
    assert device["library"].startswith("actfast 1.")
    assert {
        name: device[name] for name in ("maker", "model", "serial", "session", "sample_rate_hz", "range_g")
    } == {
        "maker": "Axivity",
        "model": "AX6",
        "serial": "6011802",
        "session": 99,
        "sample_rate_hz": 100.0,
        "range_g": 16,
    }
    assert info["reading"]["n_blocks"] == 10


@pytest.mark.parametrize("rate_hz", [95.0, 98.5, 104.0])
@pytest.mark.parametrize("fractions", [True, False])
def test_a_device_off_its_rate_gives_even_times_and_its_real_rate(
    tmp_path: Path, rate_hz: float, fractions: bool
) -> None:
    # The last block is a short one.
    samples = walk(6005)
    recording, info = read_recording(write(tmp_path, cwa(samples, rate_hz=rate_hz, fractions=fractions)))
    assert info["sample_rate_hz"] == pytest.approx(rate_hz, rel=2e-3)
    times = times_s(recording)
    # From the sample with a time to a block's end, up to a second and more, the rate that is set counts.
    off_s = 80 * abs(1 / rate_hz - 0.01)
    error_s = 1e-3 if fractions else 200 * abs(1 / rate_hz - 0.01) + 1 / rate_hz
    np.testing.assert_allclose(times[80:], np.arange(80, 6005) / rate_hz, rtol=0, atol=error_s)
    np.testing.assert_allclose(times[:80], np.arange(80) / rate_hz, rtol=0, atol=error_s + off_s)
    assert np.abs(np.diff(times) * rate_hz - 1).max() < (0.06 if fractions else 0.1)


def test_rates_in_between_are_exact(tmp_path: Path) -> None:
    recording, info = read_recording(write(tmp_path, cwa(walk(600), rate_hz=12.5, rate_code=0x47)))
    assert info["sample_rate_hz"] == pytest.approx(12.5, rel=1e-3)
    assert info["reading"]["device"]["sample_rate_hz"] == 12.5
    np.testing.assert_allclose(times_s(recording), np.arange(600) / 12.5, rtol=0, atol=1e-3)


def damaged(block: bytes, at: int, value: int) -> bytes:
    return block[:at] + bytes([value]) + block[at + 1 :]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda block: damaged(block, 200, block[200] ^ 1),
        lambda block: damaged(block, 0, 0),
        lambda block: bytes(512),
        lambda block: b"\xff" * 512,
        lambda block: sealed(block[:14] + bytes(4) + block[18:]),
        lambda block: sealed(block[:14] + b"\xff" * 4 + block[18:]),
        lambda block: sealed(damaged(block, 25, 0x12)),
        lambda block: sealed(damaged(block, 28, 121)),
        lambda block: sealed(damaged(block, 24, 0)),
    ],
    ids=["bit", "magic", "zeros", "ones", "no date", "impossible date", "packing", "count", "no rate"],
)
def test_a_damaged_block_is_a_gap(tmp_path: Path, spoil: Any) -> None:
    samples = walk(1200)
    blocks = cwa_blocks(samples, packing=0x30)
    blocks[3] = spoil(blocks[3])
    with pytest.warns(ReadingWarning, match=r"a\.cwa: 1 of 10 blocks damaged and left out: gaps in time"):
        recording, info = read_recording(write(tmp_path, blocks))
    kept = np.r_[0:360, 480:1200]
    np.testing.assert_array_equal(recording[["x", "y", "z"]].to_numpy(), samples[kept])
    np.testing.assert_allclose(times_s(recording), kept / 100, rtol=0, atol=1e-4)
    assert info["reading"]["n_damaged_blocks"] == 1
    assert [len(segment.samples) for segment in resample_recording(recording)] == [360, 720]


@WARNED
def test_the_first_block_may_be_damaged_and_the_file_cut_off(tmp_path: Path) -> None:
    blocks = cwa_blocks(SAMPLES, packing=0x30)
    blocks[0] = damaged(blocks[0], 100, 1)
    recording, info = read_recording(write(tmp_path, [*blocks[:-1], blocks[-1][:300]]))
    np.testing.assert_array_equal(recording["x"], SAMPLES[120:1080, 0])
    assert any("ends within a block" in text for text in info["warnings"])


@pytest.mark.parametrize("n_bytes", [1024, 1024 + 511, 1024 + 1024])
def test_a_file_without_a_whole_block_has_no_samples(tmp_path: Path, n_bytes: int) -> None:
    path = write(tmp_path, cwa_header() + bytes(n_bytes - 1024))
    with pytest.raises(DataError, match=r"a\.cwa: (has no samples|none of its 2 blocks is whole)"):
        read_recording(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"MD" + bytes(500), "the file ends within its header"),
        (b"PK\x03\x04" + bytes(2000), r"not a file of an Axivity sensor; it looks like a zip archive"),
        (b"time,x,y,z\n", r"not a file of an Axivity sensor; it begins with b'time,x,y'"),
        (gzip.compress(b"MD", mtime=0), r"not a file of an Axivity sensor; it looks like gzip: name it \.gz"),
    ],
)
def test_other_files_under_this_name_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"a\.cwa: {message}"):
        read_recording(write(tmp_path, content))


def test_damaged_gzip_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(cwa(SAMPLES))
    for content in (packed[:-40], packed[:900] + bytes(8) + packed[908:], b"MD no gzip"):
        (tmp_path / "a.cwa.gz").write_bytes(content)
        with pytest.raises(DataError, match=r"a\.cwa\.gz: truncated or damaged gzip file"):
            read_recording(tmp_path / "a.cwa.gz")


def test_what_expands_beyond_measure_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patchtst_har.data.formats.device_files.SMALL", 2**15)
    path = write(tmp_path, cwa_header() + bytes(2**20), "a.cwa.gz")
    with pytest.raises(DataError, match=r"a\.cwa\.gz: 1\.\d KiB expand to more than"):
        read_recording(path)


@WARNED
def test_blocks_that_are_there_twice_count_once(tmp_path: Path) -> None:
    blocks = cwa_blocks(SAMPLES, packing=0x30)
    path = write(tmp_path, [*blocks[:4], *blocks[2:4], *blocks[4:], blocks[0]])
    recording, info = read_recording(path)
    np.testing.assert_array_equal(recording[["x", "y", "z"]].to_numpy(), SAMPLES)
    assert info["reading"]["n_duplicate_blocks"] == 3
    assert any("3 of 13 blocks there twice, dropped the second time" in text for text in info["warnings"])


@WARNED
def test_blocks_out_of_order_are_moved_as_their_numbers_say(tmp_path: Path) -> None:
    blocks = cwa_blocks(SAMPLES, packing=0x30)
    blocks[2], blocks[5] = blocks[5], blocks[2]
    recording, info = read_recording(write(tmp_path, blocks))
    np.testing.assert_array_equal(recording[["x", "y", "z"]].to_numpy(), SAMPLES)
    np.testing.assert_allclose(times_s(recording), np.arange(1200) / 100, rtol=0, atol=1e-4)
    assert any("out of order, moved to their place in time" in text for text in info["warnings"])


def test_a_clock_that_was_set_back_is_refused_by_block(tmp_path: Path) -> None:
    later = cwa_blocks(SAMPLES[600:], packing=0x30, start=START - timedelta(hours=2), first=5)
    path = write(tmp_path, cwa_blocks(SAMPLES[:600], packing=0x30) + later)
    with pytest.raises(DataError, match=r"time runs backwards at block 5 .*--sort puts"):
        read_recording(path)


def test_two_recordings_in_one_file_are_apart(tmp_path: Path) -> None:
    again = cwa_blocks(SAMPLES[600:], packing=0x30, start=START + timedelta(days=40), session=8)
    recording, info = read_recording(write(tmp_path, cwa_blocks(SAMPLES[:600], packing=0x30) + again))
    np.testing.assert_array_equal(recording[["x", "y", "z"]].to_numpy(), SAMPLES)
    assert [len(segment.samples) for segment in resample_recording(recording)] == [600, 600]
    assert info["sample_rate_hz"] == pytest.approx(100, abs=0.05)


def test_a_scale_that_changes_is_followed(tmp_path: Path) -> None:
    fine = walk(400, grid=2048)
    first = cwa_blocks(fine, packing=0x62, rate_code=0x0A)
    second = cwa_blocks(SAMPLES[:480], packing=0x30, start=START + timedelta(minutes=5), first=10)
    recording, _ = read_recording(write(tmp_path, first + second))
    np.testing.assert_array_equal(recording[["x", "y", "z"]].to_numpy(), np.r_[fine, SAMPLES[:480]])


def test_options_that_a_device_file_answers_itself_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, cwa(SAMPLES))
    for options in ({"start": "2024-01-01", "rate_hz": 100}, {"delimiter": ";"}, {"columns": {"x": "X"}}):
        with pytest.raises(DataError, match=r"does not apply to files of devices, which say it themselves"):
            read_recording(path, options=ReadOptions(**options))
    with pytest.raises(DataError, match="time_unit does not apply"):
        read_recording(path, time_unit="ms")
