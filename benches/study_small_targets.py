"""A stream on less than a core: how late decisions are, and how much memory they take.

Run by name: `python benches/study_small_targets.py MODEL_DIR`. Replays samples on their schedule through
`Recognizer.stream` in a process that is bound to one core and limited in processor time and memory; prints
a table; the last line is one JSON document. Without `--recording`, the samples are simulated: rest, walking,
noise and what is slowest for the topological features. Every probability is compared with that of a stream
without limits.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from patchtst_har import Recognizer
from patchtst_har.benchmark.loops.schedule import Feed
from patchtst_har.benchmark.workloads import recorded_workload, simulated_workloads
from patchtst_har.config import ExperimentConfig
from patchtst_har.support.host import host_facts
from patchtst_har.support.percentiles import MIN_SAMPLES, describe, miss_rate_upper
from small_target_limits import limit_cpu, limit_memory

CHILD = Path(__file__).with_name("small_target_child.py")
SHOWN = ("p50_us", "p95_us", "p99_us", "max_us")
HEADS = ["processor", "start, s", "p50, ms", "p95", "p99", "max", "later than the hop"]
HEADS += ["used", "peak resident, MB", "of no file"]


def samples_of(arguments: argparse.Namespace, config: ExperimentConfig) -> np.ndarray:
    """Return the recording's samples on the model's grid, or half a minute of each simulation in turn."""
    if arguments.recording:
        from patchtst_har.data import read_recording

        return recorded_workload(read_recording(arguments.recording)[0], config).samples
    simulated = simulated_workloads(config.data.sample_rate_hz, 30.0, 0, config)
    return np.concatenate([workload.samples for workload in simulated.values()])


def write_samples(arguments: argparse.Namespace, folder: Path) -> tuple[Path, str]:
    """Write as many samples as the decisions need, and return the digest of what is to be decided on them."""
    recognizer = Recognizer.from_pretrained(arguments.model)
    config, data = recognizer.config, recognizer.config.data
    n_samples = data.window_size + math.ceil((arguments.decisions - 1) * arguments.hop * data.sample_rate_hz)
    samples, stamps_ns = Feed(samples_of(arguments, config), data.sample_rate_hz).block(0, n_samples)
    path = folder / "samples.npz"
    np.savez(path, samples=samples, stamps_ns=stamps_ns)
    digest = hashlib.sha256()
    for decision in recognizer.stream(arguments.hop).push(samples, stamps_ns):
        digest.update(decision.probabilities.tobytes())
    return path, digest.hexdigest()


def measure(
    arguments: argparse.Namespace, samples: Path, expected: str, share: float | None
) -> dict[str, Any]:
    """Run one process, limited to a share of a core (None: the whole core), and return what it measured."""
    # The shell waits until the limits are set and becomes the process then: not a page is counted elsewhere.
    command = ["sh", "-c", 'read -r _ && exec "$@"', "sh", sys.executable, CHILD]
    command += [arguments.model, samples, str(arguments.hop), str(arguments.speed)]
    # A thread a core would only reserve memory: products of this size run in the caller.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with contextlib.ExitStack() as stack:
        limits = {"memory": limit_memory(arguments.memory_mb * 10**6)}
        stack.callback(limits["memory"].close)
        if share is not None:
            limits["cpu"] = limit_cpu(share)
            stack.callback(limits["cpu"].close)
        process = stack.enter_context(subprocess.Popen(command, env=environment, **pipes))
        stack.callback(process.kill)
        os.sched_setaffinity(process.pid, {arguments.core})
        for limit in limits.values():
            limit.apply(process.pid)
        began = time.perf_counter()
        process.stdin.write("go\n")
        process.stdin.flush()
        ready = json.loads(process.stdout.readline() or "null")
        start_s = time.perf_counter() - began
        result = json.loads(process.stdout.readline() or "null")
        facts = {f"{kind}_limit": {"by": limit.name, **limit.facts()} for kind, limit in limits.items()}
        if result is None:
            return {"share": share, "failed": f"ended with {process.wait()}", **facts}
        if result.pop("digest") != expected:
            raise SystemExit("the limited process decided otherwise: its times are not shown")
        ready = {"seconds_to_ready": start_s, "resident_when_ready": ready["resident"]}
        return {"share": share, **judged(result, arguments.hop / arguments.speed), **ready, **facts}


def judged(result: dict[str, Any], deadline_s: float) -> dict[str, Any]:
    """Return percentiles and missed deadlines; a decision misses if it comes later than the next window."""
    latency_ns, work_ns = (np.array(result.pop(name), np.int64) for name in ("latency_ns", "work_ns"))
    n_missed = int((latency_ns > deadline_s * 1e9).sum())
    missed = {"n_missed": n_missed, "miss_rate_at_most": miss_rate_upper(n_missed, len(latency_ns))}
    return {
        "deadline_s": deadline_s,
        **missed,
        "latency": describe(latency_ns),
        "work": describe(work_ns),
        **result,
    }


def row(run: dict[str, Any]) -> list[str]:
    """Return the cells below `HEADS`."""
    share = "whole core" if run["share"] is None else f"{100 * run['share']:g} %"
    if "failed" in run:
        return [share, run["failed"], *[""] * (len(HEADS) - 2)]
    times = [run["latency"][name] for name in SHOWN]
    return [
        share,
        f"{run['seconds_to_ready']:.1f}",
        *("n/a" if value is None else f"{value / 1e3:.2f}" for value in times),
        f"{run['n_missed']} of {run['latency']['n']}",
        f"{100 * run['cpu_share']:.1f} %",
        f"{run['peak_resident'] / 1e6:.0f}",
        f"{run['resident_anonymous'] / 1e6:.0f}",
    ]


def main() -> None:
    """Run the study on a model folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, metavar="MODEL_DIR")
    parser.add_argument("--recording", type=Path, help="of which samples are taken; repeated if too short")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.25, 0.1], help="of a core")
    parser.add_argument("--memory-mb", type=int, default=128)
    parser.add_argument("--hop", type=float, default=1.0, help="seconds between decisions")
    parser.add_argument("--speed", type=float, default=1.0, help="times as fast as life; so are deadlines")
    parser.add_argument(
        "--decisions", type=int, default=MIN_SAMPLES["p99"], help=f"p99 needs {MIN_SAMPLES['p99']}"
    )
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        samples, expected = write_samples(arguments, Path(folder))
        runs = [measure(arguments, samples, expected, share) for share in (None, *arguments.shares)]
    for cells in (HEADS, ["---"] * len(HEADS), *map(row, runs)):
        print("|", " | ".join(cells), "|")
    settings = {name: getattr(arguments, name) for name in ("memory_mb", "hop", "speed", "core")}
    print(json.dumps({"host": host_facts(), "settings": settings, "runs": runs}, allow_nan=False))


if __name__ == "__main__":
    main()
