"""The history of the benchmarks on each machine, and which of its runs changed.

    python benches/history.py add benches/results/1a2b3c4.json
    python benches/history.py page

`add` appends a run that ``--benchmark-json`` wrote to ``benches/results/history/FINGERPRINT.jsonl``, a file
for each machine (processor, instruction set, GPU, compiler, versions of Python, numpy and torch). `page`
writes one HTML page of all of them, ``benches/results/history/history.html``.
"""

from __future__ import annotations

import argparse
import fcntl
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from patchtst_har.benchmark.changes import N_DEVIATIONS, THRESHOLD, Paired, find_changes
from patchtst_har.errors import DataError
from patchtst_har.records.feasibility import Change, Outcome, Percentile
from patchtst_har.records.reading import read_json_lines
from patchtst_har.support.files import atomic_path, ensure_folder
from revisions import ROOT
from runs import COMPARED, Run, Timed, careful, evenly, is_interrupted, read_run, scatter_of

HISTORY = ROOT / "benches" / "results" / "history"
PAGE = "history.html"
_N_BASE = 5
"""Runs before one that it is compared with, at most; their median is taken."""
_N_SCATTER = 20
"""At most so many earlier runs show how a benchmark scatters."""
_MIN_FOR_SCATTER = 3
# The median of the absolute difference of two normal values is so much of their standard deviation, inverted.
_DEVIATIONS_A_STEP = 1.4826 / math.sqrt(2)
CHANGED = ("slower", "faster")


@dataclass(frozen=True)
class Point:
    """A percentile of a benchmark in one run of a machine.

    Attributes
    ----------
    us : float
        At the machine's median speed.
    low_us, high_us : float or None
        The band in which noise alone would leave it; None for the first run.
    change : Change or None
        Against the runs before it, since the last change; None for the first.
    """

    us: float
    low_us: float | None
    high_us: float | None
    change: Change | None

    @property
    def changed(self) -> bool:
        """Whether it is slower or faster than before."""
        return self.change is not None and self.change.outcome in CHANGED


Series = dict[tuple[str, Percentile], list[Point | None]]
"""Of each benchmark and percentile the points of all runs, None where a run lacks it."""


def append(run: Run, folder: Path) -> Path:
    """Append a run to the history of its machine, whole or not at all; return the file."""
    path = ensure_folder(folder) / f"{run.fingerprint}.jsonl"
    with _locked(folder), atomic_path(path) as temporary:
        before = path.read_bytes() if path.exists() else b""
        temporary.write_bytes(before + run.model_dump_json().encode() + b"\n")
    return path


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let nobody else append meanwhile."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def read_all(folder: Path) -> dict[str, list[Run]]:
    """Return the runs of every machine by its fingerprint, each in the order in which they were made.

    Raises
    ------
    DataError
        If there is none, or a line is damaged or of another machine; the message names file and line.
    """
    histories = {path.stem: _read(path) for path in sorted(folder.glob("*.jsonl"))}
    if not histories:
        raise DataError(f"{folder}: no history; `make bench` begins one")
    return histories


def _read(path: Path) -> list[Run]:
    runs = read_json_lines(path, Run)
    for number, run in enumerate(runs, start=1):
        if run.fingerprint != path.stem:
            raise DataError(f"{path}: line {number} is a run of another machine ({run.fingerprint})")
    return runs


