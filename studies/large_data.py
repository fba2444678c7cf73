"""Train on more windows than there is memory for, under a limit, and say what that took.

Writes simulated people of 24 hours to FOLDER/prepared (unless they are there), then runs `patchtst-har train`
for two parts of an epoch in a process of its own. RLIMIT_DATA limits all memory that the process allocates
(heap and private maps); its resident memory is read from the system until it ends. Windows are read from
disk, so what the system keeps of the files counts in neither.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from patchtst_har import synthetic
from patchtst_har.config import DataConfig
from patchtst_har.datasets.prepared import MANIFEST, PreparedDataset
from patchtst_har.datasets.prepared_writer import PreparedWriter
from patchtst_har.errors import DataError
from studies.commands import folder, parser_of, progress_line, run_command

_WINDOWS_PER_PERSON = 8640
_WINDOW_BYTES = 1000 * 3 * 4
_COMMAND = "from patchtst_har.cli import main; main()"
_START_NS = 1_700_000_000_000_000_000


def write_people(where: Path, n_people: int) -> PreparedDataset:
    """Write people with windows of two classes in bouts of half an hour, or open those that are there."""
    if (where / MANIFEST).exists():
        dataset = PreparedDataset.open(where)
        if len(dataset.participants) != n_people:
            raise DataError(f"{where}: has {len(dataset.participants)} people, not {n_people}")
        return dataset
    writer = PreparedWriter(where)
    kinds = ("still", "walking")
    bank = np.stack([synthetic.windows(kind, 64) for kind in kinds])
    kind = np.arange(_WINDOWS_PER_PERSON) // 180 % 2
    for person in range(n_people):
        rng = np.random.default_rng(person)
        windows = bank[kind, rng.integers(64, size=len(kind))]
        windows *= rng.normal(1, 0.05, (len(kind), 1, 1)).astype(np.float32)
        start_ns = _START_NS + 10**10 * np.arange(len(kind))
        writer.add(f"P{person:03d}", windows, np.array(kinds)[kind], start_ns)
        progress_line(person + 1, n_people, "people written")
    defaults = DataConfig()
    shape = {name: getattr(defaults, name) for name in ("sample_rate_hz", "window_size", "hop_size")}
    return writer.finish({**shape, "clock": "wall"})


def train(options: Namespace, n_people: int) -> dict[str, Any]:
    """Run the command under the limit; return peak of resident memory, seconds, and the record of epochs."""
    held_out = max(1, n_people // 12)
    settings = {
        "data.train_n": n_people - 2 * held_out,
        "data.val_n": held_out,
        "data.proc_dir": options.folder / "prepared",
        "features.groups": "[statistical]",
        "training.epochs": 2,
        "training.epoch_fraction": options.fraction,
        "training.batch_size": options.batch_size,
        "training.n_threads": 1,
        "output_dir": options.folder / "runs",
        "experiment_name": "large",
    }
    command = [sys.executable, "-c", _COMMAND, "train", "--preset", options.preset, "--overwrite"]
    for name, value in settings.items():
        command += ["--set", f"{name}={value}"]
    limit = options.limit_mb * 10**6
    began, peak = time.perf_counter(), 0
    process = subprocess.Popen(  # noqa: S603 - this interpreter, with arguments of its own
        command, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    )
    while process.poll() is None:
        peak = max(peak, _peak_bytes(process.pid))
        time.sleep(0.05)
    if process.returncode:
        raise DataError(f"training ended with status {process.returncode}")
    lines = (options.folder / "runs" / "large" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    trained = [line["metrics"] for line in map(json.loads, lines) if line["phase"] == "train"]
    return {
        "peak_resident_mb": peak / 1e6,
        "limit_mb": options.limit_mb,
        "seconds": time.perf_counter() - began,
        "data_wait": [metrics["data_wait"] for metrics in trained],
        "loss": [metrics["loss"] for metrics in trained],
    }


def _peak_bytes(process: int) -> int:
    """Return the largest resident memory so far; 0 once the process has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_bytes()
    except OSError:
        return 0
    return int(status.split(b"VmHWM:", 1)[1].split(b"kB", 1)[0]) * 1024 if b"VmHWM:" in status else 0


def main(arguments: Sequence[str]) -> None:
    """Run the command."""
    parser = parser_of(__doc__, "large_data")
    parser.add_argument("folder", type=folder, help="for the simulated people and the run; kept")
    parser.add_argument("--gigabytes", type=float, default=4.0, help="size of all windows")
    parser.add_argument("--limit-mb", type=int, default=1500, help="memory that training may allocate")
    parser.add_argument("--fraction", type=float, default=0.05, help="part of the windows in an epoch")
    parser.add_argument("--preset", default="seed")
    parser.add_argument("--batch-size", type=int, default=64)
    options = parser.parse_args(arguments)
    n_people = max(4, round(options.gigabytes * 1e9 / (_WINDOWS_PER_PERSON * _WINDOW_BYTES)))
    dataset = write_people(options.folder / "prepared", n_people)
    n_bytes = sum(dataset.path(name).stat().st_size for name in dataset.participants)
    found = {"people": n_people, "windows_mb": n_bytes / 1e6, **train(options, n_people)}
    print(json.dumps(found, indent=2))
    if found["peak_resident_mb"] > options.limit_mb:
        raise DataError(f"resident memory was {found['peak_resident_mb']:.0f} MB, above {options.limit_mb}")


if __name__ == "__main__":
    run_command(main)
