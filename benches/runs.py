"""What is kept of a run of the benchmarks, and what two runs are compared by.

Times are divided by the machine's speed just before and after each benchmark (`measuring.machine_speed_us`)
and taken in blocks of rounds; `patchtst_har.benchmark.changes` judges the paired blocks of two runs. What
whole runs differ in beyond their blocks is taken from the machine's speed, from how much all benchmarks
scatter between the runs, and from runs that were repeated.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import stats

from measuring import percentiles_us
from patchtst_har.benchmark.changes import N_DEVIATIONS, Paired
from patchtst_har.errors import DataError
from patchtst_har.records.feasibility import Percentile
from patchtst_har.records.run import Record

COMPARED: tuple[Percentile, ...] = get_args(Percentile)
FINGERPRINT = ("cpu", "isa", "cuda_device", "python", "numpy", "torch", "compiler")
"""What makes two machines one: times of others are never compared with its own."""
# The percentile is that of so many rounds; blocks are groups of those.
_ROUNDS = {"p50": 1, "p95": 20}
_MAX_BLOCKS = 40
_MIN_FOR_SCATTER = 8
_N_USUAL = 8
# Above such a share, the percentile is one of the interrupted rounds, or close to them.
_MAX_INTERRUPTED = {"p50": 0.2, "p95": 0.01}

Logs = NDArray[np.float64]


class Timed(Record):
    """A benchmark in a run."""

    device: Literal["cpu", "cuda"]
    p50_us: float = Field(gt=0)
    """Of an item, as measured."""
    p95_us: float | None = Field(gt=0)
    p99_us: float | None = Field(gt=0)
    blocks_us: dict[Percentile, tuple[float, ...]]
    """Medians, and means of the p95 of 20 rounds, of at most 40 blocks in the order of the rounds."""
    speed_us: tuple[float, float]
    """The machine's speed before and after."""
    interrupted_share: float
    """Rounds during which other work took the processor, at most 1."""

    def value(self, percentile: str) -> float | None:
        """Return p50, p95 or p99 in µs; None of too few rounds."""
        return getattr(self, f"{percentile}_us")

    def logs(self, percentile: Percentile) -> Logs:
        """Return the logarithms of the blocks (n,) relative to the machine's speed."""
        return np.log(self.blocks_us[percentile]) - self.log_speed

    @property
    def log_speed(self) -> float:
        """The logarithm of the machine's speed in µs."""
        return float(np.log(self.speed_us).mean())

    @property
    def speed_error(self) -> float:
        """How far the logarithm of the speed may be off."""
        return abs(float(np.diff(np.log(self.speed_us))[0])) / 2


class Run(Record):
    """All benchmarks of a run by full name, and facts about its machine."""

    format: Literal[1]
    time_utc: str
    commit: str
    dirty: bool
    rounds_factor: float
    host: dict[str, Any]
    no_device: tuple[str, ...]
    """Benchmarks on CUDA that were left out because there is no device."""
    benchmarks: dict[str, Timed]

    @property
    def fingerprint(self) -> str:
        """What distinguishes the machine from others."""
        facts = json.dumps([self.host.get(name) for name in FINGERPRINT])
        return hashlib.sha256(facts.encode()).hexdigest()[:12]


