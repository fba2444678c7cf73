"""A stream on less than a core: how late decisions are, and how much memory they take.

Run by name: `python benches/study_small_targets.py MODEL_DIR`. Replays samples on their schedule through
`Recognizer.stream` in a process that is bound to one core and limited in processor time and memory; prints
a table; the last line is one JSON document. Without `--recording`, the samples are walking, rest and noise.
"""

from __future__ import annotations

import argparse
import contextlib
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
from patchtst_har.host import host_facts
from patchtst_har.realtime.percentiles import MIN_SAMPLES, summarise
from small_target_limits import limit_cpu, limit_memory

CHILD = Path(__file__).with_name("small_target_child.py")
SHOWN = ("p50_us", "p95_us", "p99_us", "max_us")


def made_up(n_samples: int, rate_hz: float) -> np.ndarray:
    """Return walking, rest on a grid of 1/64 g and noise, half a minute each, in turn: (n, 3) float32."""
    rng = np.random.default_rng(0)
    time_s = np.arange(n_samples) / rate_hz
    step = np.sin(2 * np.pi * 1.9 * time_s)[:, np.newaxis] * [0.4, 0.2, 0.3]
    noise = rng.normal(size=(n_samples, 3))
    kind = ((time_s // 30) % 3).astype(int)[:, np.newaxis]
    rest = np.round((np.array([0.1, 0.2, 0.97]) + 0.006 * noise) * 64) / 64
    walking = np.array([0.1, -0.3, 0.9]) + step + 0.05 * noise
    return np.choose(kind, [walking, rest, rest + 0.3 * noise]).astype(np.float32)


def recorded(path: Path, n_samples: int) -> np.ndarray:
    """Return a recording's samples, from the start again where it ends: (n, 3) float32."""
    from patchtst_har.data import read_recording
    from patchtst_har.data.recording import check_recording

    _, samples = check_recording(read_recording(path)[0])
    return np.resize(samples, (n_samples, 3))


def write_samples(arguments: argparse.Namespace, folder: Path) -> Path:
    """Write as many samples as the decisions need."""
    data = Recognizer.from_pretrained(arguments.model).config.data
    n_samples = data.window_size + math.ceil((arguments.decisions - 1) * arguments.hop * data.sample_rate_hz)
    if arguments.recording:
        samples = recorded(arguments.recording, n_samples)
    else:
        samples = made_up(n_samples, data.sample_rate_hz)
    stamps_ns = 1_700_000_000_000_000_000 + np.rint(
        np.arange(n_samples) * (1e9 / data.sample_rate_hz)
    ).astype(np.int64)
    path = folder / "samples.npz"
    np.savez(path, samples=samples, stamps_ns=stamps_ns)
    return path


def measure(arguments: argparse.Namespace, samples: Path, share: float | None) -> dict[str, Any]:
    """Run one process, limited to a share of a core (None: the whole core), and return what it measured."""
    # The shell waits until the limits are set and becomes the process then: not a page is counted elsewhere.
    command = ["sh", "-c", 'read -r _ && exec "$@"', "sh", sys.executable, CHILD]
    command += [arguments.model, samples, str(arguments.hop), str(arguments.speed)]
    # A thread a core would only reserve memory: products of this size run in the caller.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    with contextlib.ExitStack() as stack:
        limits = {"memory": limit_memory(arguments.memory_mb * 10**6)}
        stack.callback(limits["memory"].close)
        if share is not None:
            limits["cpu"] = limit_cpu(share)
            stack.callback(limits["cpu"].close)
        process = stack.enter_context(
            subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
            )
        )
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
        if result is None:
            return {"share": share, "failed": f"ended with {process.wait()}", **described(limits)}
        return judged(arguments, share, result) | {
            "seconds_to_ready": start_s,
            "resident_when_ready": ready["resident"],
            **described(limits),
        }


def described(limits: dict[str, Any]) -> dict[str, Any]:
    return {f"{kind}_limit": {"by": limit.name, **limit.facts()} for kind, limit in limits.items()}


def judged(arguments: argparse.Namespace, share: float | None, result: dict[str, Any]) -> dict[str, Any]:
    """Return percentiles and missed deadlines; a decision misses if it comes later than the next window."""
    latency_ns = np.array(result.pop("latency_ns"), np.int64)
    work_ns = np.array(result.pop("work_ns"), np.int64)
    deadline_s = arguments.hop / arguments.speed
    return {
        "share": share,
        "deadline_s": deadline_s,
        "n_missed": int((latency_ns > deadline_s * 1e9).sum()),
        "latency": summarise(latency_ns),
        "work": summarise(work_ns),
        **result,
    }


def row(run: dict[str, Any]) -> list[str]:
    share = "whole core" if run["share"] is None else f"{100 * run['share']:g} %"
    if "failed" in run:
        return [share, run["failed"], *[""] * 8]
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


def show(runs: list[dict[str, Any]]) -> None:
    """Print the table."""
    heads = ["processor", "start, s", "p50, ms", "p95", "p99", "max", "later than the hop", "used"]
    heads += ["peak resident, MB", "of no file"]
    for cells in (heads, ["---"] * len(heads), *map(row, runs)):
        print("|", " | ".join(cells), "|", flush=True)


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
        samples = write_samples(arguments, Path(folder))
        runs = [measure(arguments, samples, share) for share in (None, *arguments.shares)]
    show(runs)
    settings = {name: getattr(arguments, name) for name in ("memory_mb", "hop", "speed", "core")}
    print(json.dumps({"host": host_facts(), "settings": settings, "runs": runs}, allow_nan=False))


if __name__ == "__main__":
    main()
