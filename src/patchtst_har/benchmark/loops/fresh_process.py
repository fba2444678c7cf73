"""A new Python process with nothing but what a stream needs: its first decision, and its memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from patchtst_har.benchmark.loops.schedule import Feed, StreamGeometry
from patchtst_har.errors import DataError
from patchtst_har.records.measurement import ColdStart, StreamMemory

_CHILD = Path(__file__).with_name("fresh_process_child.py")
_N_COLD_STARTS = 3
_MEMORY_S = 60.0
_COLD = ("import_s", "load_s", "first_decision_us", "second_decision_us", "peak_rss_mb", "process_s")


@dataclass(frozen=True)
class FreshProcess:
    """What a fresh process loads, and how it decides.

    Attributes
    ----------
    model_dir : pathlib.Path
        Folder of the model.
    geometry : StreamGeometry
        Of its streams.
    smoothing : str, optional
        As `Recognizer.stream`.
    engine, device : str
        As `Recognizer.from_pretrained`; where torch's model is put.
    adaptation : pathlib.Path, optional
        As `Recognizer.from_pretrained`.
    """

    model_dir: Path
    geometry: StreamGeometry
    smoothing: str | None
    engine: str = "native"
    device: str = "cpu"
    adaptation: Path | None = None

    def cold_start(self, feed: Feed) -> ColdStart:
        """Start, load the model, decide; the medians of a few processes.

        Files are in the system's cache by then: this is the first start of a process, not of a machine.

        Returns
        -------
        ColdStart
            The import is that of the package with what it needs, the load that of the model; decisions are
            pushes of the last sample of the first and second window.

        Raises
        ------
        DataError
            If a process fails; with the last line that it wrote.
        """
        runs = [self._run([feed], [], "cold start") for _ in range(_N_COLD_STARTS)]
        return ColdStart(**{key: median(run[key] for run in runs) for key in _COLD}, n_processes=len(runs))

    def memory(self, feeds: Sequence[Feed], n_streams: Sequence[int]) -> tuple[StreamMemory, ...]:
        """Return the peak of the resident memory with so many streams, from the start of the process.

        One stream decides 60 s of every feed; the others two windows each. The process that measures cannot
        know this: it has loaded more than a stream needs.

        Parameters
        ----------
        feeds : sequence of Feed
            All kinds of movement: the topology's work space grows with the hardest cloud.
        n_streams : sequence of int
            Increasing.

        Returns
        -------
        tuple of StreamMemory
            One for each number.

        Raises
        ------
        DataError
            If the process fails; with the last line that it wrote.
        """
        peaks = self._run(feeds, n_streams, "memory")["peaks_rss_mb"]
        return tuple(
            StreamMemory(n_streams=n, peak_rss_mb=peak) for n, peak in zip(n_streams, peaks, strict=True)
        )

    def _run(self, feeds: Sequence[Feed], n_streams: Sequence[int], what: str) -> dict[str, Any]:
        geometry = self.geometry
        sizes = [geometry.window_size + geometry.hop_size]
        if n_streams:
            sizes += [max(round(_MEMORY_S * geometry.rate_hz), sizes[0])] * len(feeds)
        blocks = [feed.block(0, size) for feed, size in zip([feeds[0], *feeds], sizes, strict=False)]
        work = {"hop_s": geometry.hop_s, "block_sizes": sizes, "n_streams": list(n_streams)}
        head = json.dumps({**asdict(self), **work}, default=os.fspath)
        arrays = [part.tobytes() for block in blocks for part in block]
        return _start(b"".join([head.encode(), b"\n", *arrays]), what)


def _start(work: bytes, what: str) -> dict[str, Any]:
    began = time.perf_counter()
    # -P: the folder of the script, which is not one of top-level modules, stays out of the path.
    done = subprocess.run(  # noqa: S603 - this interpreter, our own script
        [sys.executable, "-P", str(_CHILD)], input=work, capture_output=True, check=False
    )
    process_s = time.perf_counter() - began
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise DataError(f"{what}: the process ended with {done.returncode} ({' '.join(last)})")
    measured: dict[str, Any] = json.loads(done.stdout)
    return {**measured, "process_s": process_s}
