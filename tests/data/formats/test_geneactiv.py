"""GENEActiv files, against pages written from the layout."""

import gzip
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from device_writers import START, geneactiv, geneactiv_header, geneactiv_pages, on_geneactiv_grid, walk
from patchtst_har.data.formats import device_files
from patchtst_har.data.recording import ReadingWarning, read_recording
from patchtst_har.data.resample import resample_recording
from patchtst_har.errors import DataError

SAMPLES = on_geneactiv_grid(walk(1500))


def write(folder: Path, content: bytes | str, name: str = "a.bin") -> Path:
    path = folder / name
    text = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return path


def values(recording: pd.DataFrame) -> np.ndarray:
    return recording[["x", "y", "z"]].to_numpy()


@pytest.mark.parametrize("name", ["a.bin", "A.BIN", "a.bin.gz"])
@pytest.mark.parametrize("line_end", ["\r\n", "\n"])
@pytest.mark.parametrize("rate_hz", [100.0, 50.0, 85.7])
def test_samples_and_times_are_those_that_were_written(
    tmp_path: Path, name: str, line_end: str, rate_hz: float
) -> None:
    pages = geneactiv_pages(SAMPLES, rate_hz=rate_hz, line_end=line_end)
    path = write(tmp_path, geneactiv_header(len(pages), line_end=line_end) + "".join(pages), name)
    recording, info = read_recording(path)
    np.testing.assert_allclose(values(recording), SAMPLES, rtol=0, atol=1e-6)
    assert recording.index.tz is None
    seconds = (recording.index - pd.Timestamp(START)).total_seconds()
    np.testing.assert_allclose(seconds, np.arange(1500) / rate_hz, rtol=0, atol=2e-3)
    assert info["sample_rate_hz"] == pytest.approx(rate_hz, rel=1e-3)
    assert info["warnings"] == []


def test_more_damage_or_samples_than_are_looked_at_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = geneactiv_pages(SAMPLES)
    pages[1:3] = [page[: len(page) // 2] for page in pages[1:3]]
    path = write(tmp_path, geneactiv_header(len(pages)) + "".join(pages))
    with pytest.warns(ReadingWarning, match="2 of 5 pages damaged"):
        read_recording(path)
    with monkeypatch.context() as patch:
        patch.setattr(device_files, "MOST_DAMAGED", 1)
        with pytest.raises(DataError, match=r"a\.bin: is damaged in more than 1 places"):
            read_recording(path)
    monkeypatch.setattr(device_files, "MAX_SAMPLES", 1499)
    with pytest.raises(DataError, match=r"b\.bin: has more than the 1,499 samples that are read"):
        read_recording(write(tmp_path, geneactiv(SAMPLES), "b.bin"))


def test_a_decoder_that_finds_another_number_of_samples_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"timeseries": {"high_frequency": {"acceleration": np.zeros((1499, 3), np.float32)}}}
    monkeypatch.setattr("actfast.read", lambda _: found)
    with pytest.raises(DataError, match=r"actfast decodes \(1499, 3\) where 1500 samples are"):
        read_recording(write(tmp_path, geneactiv(SAMPLES)))


def test_what_the_file_says_about_the_device_is_kept(tmp_path: Path) -> None:
    device = read_recording(write(tmp_path, geneactiv(SAMPLES)))[1]["reading"]["device"]
    assert device.pop("library").startswith("actfast 1.")
    assert device == {
        "maker": "Activinsights",
        "model": "GENEActiv 1.1",
        "serial": "051386",
        "sample_rate_hz": 100.0,
        "range_g": 8.0,
        "firmware": "Ver4.08a date14Jul14",
        "time_zone": "GMT +01:00",
        "location": "left wrist",
        "start": "2024-03-04 09:30:00:000",
    }


def test_decimal_commas_and_other_lines_do_not_move_anything(tmp_path: Path) -> None:
    pages = (
        "".join(geneactiv_pages(SAMPLES))
        .replace("Frequency:100.0", "Frequency:100,0")
        .replace("28.2", "28,2")
    )
    for header in (geneactiv_header() + "\r\n\r\n", geneactiv_header().replace("Sex:\r\n", "")):
        recording, info = read_recording(write(tmp_path, header + pages))
        np.testing.assert_allclose(values(recording), SAMPLES, rtol=0, atol=1e-6)
        assert info["sample_rate_hz"] == pytest.approx(100)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Page Time:2024-03-04 09:30:06:000", "Page Time:2024-13-04 09:30:06:000"),
        ("Page Time:2024-03-04 09:30:06:000", "Page Time:2024-03-04 09:30:06:000Z"),
        ("Page Time:2024-03-04 09:30:06:000", "Page Time:2024-03-04 09:30:06:0+01"),
        ("Page Time:2024-03-04 09:30:06:000", "Page Time:2608-07-12 09:04:39:709"),  # 2024, if ns wrap
        ("Page Time:2024-03-04 09:30:06:000", "Page Time:"),
        ("Page Time:2024-03-04 09:30:06:000\r\n", ""),
        ("Sequence Number:2", "Sequence Number:two"),
        ("Measurement Frequency:100.0\r\n", "Measurement Frequency:0\r\n"),
        ("Recording\r\n", "Recording\r\nF2\r\n"),
        ("Recording\r\n", "Recording\r\nXY0000000000\r\n"),
    ],
)
def test_a_damaged_page_is_a_gap(tmp_path: Path, old: str, new: str) -> None:
    pages = geneactiv_pages(SAMPLES)
    assert old in pages[2]
    pages[2] = pages[2].replace(old, new)
    path = write(tmp_path, geneactiv_header(5) + "".join(pages))
    with pytest.warns(ReadingWarning, match=r"a\.bin: 1 of 5 pages damaged and left out: gaps in time"):
        recording, _ = read_recording(path)
    np.testing.assert_allclose(values(recording), SAMPLES[np.r_[0:600, 900:1500]], rtol=0, atol=1e-6)
    assert [len(segment.samples) for segment in resample_recording(recording)] == [600, 600]


