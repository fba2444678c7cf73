"""The process that `study_small_targets.py` limits: replays samples on their schedule through a stream.

``small_target_child.py MODEL_DIR SAMPLES.npz HOP_S SPEED`` prints a line of JSON when it is ready, and one of
results.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from patchtst_har import Recognizer
from patchtst_har.realtime.sources import replay

HEAVY = ("torch", "pandas", "pyarrow", "scipy", "numba", "sklearn")
MEMORY = {"VmRSS": "resident", "VmHWM": "peak_resident", "RssAnon": "resident_anonymous"}


def memory() -> dict[str, int]:
    """Return resident memory now and at its peak, in bytes, and the part of it that no file backs."""
    lines = (line.partition(":") for line in Path("/proc/self/status").read_text().splitlines())
    status = {name: value for name, _, value in lines}
    return {shown: 1024 * int(status[name].split()[0]) for name, shown in MEMORY.items()}


def main(folder: str, samples_path: str, hop_s: str, speed: str) -> None:
    """Decide every window; latency counts from when the last sample of a window was due."""
    stream = Recognizer.from_pretrained(folder).stream(float(hop_s))
    with np.load(samples_path, allow_pickle=False) as arrays:
        samples, stamps_ns = arrays["samples"], arrays["stamps_ns"]
    say({"ready": True, **memory()})
    began, used = time.perf_counter(), time.process_time()
    latency_ns, work_ns = [], []
    digest = hashlib.sha256()
    for batch in replay(samples, stamps_ns, float(speed)):
        if batch.samples is None:
            continue
        for decision in stream.push(batch.samples, batch.stamps_ns):
            latency_ns.append(round((time.perf_counter() - batch.due_s) * 1e9))
            work_ns.append(round(decision.latency_s * 1e9))
            digest.update(decision.probabilities.tobytes())
    wall_s = time.perf_counter() - began
    say(
        {
            "latency_ns": latency_ns,
            "work_ns": work_ns,
            "digest": digest.hexdigest(),
            "n_samples": stream.stats.n_samples,
            "cpu_share": (time.process_time() - used) / wall_s,
            "page_faults": resource.getrusage(resource.RUSAGE_SELF).ru_majflt,
            "heavy_modules": [name for name in HEAVY if name in sys.modules],
            **memory(),
        }
    )


def say(document: dict[str, Any]) -> None:
    print(json.dumps(document), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
