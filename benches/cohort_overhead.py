"""What many recordings cost beyond labelling them: local processes and Dask, the same bytes from both.

    python benches/cohort_overhead.py --n 1000 --workers 2

The overhead is the time of the whole run, with starting workers, finding recordings, tables and page,
compared with the seconds that the workers spent on recordings, divided by the workers.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np

from patchtst_har.cohort import label_recordings
from patchtst_har.support.host import host_facts
from patchtst_har.synthetic import DAILY_ACTIVITIES, daily_bout, recording

MINUTES = 10
_BOUT_S = 60.0


def write_recordings(folder: Path, n: int) -> None:
    """Write n recordings of ten minutes as NPZ, in ten folders; what is there is kept."""
    for number in range(n):
        path = folder / f"site{number % 10}" / f"P{number:05d}.npz"
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        order = np.random.default_rng(number).choice(DAILY_ACTIVITIES, MINUTES)
        made = recording([(str(name), _BOUT_S) for name in order], make=daily_bout, seed=number)
        times_ns = made.index.as_unit("ns").asi8
        np.savez(path, time_ns=times_ns, acc=made[["x", "y", "z"]].to_numpy(np.float32))


@contextmanager
def dask_workers(n: int) -> Iterator[object]:
    """Yield the executor of a Dask cluster on this machine, n processes of one thread."""
    from distributed import Client, LocalCluster

    options = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with LocalCluster(n_workers=n, **options) as cluster, Client(cluster) as client:
        yield client.get_executor(pure=False)


def measured(recordings: Path, out: Path, n_workers: int, executor: object = None) -> dict[str, float]:
    """Label all recordings; return times and the overhead."""
    start = time.perf_counter()
    workers = 0 if executor is not None else n_workers
    result = label_recordings([recordings], out, workers=workers, executor=executor)
    wall_s = time.perf_counter() - start
    with (out / "timings.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    busy_s = sum(float(row["seconds"]) for row in rows) / n_workers
    return {
        "n_labelled": result.n_labelled,
        "n_failed": len(result.failures),
        "wall_s": round(wall_s, 2),
        "pure_s": round(busy_s, 2),
        "overhead": round(wall_s / busy_s - 1, 4),
        "cpu_s_per_recording": round(sum(float(row["cpu_seconds"]) for row in rows) / len(rows), 4),
    }


def contents(folder: Path) -> dict[str, bytes]:
    """Return what a run left but for the times."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "timings.csv"
    }


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="cohort-"))
    try:
        write_recordings(place / "in", options.n)
        local = measured(place / "in", place / "local", options.workers)
        with dask_workers(options.workers) as executor:
            dask = measured(place / "in", place / "dask", options.workers, executor)
        host = host_facts()
        same = contents(place / "local") == contents(place / "dask")
        facts = {"n": options.n, "workers": options.workers, "date": str(date.today()), "same_bytes": same}
        machine = {name: host[name] for name in ("cpu", "isa", "n_cores", "load_average")}
        print(json.dumps({**facts, "local": local, "dask": dask, "machine": machine}, indent=2))
        if not same or local["n_failed"] or dask["n_failed"]:
            raise SystemExit("the files differ, or recordings failed")
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
