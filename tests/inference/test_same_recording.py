"""One recording in every format gives one timeline."""

import gzip
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from device_writers import (
    PARAMETERS,
    START,
    activity,
    cwa_blocks,
    cwa_header,
    geneactiv_header,
    geneactiv_pages,
    gt3x,
    info_txt,
    log_record,
    on_geneactiv_grid,
    parameters,
    seconds_1970,
)
from patchtst_har import Recognizer
from patchtst_har.data.recording import read_recording
from patchtst_har.synthetic import recording as make_recording

RATE_HZ = 100
PAUSE_S = 30


@pytest.fixture(scope="module")
def parts() -> list[np.ndarray]:
    """Two stretches of samples on a grid of 1/256 g; the second begins `PAUSE_S` after the first ends."""
    recording = make_recording(bouts=(("sitting", 30.0), ("walking", 60.0), ("sitting", 30.0)), seed=5)
    samples = np.rint(recording[["x", "y", "z"]].to_numpy().clip(-1.9, 1.9) * 256) / 256
    return [samples[:6000].astype(np.float32), samples[6000:].astype(np.float32)]


def begins(parts: list[np.ndarray]) -> list[Any]:
    return [START, START + timedelta(seconds=len(parts[0]) / RATE_HZ + PAUSE_S)]


def frame(parts: list[np.ndarray]) -> pd.DataFrame:
    frames = [
        pd.DataFrame(
            part, columns=list("xyz"), index=pd.date_range(begin, periods=len(part), freq="10ms", unit="ns")
        )
        for part, begin in zip(parts, begins(parts), strict=True)
    ]
    return pd.concat(frames).rename_axis("time")


def write_cwa(path: Path, parts: list[np.ndarray]) -> None:
    blocks = []
    for part, begin in zip(parts, begins(parts), strict=True):
        blocks += cwa_blocks(part, start=begin, packing=0x30, first=len(blocks) + 100 * bool(blocks))
    content = cwa_header() + b"".join(blocks)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_gt3x(path: Path, parts: list[np.ndarray]) -> None:
    records = [log_record(PARAMETERS, seconds_1970(START), parameters(RATE_HZ))]
    for part, begin in zip(parts, begins(parts), strict=True):
        records += activity(part, start=begin, rate_hz=RATE_HZ)
    path.write_bytes(gt3x(records, info_txt(rate_hz=RATE_HZ)))


def write_bin(path: Path, parts: list[np.ndarray]) -> None:
    pages = [
        page
        for part, begin in zip(parts, begins(parts), strict=True)
        for page in geneactiv_pages(part, start=begin)
    ]
    # The numbers begin again after a pause, as after a restart.
    path.write_text(geneactiv_header() + "".join(pages), newline="")


def write_maker_csv(path: Path, parts: list[np.ndarray]) -> None:
    table = frame(parts)
    table.index = table.index.strftime("%Y-%m-%d %H:%M:%S.%f").str[:-3]
    table.to_csv(path, header=False, float_format="%.6f")


def write_european_csv(path: Path, parts: list[np.ndarray]) -> None:
    frame(parts).to_csv(
        path, sep=";", decimal=",", lineterminator="\r\n", encoding="utf-8-sig", float_format="%.6f"
    )


def write_epoch_csv(path: Path, parts: list[np.ndarray]) -> None:
    table = frame(parts)
    table.index = pd.Index(table.index.as_unit("ns").asi8 // 10**6, name="timestamp")
    table.to_csv(path, float_format="%.6f")


def write_npz(path: Path, parts: list[np.ndarray]) -> None:
    np.savez(path, time_ns=frame(parts).index.as_unit("ns").asi8, acc=np.concatenate(parts))


FORMATS: dict[str, Callable[[Path, list[np.ndarray]], object]] = {
    "a.npz": write_npz,
    "a.parquet": lambda path, parts: frame(parts).to_parquet(path),
    "maker.csv": write_maker_csv,
    "european.csv": write_european_csv,
    "epoch.csv": write_epoch_csv,
    "a.cwa": write_cwa,
    "a.cwa.gz": write_cwa,
    "a.gt3x": write_gt3x,
    "a.bin": write_bin,
}


@pytest.mark.slow
def test_one_recording_in_every_format_gives_one_timeline(tmp_path: Path, parts: list[np.ndarray]) -> None:
    recognizer = Recognizer.from_pretrained("wrist")
    timelines = {}
    for name, write in FORMATS.items():
        samples = [on_geneactiv_grid(part) for part in parts] if name == "a.bin" else parts
        write(tmp_path / name, samples)
        recording, info = read_recording(tmp_path / name)
        assert recording.index.tz is None
        np.testing.assert_allclose(recording[["x", "y", "z"]].to_numpy(), np.concatenate(samples), atol=1e-6)
        assert info["sample_rate_hz"] == pytest.approx(RATE_HZ, rel=1e-4), name
        timelines[name] = recognizer.label_recording(recording).timeline
    wanted = timelines["a.npz"]
    assert len(wanted) == 12
    assert wanted["label"].nunique() > 1
    for name, timeline in timelines.items():
        for side in ("start", "end"):
            off_s = (timeline[side] - wanted[side]).dt.total_seconds().abs().max()
            assert off_s < 1e-3, name
        assert timeline["label"].tolist() == wanted["label"].tolist(), name
        # A GENEActiv has another grid of values, and stamps of an AX3 resolve 30 microseconds.
        atol = 0.05 if name == "a.bin" else 5e-3
        np.testing.assert_allclose(
            timeline["probability"], wanted["probability"], rtol=0, atol=atol, err_msg=name
        )
