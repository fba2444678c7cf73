"""A recording of 24 hours; run as a script, this labels it and prints the memory that it took.

A process of its own, because the peak of the one that runs the benchmarks is of all of them. Linux only.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import pandas as pd

from patchtst_har import Recognizer, synthetic
from patchtst_har.support.process_memory import mark, peak_rss_mb, reset_peak

WINDOWS_A_DAY = 8640
_START_NS = 1_700_000_000_000_000_000


def day_recording(hours: int = 24) -> tuple[pd.DataFrame, int]:
    """Return a recording at 100 Hz whose windows change their kind every minute, and how many it has."""
    tile = synthetic.windows("mixed", 96).reshape(32, 3, 1000, 3).transpose(1, 0, 2, 3)
    # Six windows of a kind in a row.
    minutes = tile[:, :30].reshape(3, 5, 6000, 3).transpose(1, 0, 2, 3).reshape(-1, 3)
    n_samples = hours * 360_000
    samples = np.tile(minutes, (-(-n_samples // len(minutes)), 1))[:n_samples]
    stamps = pd.DatetimeIndex(_START_NS + np.arange(n_samples) * 10_000_000, name="time")
    return pd.DataFrame(samples, columns=["x", "y", "z"], index=stamps), n_samples // 1000


def main(folder: str) -> None:
    """Label a day with the model in a folder; print megabytes as JSON.

    ``peak_mb`` is of the whole process while it labels, ``before_mb`` what it had before, ``recording_mb``
    what the recording alone has.
    """
    recognizer = Recognizer.from_pretrained(folder)
    day, _ = day_recording()
    before_mb = mark().rss_kb / 1024
    # The peak so far is of making the recording.
    if not reset_peak():
        raise OSError("this system cannot reset its count of the peak memory")
    recognizer.predict_recording(day)
    rows = {
        "peak_mb": peak_rss_mb(),
        "before_mb": before_mb,
        "recording_mb": float(day.memory_usage().sum()) / 2**20,
    }
    print(json.dumps({name: round(value) for name, value in rows.items()}))


if __name__ == "__main__":
    main(sys.argv[1])