@pytest.mark.filterwarnings("ignore::patchtst_har.data.recording.ReadingWarning")
def test_a_file_that_was_cut_off_keeps_its_whole_pages(tmp_path: Path) -> None:
    text = geneactiv(SAMPLES)
    recording, info = read_recording(write(tmp_path, text[: -300 * 12 + 500]))
    assert len(recording) == 1200
    assert info["reading"]["n_damaged_pages"] == 1


@pytest.mark.filterwarnings("ignore::patchtst_har.data.recording.ReadingWarning")
def test_pages_twice_and_pages_out_of_order(tmp_path: Path) -> None:
    one, two, three, four, five = geneactiv_pages(SAMPLES)
    recording, info = read_recording(
        write(tmp_path, geneactiv_header() + one + three + two + three + four + five)
    )
    np.testing.assert_allclose(values(recording), SAMPLES, rtol=0, atol=1e-6)
    assert (info["reading"]["n_duplicate_pages"], info["reading"]["n_moved_pages"]) == (1, 1)


def test_a_pause_between_pages_is_not_filled(tmp_path: Path) -> None:
    pages = geneactiv_pages(SAMPLES[:900]) + geneactiv_pages(
        SAMPLES[900:], start=START + timedelta(seconds=10.5)
    )
    recording, _ = read_recording(write(tmp_path, geneactiv_header() + "".join(pages)))
    assert np.diff(recording.index.asi8).max() == pytest.approx(1.51e9, abs=1e6)
    assert [len(segment.samples) for segment in resample_recording(recording)] == [900, 600]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x gain": "0"}, r"no usable 'x gain' \(found '0'\)"),
        ({"z offset": "n/a"}, r"no usable 'z offset' \(found 'n/a'\)"),
        ({"y gain": "25457.5"}, r"no usable 'y gain' \(found '25457\.5'\)"),
    ],
)
def test_a_file_without_its_calibration_is_refused(
    tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    path = write(tmp_path, geneactiv_header(1, **changes) + "".join(geneactiv_pages(SAMPLES)))
    with pytest.raises(DataError, match=rf"a\.bin: its header has {message}"):
        read_recording(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"MD" + bytes(2000), r"not a file of a GENEActiv; it looks like Axivity's \.cwa"),
        (gzip.compress(b"", mtime=0), r"not a file of a GENEActiv; it looks like gzip"),
        (b"\x00\x01\x02\x03", r"not a file of a GENEActiv; it begins with"),
        (geneactiv_header().encode(), r"has no samples"),
        (geneactiv_header().encode() + b"Recorded Data\r\n", "none of its 1 page is whole"),
        (b"Device Identity" + bytes(2**20), "holds .* bytes without a page"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"a\.bin: {message}"):
        read_recording(write(tmp_path, content))


def test_what_the_header_declares_costs_nothing(tmp_path: Path) -> None:
    """actfast reserves memory for as many pages as declared, and ends the process where there is none."""
    path = write(tmp_path, geneactiv_header(2**60) + "".join(geneactiv_pages(SAMPLES)))
    assert len(read_recording(path)[0]) == 1500


def test_an_empty_file_in_gzip_is_empty(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.bin\.gz: the file is empty"):
        read_recording(write(tmp_path, b"", "a.bin.gz"))
