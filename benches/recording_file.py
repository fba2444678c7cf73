"""From a file of a day or a week to files of labels: time of each stage, and the peak of memory. Linux only.

    python benches/recording_file.py --days 7 --kind cwa

writes a recording at 100 Hz to a temporary folder (by hundreds of megabytes) and labels it with the shipped
model `wrist` in a process of its own, which prints one JSON document.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from day import day_recording
from patchtst_har.support.process_memory import peak_rss_mb

KINDS = ("cwa", "parquet", "npz", "csv.gz")
START = np.datetime64("2024-03-04T09:30:00", "ns")
_HEADER = np.dtype(
    [("magic", "S2"), ("length", "<u2"), ("fraction", "<u2"), ("session", "<u4"), ("sequence", "<u4"),
     ("stamp", "<u4"), ("light", "<u2"), ("temperature", "<u2"), ("events", "u1"), ("battery", "u1"),
     ("rate", "u1"), ("axes", "u1"), ("offset", "<i2"), ("count", "<u2")]
)  # fmt: skip
_PER_BLOCK = 80


def write_file(path: Path, days: int) -> int:
    """Write a recording whose orientations cover the sphere; return its number of samples."""
    frame, _ = day_recording(hours=24 * days)
    samples = frame.to_numpy().copy()
    # The sensor is turned every ten minutes, so that it can be calibrated.
    rng = np.random.default_rng(0)
    for first in range(0, len(samples), 60_000):
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0].astype(np.float32)
        samples[first : first + 60_000] = samples[first : first + 60_000] @ turn
    counts = np.rint(samples * 256).clip(-2048, 2047).astype("<i2")
    counts = counts[: len(counts) // _PER_BLOCK * _PER_BLOCK]
    if path.name.endswith(".cwa"):
        path.write_bytes(_cwa(counts))
        return len(counts)
    frame = frame.iloc[: len(counts)].reset_index()
    frame["time"] = START + np.arange(len(counts)) * np.timedelta64(10, "ms")
    frame[["x", "y", "z"]] = counts.astype(np.float32) / 256
    if path.name.endswith(".parquet"):
        frame.to_parquet(path, index=False)
    elif path.name.endswith(".npz"):
        np.savez(path, time_ns=frame["time"].to_numpy().view(np.int64), acc=frame[["x", "y", "z"]].to_numpy())
    else:
        with gzip.open(path, "wb", compresslevel=1) as file:
            frame.to_csv(file, index=False, date_format="%Y-%m-%d %H:%M:%S.%f", float_format="%.6f")
    return len(counts)


def _cwa(counts: np.ndarray) -> bytes:
    """Return samples (n, 3) in 1/256 g as a file of an AX3; the clock is noted at the first of each block."""
    head = np.zeros(len(counts) // _PER_BLOCK, _HEADER)
    moments = START + np.arange(len(head)) * np.timedelta64(10 * _PER_BLOCK, "ms")
    seconds = moments.astype("M8[s]")
    fraction = (moments - seconds).astype(np.int64) * 2**15 // 10**9
    parts = [seconds.astype("M8[Y]").astype(int) - 30, seconds.astype("M8[M]").astype(int) % 12 + 1]
    parts += [(seconds.astype("M8[D]") - seconds.astype("M8[M]")).astype(int) + 1]
    of_day = (seconds - seconds.astype("M8[D]")).astype(int)
    parts += [of_day // 3600, of_day // 60 % 60, of_day % 60]
    head["stamp"] = sum(part << shift for part, shift in zip(parts, (26, 22, 17, 12, 6, 0), strict=True))
    # With a fraction, readers add to the offset what the firmware took from it.
    head["fraction"], head["offset"] = fraction | 0x8000, -((2 * fraction * 100) >> 16)
    head["magic"], head["length"], head["sequence"] = b"AX", 508, np.arange(len(head))
    head["rate"], head["axes"], head["count"] = 0x4A, 0x32, _PER_BLOCK
    blocks = np.zeros((len(head), 512), np.uint8)
    blocks[:, : _HEADER.itemsize] = head.view(np.uint8).reshape(len(head), -1)
    blocks[:, _HEADER.itemsize : 510] = counts.reshape(len(head), -1).view(np.uint8)
    words = blocks.view("<u2")
    words[:, -1] = -words.sum(axis=1, dtype=np.uint16)
    header = bytearray(1024)
    header[:5], header[36] = b"MD\xfc\x03\x17", 0x4A
    return bytes(header) + blocks.tobytes()


class Stages:
    """Processor time of functions by name; each is counted without those inside it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inside = [0.0]

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that does the same and is timed."""

        def run(*args: Any, **options: Any) -> Any:
            start = time.process_time()
            self._inside.append(0.0)
            try:
                return function(*args, **options)
            finally:
                took = time.process_time() - start
                self.seconds[name] = self.seconds.get(name, 0.0) + took - self._inside.pop()
                self._inside[-1] += took

        return run

    def generated(self, name: str, function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """Return the same for a generator."""

        def run(*args: Any, **options: Any) -> Iterator[Any]:
            made = function(*args, **options)
            step = self.timed(name, lambda: next(made, None))
            while (one := step()) is not None:
                yield one

        return run


def label(path: str) -> None:
    """Label a file; print times in s, peak in MB, and how many windows there are."""
    from patchtst_har.data import recording
    from patchtst_har.inference import label_file, labelling, recognizer
    from patchtst_har.reports.prediction_files import write_prediction

    stages = Stages()
    stages.seconds["start_and_imports"] = time.process_time()
    recording.read_file = stages.timed("reading", recording.read_file)
    read = stages.timed("checks", recording.read_recording)
    labelling.model_inputs = stages.timed("features", labelling.model_inputs)
    recognizer.Recognizer.judge = stages.timed("model", recognizer.Recognizer.judge)
    labelling.WindowBatches.batches = stages.generated("resampling", labelling.WindowBatches.batches)
    labelling.WindowBatches.__init__ = stages.timed("signal_steps", labelling.WindowBatches.__init__)
    run = stages.timed("smoothing_and_tables", label_file.label_file)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        labelled = run(Path(path), "wrist", reader=read)
        stages.timed("writing", write_prediction)(Path(folder), labelled, report=False)
    rows = {name: round(seconds, 2) for name, seconds in stages.seconds.items()}
    total = round(time.process_time(), 2)
    print(
        json.dumps(
            {**rows, "total": total, "peak_mb": round(peak_rss_mb()), "n_windows": len(labelled.windows)}
        )
    )


def measured(folder: Path, days: int, kind: str) -> dict[str, float]:
    """Return what `label` prints of a recording that is written to a folder."""
    path = folder / f"{days}d.{kind}"
    n_samples = write_file(path, days)
    command = [sys.executable, __file__, "--label", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    if result["n_windows"] < n_samples // 1000 * 0.9:
        raise ValueError(f"{result['n_windows']} windows of {n_samples:,} samples")
    return result


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--kind", choices=KINDS, default="cwa")
    parser.add_argument("--label", metavar="FILE", help="Label this file in this process.")
    chosen = parser.parse_args()
    if chosen.label:
        label(chosen.label)
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measured(Path(folder), chosen.days, chosen.kind)))


if __name__ == "__main__":
    main()