def judge(runs: Sequence[Run]) -> Series:
    """Compare each run of one machine with those before it.

    A benchmark's base is the median, block by block, of up to five runs since its last change. The standard
    error of what whole runs differ in is that of the machine's speed, or that from the scatter of the
    benchmark's runs so far (drawn towards the scatter of all benchmarks; see `runs.careful`) if it is larger.

    Parameters
    ----------
    runs : sequence of Run
        Of one machine, in order.
    """
    speed = usual_speed(runs)
    earlier: dict[tuple[str, Percentile], _Earlier] = {}
    series: Series = {}
    for number, run in enumerate(runs):
        pairs = _against(run, earlier)
        changes = {(one.name, one.percentile): one for one in find_changes(pairs)}
        errors = {(pair.name, pair.percentile): pair.between for pair in pairs}
        for name, timed in run.benchmarks.items():
            for percentile in COMPARED:
                value_us = timed.value(percentile)
                if value_us is None:
                    continue
                key = name, percentile
                us = value_us * math.exp(speed - timed.log_speed)
                point = _point(us, changes.get(key), errors.get(key, 0.0))
                series.setdefault(key, [None] * len(runs))[number] = point
                earlier.setdefault(key, _Earlier()).add(timed, changed=point.changed)
    return series


def usual_speed(runs: Sequence[Run]) -> float:
    """Return the logarithm of a machine's median speed in µs."""
    return float(np.median([timed.log_speed for run in runs for timed in run.benchmarks.values()]))


@dataclass
class _Earlier:
    """The runs of a benchmark so far: those that show its scatter, and those since its last change."""

    all: list[Timed] = field(default_factory=list)
    since_change: list[Timed] = field(default_factory=list)

    def add(self, timed: Timed, *, changed: bool) -> None:
        self.all = [*self.all, timed][-_N_SCATTER:]
        self.since_change = [*([] if changed else self.since_change), timed][-_N_BASE:]


def _against(run: Run, earlier: Mapping[tuple[str, Percentile], _Earlier]) -> list[Paired]:
    """Return the blocks of a run paired with their bases."""
    found = []
    for percentile in COMPARED:
        rows: list[tuple[str, np.ndarray]] = []
        for name, timed in run.benchmarks.items():
            before = earlier.get((name, percentile))
            if before and timed.value(percentile) is not None:
                logs = [one.logs(percentile) for one in (timed, *before.since_change)]
                here, *others = (evenly(one, min(map(len, logs))) for one in logs)
                rows.append((name, here - np.median(others, axis=0)))
        scatter = scatter_of([logs for _, logs in rows])
        for name, logs in rows:
            timed = run.benchmarks[name]
            error = _error(timed, earlier[name, percentile], percentile, scatter)
            unusable: Outcome | None = "interrupted" if is_interrupted(timed, percentile) else None
            found.append(Paired(name, percentile, logs, error, unusable))
    return found


def _error(timed: Timed, before: _Earlier, percentile: Percentile, scatter: float) -> float:
    """Return the standard error of what a run differs in from those before it as a whole."""
    base = before.since_change
    speed = math.hypot(timed.speed_error, float(np.mean([one.speed_error for one in base])))
    if len(before.all) < _MIN_FOR_SCATTER:
        return max(speed, scatter)
    levels = [float(np.median(one.logs(percentile))) for one in before.all]
    # Steps from run to run: a change is one step of many, and does not count for scatter.
    own = _DEVIATIONS_A_STEP * float(np.median(np.abs(np.diff(levels))))
    return max(speed, careful(own * math.sqrt(1 + 1 / len(base)), scatter, len(levels)))


def _point(us: float, change: Change | None, error: float) -> Point:
    if change is None:
        return Point(us, None, None, None)
    base_us, band = us / change.ratio, math.exp(max(math.log1p(THRESHOLD), N_DEVIATIONS * error))
    return Point(us, base_us / band, base_us * band, change)


def main(arguments: Sequence[str] | None = None) -> int:
    """Append a run or draw the page; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="append a run to the history of its machine")
    add.add_argument("run", type=Path, help="file that --benchmark-json wrote")
    page = commands.add_parser("page", help="write the page of all histories")
    for command in (add, page):
        command.add_argument("--folder", type=Path, default=HISTORY, help="of the histories")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "add":
            print(f"history: {append(read_run(chosen.run), chosen.folder)}")
        else:
            from history_page import write_page

            print(f"page: {write_page(read_all(chosen.folder), chosen.folder / PAGE)}")
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
