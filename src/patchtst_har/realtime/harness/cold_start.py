"""The first decision of a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from patchtst_har.errors import DataError
from patchtst_har.realtime.harness.feed import Feed
from patchtst_har.realtime.harness.geometry import StreamGeometry

_CHILD = Path(__file__).with_name("cold_start_child.py")
_N_PROCESSES = 3


def measure_cold_start(
    model_dir: Path,
    feed: Feed,
    geometry: StreamGeometry,
    *,
    smoothing: str | None,
    engine: str = "native",
    device: str = "cpu",
) -> dict[str, Any]:
    """Start Python anew, load a model, decide; the median of a few processes.

    Files are in the system's cache by then: this is the first start of a process, not of a machine.

    Parameters
    ----------
    model_dir : pathlib.Path
        Folder of the model.
    feed, geometry, smoothing
        Samples, and how they are decided.
    engine, device : str
        As `Recognizer.from_pretrained`; where torch's model is put.

    Returns
    -------
    dict
        ``import_s`` (of the package with what it needs), ``load_s`` (of the model), ``first_decision_us``,
        ``second_decision_us`` (pushes of the last sample of the first and second window), ``process_s``
        (from the start of the process to its end), ``peak_rss_mb`` (of the process), ``n_processes``.

    Raises
    ------
    DataError
        If a process fails; with the last line that it wrote.
    """
    n_samples = geometry.window_size + geometry.hop_size
    samples, stamps = feed.block(0, n_samples)
    head = {
        "model_dir": str(model_dir),
        "engine": engine,
        "device": device,
        "hop_s": geometry.hop_s,
        "smoothing": smoothing,
        "window_size": geometry.window_size,
        "n_samples": n_samples,
    }
    work = json.dumps(head).encode() + b"\n" + samples.tobytes() + stamps.tobytes()
    runs = [_run(work) for _ in range(_N_PROCESSES)]
    return {**{key: median(run[key] for run in runs) for key in runs[0]}, "n_processes": len(runs)}


def _run(work: bytes) -> dict[str, float]:
    began = time.perf_counter()
    # -P: the folder of the script, which is not one of top-level modules, stays out of the path.
    done = subprocess.run(  # noqa: S603 - this interpreter, our own script
        [sys.executable, "-P", str(_CHILD)], input=work, capture_output=True, check=False
    )
    process_s = time.perf_counter() - began
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise DataError(f"cold start: the process ended with {done.returncode} ({' '.join(last)})")
    measured: dict[str, float] = json.loads(done.stdout)
    return {**measured, "process_s": process_s}
