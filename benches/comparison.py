"""Compare measured runs of the benchmarks, telling changes from noise.

Times are divided by the machine's speed (`machine_speed`) just before and after each benchmark. Two stored
runs tell their noise by the scatter of blocks of rounds, widened by how much all benchmarks scatter between
the runs, and tell nothing where other work interrupted too many rounds; pairs of interleaved runs tell their
noise by the pairs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

QUANTILES = {"p50": 0.5, "p95": 0.95}
# As `patchtst_har.support.percentiles` asks.
_MIN_ROUNDS = {"p50": 1, "p95": 130}
# A block's quantile has to mean something, and a deviation needs a few blocks.
_MIN_BLOCK = {"p50": 5, "p95": 40}
_MIN_BLOCKS, _MAX_BLOCKS = 4, 12
_MIN_FOR_SCATTER = 8
# Above such a share, the quantile is one of the interrupted rounds, or close to them.
_MAX_INTERRUPTED = {"p50": 0.2, "p95": 0.01}
# There are about a hundred comparisons, and times have longer tails than the normal distribution.
_N_DEVIATIONS = 4.0
_LEAST_CHANGE = math.log(1.05)
_FALSE_DISCOVERIES = 0.05


class ComparisonError(Exception):
    """A run cannot be read, or runs have nothing in common."""


@dataclass(frozen=True)
class Measured:
    """A benchmark in a run.

    Attributes
    ----------
    seconds : ndarray, shape (n_rounds,)
        Of an item, in the order of the rounds.
    speed_us : ndarray, shape (2,)
        The machine's speed before and after.
    interrupted_share : float
        Rounds during which other work took the processor, at most 1.
    """

    seconds: NDArray[np.float64]
    speed_us: NDArray[np.float64]
    interrupted_share: float

    def relative(self, quantile: float) -> float:
        """Return the logarithm of a quantile relative to the machine's speed."""
        return float(np.log(np.quantile(self.seconds, quantile)) - np.log(self.speed_us).mean())

    def blocks(self, name: str) -> NDArray[np.float64] | None:
        """Return the logarithms of a quantile in consecutive blocks; None if there are too few rounds."""
        n_blocks = min(len(self.seconds) // _MIN_BLOCK[name], _MAX_BLOCKS)
        if n_blocks < _MIN_BLOCKS:
            return None
        parts = np.array_split(self.seconds, n_blocks)
        return np.log([np.quantile(part, QUANTILES[name]) for part in parts])


@dataclass(frozen=True)
class Run:
    """All benchmarks of a run by full name, and facts about its machine."""

    benchmarks: Mapping[str, Measured]
    host: Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """What became of a quantile: new time to old, with the interval that noise allows.

    ``verdict`` is ``slower``, ``faster``, empty (within the noise), or why it cannot be told: ``too few
    rounds`` or ``interrupted``.
    """

    ratio: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """A benchmark in both runs: medians as measured in µs, and the change of p50 and p95 at equal speed."""

    name: str
    base_us: float
    here_us: float
    changes: Mapping[str, Change]


def read_run(path: Path) -> Run:
    """Read a run that ``--benchmark-json`` wrote.

    Raises
    ------
    ComparisonError
        If it is not there, not JSON, or not from these benchmarks; the message names it.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        # Those without have compared several ways with each other.
        rows = [row for row in document["benchmarks"] if "machine_speed_us" in row["extra_info"]]
        found = {row["fullname"]: _measured(row) for row in rows}
        return Run(found, document["machine_info"]["host"])
    except OSError as error:
        raise ComparisonError(f"{path}: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ComparisonError(
            f"{path}: no run of the benchmarks ({type(error).__name__}: {error})"
        ) from error


def _measured(row: Mapping[str, Any]) -> Measured:
    info = row["extra_info"]
    seconds = np.array(row["stats"]["data"], np.float64) / info["per_round"]
    return Measured(seconds, np.array(info["machine_speed_us"], np.float64), info["interrupted_share"])


def compare_runs(base: Run, here: Run) -> list[Comparison]:
    """Compare two runs that were made at different times.

    Raises
    ------
    ComparisonError
        If they have no benchmark in common.
    """
    names = _common([base, here])
    drift = max(_drift(run) for run in (base, here))
    both = {name: (base.benchmarks[name], here.benchmarks[name]) for name in names}
    changes = {}
    for quantile in QUANTILES:
        logs = {name: _difference(*pair, quantile) for name, pair in both.items()}
        noise = {name: _noise(pair, quantile, drift) for name, pair in both.items()}
        scores = [logs[name] / one for name, one in noise.items() if isinstance(one, float)]
        widened = _scatter(scores)
        changes[quantile] = {name: _judged(logs[name], noise[name], widened) for name in names}
    return [_comparison([(base, here)], name, changes) for name in names]


def compare_pairs(pairs: Sequence[tuple[Run, Run]]) -> list[Comparison]:
    """Compare pairs of runs (base, here) that alternated: intervals of 95 % over the pairs.

    A change is told if it survives a control of the false discovery rate at 5 % (Benjamini and Hochberg, J.
    R. Stat. Soc. B 57, 1995) over all benchmarks.

    Raises
    ------
    ComparisonError
        If there are fewer than three pairs, or they have no benchmark in common.
    """
    if len(pairs) < 3:
        raise ComparisonError(f"{len(pairs)} pairs of runs tell no noise: at least 3 are needed")
    names = _common([run for pair in pairs for run in pair])
    changes: dict[str, dict[str, Change]] = {}
    for quantile in QUANTILES:
        logs = np.array(
            [
                [_difference(base.benchmarks[name], here.benchmarks[name], quantile) for base, here in pairs]
                for name in names
            ]
        )
        enough = [
            all(len(run.benchmarks[name].seconds) >= _MIN_ROUNDS[quantile] for pair in pairs for run in pair)
            for name in names
        ]
        changes[quantile] = dict(zip(names, _judged_pairs(logs, np.array(enough)), strict=True))
    return [_comparison(pairs, name, changes) for name in names]


def _judged_pairs(logs: NDArray[np.float64], enough: NDArray[np.bool_]) -> list[Change]:
    """Judge logarithms (n_benchmarks, n_pairs); those of too few rounds are not tested."""
    n_pairs = logs.shape[1]
    mean, error = logs.mean(axis=1), logs.std(axis=1, ddof=1) / math.sqrt(n_pairs)
    half = error * float(stats.t.ppf(0.975, n_pairs - 1))
    # Equal runs have no error: their change is certain, and 0.
    score = np.abs(mean) / np.maximum(error, 1e-12)
    found = np.zeros(len(logs), np.bool_)
    if enough.any():
        adjusted = stats.false_discovery_control(2 * stats.t.sf(score[enough], n_pairs - 1))
        found[enough] = adjusted <= _FALSE_DISCOVERIES
    rows = zip(mean.tolist(), half.tolist(), found.tolist(), enough.tolist(), strict=True)
    return [
        _change(one, spread, told=told) if tested else _undecided(one, "too few rounds")
        for one, spread, told, tested in rows
    ]


def _judged(log: float, noise: float | str, widened: float) -> Change:
    if isinstance(noise, str):
        return _undecided(log, noise)
    half = max(_N_DEVIATIONS * noise * widened, _LEAST_CHANGE)
    return _change(log, half, told=abs(log) > half)


def _change(log: float, half: float, *, told: bool) -> Change:
    verdict = ("slower" if log > 0 else "faster") if told else ""
    return Change(math.exp(log), math.exp(log - half), math.exp(log + half), verdict)


def _undecided(log: float, why: str) -> Change:
    return Change(math.exp(log), math.nan, math.nan, why)


def _difference(base: Measured, here: Measured, name: str) -> float:
    return here.relative(QUANTILES[name]) - base.relative(QUANTILES[name])


def _noise(pair: tuple[Measured, Measured], name: str, drift: float) -> float | str:
    """Return the standard error of a difference of logarithms, or why there is none."""
    variance = 0.0
    for measured in pair:
        blocks = measured.blocks(name)
        if blocks is None:
            return "too few rounds"
        if measured.interrupted_share > _MAX_INTERRUPTED[name]:
            return "interrupted"
        variance += float(blocks.var(ddof=1)) / len(blocks) + max(_speed_error(measured), drift) ** 2
    # Runs without any noise are equal, or made up.
    return max(math.sqrt(variance), 1e-9)


def _speed_error(measured: Measured) -> float:
    """Return how far the mean of the speeds before and after may be off."""
    return abs(float(np.diff(np.log(measured.speed_us))[0])) / 2


def _drift(run: Run) -> float:
    """Return how far it usually is off in a run."""
    return float(np.median([_speed_error(measured) for measured in run.benchmarks.values()]))


def _scatter(scores: Sequence[float]) -> float:
    """Return by how much differences scatter more than their own noise explains, at least 1."""
    if len(scores) < _MIN_FOR_SCATTER:
        return 1.0
    return max(1.0, float(stats.median_abs_deviation(scores, scale="normal")))


def _common(runs: Sequence[Run]) -> list[str]:
    names = [name for name in runs[0].benchmarks if all(name in run.benchmarks for run in runs)]
    if not names:
        raise ComparisonError("the runs have no benchmark in common")
    return names


def _comparison(
    pairs: Sequence[tuple[Run, Run]], name: str, changes: Mapping[str, Mapping[str, Change]]
) -> Comparison:
    medians = [[float(np.median(run.benchmarks[name].seconds)) for run in pair] for pair in pairs]
    base_us, here_us = np.median(medians, axis=0) * 1e6
    return Comparison(
        name, float(base_us), float(here_us), {quantile: changes[quantile][name] for quantile in changes}
    )
