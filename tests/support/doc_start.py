"""The files that the pages of the documentation start from."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from device_writers import cwa, walk
from patchtst_har.data import write_capture24, write_recording
from patchtst_har.synthetic import recording as make_recording


def write_start(folder: Path, run: Path, runs: Iterable[str], n_people: int = 3) -> None:
    """Write recordings of all kinds, those of some people, and copies of a finished run."""
    activities = (("sitting", 40.0), ("walking", 40.0), ("running", 40.0))
    days = {"recording.csv": 0, "new.csv": 1, "anna.csv": 2, "anna_next_week.csv": 3}
    for name, seed in days.items():
        bouts = activities * 2 if name.startswith("anna") else activities
        write_recording(folder / name, make_recording(bouts, seed=seed))
    (folder / "recordings").mkdir()
    for number in range(1, n_people + 1):
        write_recording(folder / "recordings" / f"P00{number}.csv", make_recording(activities, seed=number))
    (folder / "people.csv").write_text("path,name\nrecordings/P001.csv,anna\nrecordings/P002.csv,ben\n")
    _write_other_forms(folder, make_recording(activities))
    (folder / "recording.cwa").write_bytes(cwa(walk(6000)))
    write_capture24(folder / "capture24", ("P001", "P002", "P101"), bout_s=15)
    for name in runs:
        shutil.copytree(run, folder / "runs" / name)


def _write_other_forms(folder: Path, recording: pd.DataFrame) -> None:
    """Write a recording as exports of three devices have it."""
    samples, times = recording[["x", "y", "z"]].to_numpy(), recording.index
    with (folder / "watch.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Zeit", "Accel X", "Accel Y", "Accel Z"])
        stamps = times.strftime("%d.%m.%Y %H:%M:%S.%f")
        rows.writerows((stamp, *sample) for stamp, sample in zip(stamps, 9.80665 * samples, strict=True))
    recording[["x", "y", "z"]].to_csv(folder / "samples.csv", index=False)
    log = recording[["x", "y", "z"]].set_index(times.as_unit("ms").astype("int64").rename("time"))
    log.to_csv(folder / "log.csv")