def read_run(path: Path) -> Run:
    """Read a run that ``--benchmark-json`` wrote.

    Raises
    ------
    DataError
        If it is not there, not JSON, or not from these benchmarks; the message names it.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        machine, commit = document["machine_info"], document["commit_info"]
        return Run(
            format=1,
            time_utc=document["datetime"],
            commit=str(commit["id"]),
            dirty=bool(commit["dirty"]),
            rounds_factor=machine["rounds_factor"],
            host=machine["host"],
            no_device=machine["no_device"],
            # Those without have compared several ways with each other.
            benchmarks={
                row["fullname"]: _timed(row)
                for row in document["benchmarks"]
                if "speed_us" in row["extra_info"]
            },
        )
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        problem = " ".join(str(error).split())
        raise DataError(f"{path}: no run of the benchmarks ({type(error).__name__}: {problem})") from error


def _timed(row: Mapping[str, Any]) -> Timed:
    info, data = row["extra_info"], row["stats"]["data"]
    seconds = np.array(data, np.float64) / info["per_round"]
    return Timed(
        device=info["device"],
        **percentiles_us(data, info["per_round"]),
        blocks_us={name: _blocks_us(seconds, name) for name in COMPARED},
        speed_us=info["speed_us"],
        interrupted_share=info["interrupted_share"],
    )


def _blocks_us(seconds: NDArray[np.float64], percentile: Percentile) -> tuple[float, ...]:
    """Return a percentile of consecutive blocks in µs, in four digits; empty of too few rounds."""
    size = _ROUNDS[percentile]
    n_groups = len(seconds) // size
    if not n_groups:
        return ()
    groups = seconds[: n_groups * size].reshape(n_groups, size)
    values = 1e6 * (groups[:, 0] if size == 1 else np.quantile(groups, 0.95, axis=1))
    middle = np.median if size == 1 else np.mean
    parts = np.array_split(values, min(n_groups, _MAX_BLOCKS))
    return tuple(float(f"{middle(part):.4g}") for part in parts)


def in_common(runs: Sequence[Run]) -> list[str]:
    """Return the names of the benchmarks that all runs have.

    Raises
    ------
    DataError
        If there is none.
    """
    names = [name for name in runs[0].benchmarks if all(name in run.benchmarks for run in runs)]
    if not names:
        raise DataError("the runs have no benchmark in common")
    return names


def paired_runs(base: Run, here: Run) -> list[Paired]:
    """Return the paired blocks of two runs that were made at different times."""
    drift = max(_drift(run) for run in (base, here))
    found = []
    for percentile in COMPARED:
        pairs: list[tuple[str, list[Timed], Logs]] = []
        for name in in_common([base, here]):
            both = [run.benchmarks[name] for run in (base, here)]
            logs = difference(*(one.logs(percentile) for one in both))
            if len(logs):
                pairs.append((name, both, logs))
        scatter = scatter_of([logs for *_, logs in pairs])
        for name, both, logs in pairs:
            speed = float(np.hypot(*(max(one.speed_error, drift) for one in both)))
            disturbed = any(is_interrupted(one, percentile) for one in both)
            found.append(
                Paired(name, percentile, logs, max(speed, scatter), "interrupted" if disturbed else None)
            )
    return found


def paired_repeats(repeats: Sequence[tuple[Run, Run]]) -> list[Paired]:
    """Return the paired blocks of runs (base, here) that alternated.

    Raises
    ------
    DataError
        If there are fewer than three pairs, or they have no benchmark in common.
    """
    if len(repeats) < 3:
        raise DataError(f"{len(repeats)} pairs of runs show no noise: at least 3 are needed")
    names = in_common([run for pair in repeats for run in pair])
    found = []
    for percentile in COMPARED:
        logs = {
            name: [difference(*(run.benchmarks[name].logs(percentile) for run in pair)) for pair in repeats]
            for name in names
        }
        logs = {name: parts for name, parts in logs.items() if all(map(len, parts))}
        errors = {name: float(stats.sem([part.mean() for part in parts])) for name, parts in logs.items()}
        usual = float(np.median(list(errors.values()))) if errors else 0.0
        found += [
            Paired(name, percentile, np.concatenate(parts), careful(errors[name], usual, len(parts)))
            for name, parts in logs.items()
        ]
    return found


def careful(own: float, usual: float, n: int) -> float:
    """Return the standard error of n runs, which may agree by chance, drawn towards what is usual.

    As if eight more runs had the usual one (a moderated t statistic: Smyth, Stat. Appl. Genet. Mol. Biol. 3,
    2004), and stretched by how much longer the tails of Student's t are than the normal ones. A `usual` of 0
    is not known.
    """
    freedom = n - 1 + _N_USUAL
    error = np.sqrt((_N_USUAL * (usual or own) ** 2 + (n - 1) * own**2) / freedom)
    stretch = stats.t.isf(stats.norm.sf(N_DEVIATIONS), freedom) / N_DEVIATIONS
    return float(error * stretch)


def difference(base: Logs, here: Logs) -> Logs:
    """Return the differences of paired blocks, of as many as both have."""
    n = min(len(base), len(here))
    return evenly(here, n) - evenly(base, n)


def evenly(logs: Logs, n: int) -> Logs:
    """Return `n` evenly spread blocks."""
    return logs[np.linspace(0, len(logs) - 1, n).round().astype(int)]


def is_interrupted(timed: Timed, percentile: Percentile) -> bool:
    """Return whether other work interrupted so many rounds that a percentile means nothing."""
    return timed.interrupted_share > _MAX_INTERRUPTED[percentile]


def scatter_of(logs: Sequence[Logs]) -> float:
    """Return by how much benchmarks scatter around each other between two runs; 0 of too few."""
    if len(logs) < _MIN_FOR_SCATTER:
        return 0.0
    return float(stats.median_abs_deviation([np.median(one) for one in logs], scale="normal"))


def _drift(run: Run) -> float:
    """Return how far the machine's speed usually is off in a run."""
    return float(np.median([timed.speed_error for timed in run.benchmarks.values()]))
