"""A run against a saved one: which workloads became slower, by a paired test that survives noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from patchtst_har.benchmark.signed_rank import Shift, estimate_shift, holm
from patchtst_har.errors import DataError
from patchtst_har.records.feasibility import Change, Comparison, FeasibilityRecord
from patchtst_har.records.measurement import Block, Measured
from patchtst_har.records.reading import read_record

RECORD_FILE = "feasibility.json"
THRESHOLD = 0.05
_CONFIDENCE = 0.95
_SIGNIFICANT = 0.05
_FEWEST_BLOCKS = 3
Percentile = Literal["p50", "p95"]
Outcome = Literal["slower", "faster", "no clear change", "too few blocks"]

_PERCENTILES: tuple[Percentile, ...] = ("p50", "p95")
# What is said to differ between two machines; their load always does.
_BUSY = "the machine was busy in one of the runs, so only medians are compared"
_HOST = (
    "cpu",
    "isa",
    "n_cores",
    "n_usable_cores",
    "governor",
    "turbo",
    "container",
    "platform",
    "python",
    "numpy",
    "threads",
)
# What decides which times are paired; the lengths of the other measurements do not matter here.
_SETTINGS = ("hop_s", "smoothing", "n_decisions", "n_blocks", "seed")


class _Pair(NamedTuple):
    workload: str
    percentile: Percentile
    ratios: NDArray[np.float64]


def read_saved(path: Path) -> FeasibilityRecord:
    """Read a saved report: its folder, or its JSON file.

    Raises
    ------
    DataError
        If there is none or it is damaged; the message names file and field.
    """
    file = path / RECORD_FILE if path.is_dir() else path
    saved = read_record(file, FeasibilityRecord)
    if saved is None:
        raise DataError(f"{file}: no such saved report")
    return saved


def refuse_other_subject(saved: FeasibilityRecord, fingerprint: str, settings: Mapping[str, Any]) -> None:
    """Refuse to compare what is not the same work.

    Parameters
    ----------
    saved : FeasibilityRecord
        The earlier run.
    fingerprint : str
        Of the model that is measured now.
    settings : mapping
        Settings of the measurement now.

    Raises
    ------
    DataError
        If the model, the hop, the smoothing or another setting of the closed loops differs; all at once.
    """
    problems = []
    if saved.artefact.fingerprint != fingerprint:
        problems.append(f"the model is another one (fingerprint {saved.artefact.fingerprint[:12]}...)")
    old = saved.devices.cpu.settings.model_dump()
    problems += [
        f"{name} was {old[name]}, is {settings[name]}" for name in _SETTINGS if old[name] != settings[name]
    ]
    if settings["n_blocks"] < _FEWEST_BLOCKS:
        problems.append(f"n_blocks is {settings['n_blocks']}, at least {_FEWEST_BLOCKS} are needed")
    if problems:
        raise DataError(f"compare: the saved report cannot be compared: {'; '.join(problems)}")


def compare(
    saved: FeasibilityRecord, now: FeasibilityRecord, source: str, threshold: float = THRESHOLD
) -> Comparison:
    """Compare the closed loops block by block, times relative to the calibration of the same block.

    A workload counts as slower if the interval of the ratio lies above ``1 + threshold`` and the p value,
    adjusted for the number of workloads, is below 5 %; as faster if it lies below ``1 / (1 + threshold)``.
    If the machine was busy in one of the runs, no p95 is compared: it tells what others interrupted.
    Dividing by the calibration removes what the whole machine was slower; signed ranks bear bursts of noise.

    Parameters
    ----------
    saved : FeasibilityRecord
        The earlier run; see `refuse_other_subject`.
    now : FeasibilityRecord
        This run. Where its machine differs from the saved one, a warning says in what; workloads of other
        samples are left out and named.
    source : str
        Where the saved run was read from.
    threshold : float
        Smallest relative change that counts.
    """
    before, after = saved.devices.cpu, now.devices.cpu
    common = [
        name
        for name in after.workloads
        if name in before.workloads and saved.samples[name] == now.samples[name]
    ]
    busy = saved.load_of_others or now.load_of_others
    percentiles = _PERCENTILES[:1] if busy else _PERCENTILES
    pairs = list(_pairs(before, after, common, percentiles))
    shifts = [estimate_shift(pair.ratios, _CONFIDENCE) for pair in pairs]
    adjusted = _adjusted(pairs, shifts)
    changes = tuple(
        _change(pair, shift, p, len(common), threshold)
        for pair, shift, p in zip(pairs, shifts, adjusted, strict=True)
    )
    unpaired = {*before.workloads, *after.workloads} - set(common)
    outcomes = [change.outcome for change in changes]
    return Comparison(
        saved=source,
        saved_created_utc=saved.created_utc,
        threshold=threshold,
        confidence=_CONFIDENCE,
        changes=changes,
        missing=tuple(sorted(unpaired)),
        warnings=(*_differences(saved.host, now.host), *([_BUSY] if busy else [])),
        regressions=outcomes.count("slower"),
        improvements=outcomes.count("faster"),
    )


def _pairs(
    before: Measured, after: Measured, names: list[str], percentiles: tuple[Percentile, ...]
) -> Iterator[_Pair]:
    """Yield the log ratios of workloads, in the order of the blocks; no p95 where blocks are too small."""
    for name in names:
        old, new = (run.workloads[name].closed_loop.blocks for run in (before, after))
        for percentile in percentiles:
            first, second = _relative(old, percentile), _relative(new, percentile)
            if first is not None and second is not None:
                yield _Pair(name, percentile, np.log(second / first))


def _adjusted(pairs: list[_Pair], shifts: list[Shift]) -> list[float]:
    """Return p values adjusted for the number of workloads, each percentile for itself."""
    adjusted = [shift.p for shift in shifts]
    for percentile in _PERCENTILES:
        rows = [i for i, pair in enumerate(pairs) if pair.percentile == percentile]
        for i, p in zip(rows, holm([shifts[i].p for i in rows]), strict=True):
            adjusted[i] = p
    return adjusted


def _relative(blocks: tuple[Block, ...], percentile: str) -> NDArray[np.float64] | None:
    """Return times in units of the calibration; None if a block has none, as with too few decisions."""
    times = [getattr(block, f"{percentile}_us") for block in blocks]
    if None in times:
        return None
    return np.array(times, dtype=np.float64) / [block.calibration_us for block in blocks]


def _change(pair: _Pair, shift: Shift, p_holm: float, n_workloads: int, threshold: float) -> Change:
    n = len(pair.ratios)
    return Change(
        workload=pair.workload,
        percentile=pair.percentile,
        n_blocks=n,
        ratio=math.exp(shift.estimate),
        low=None if shift.low is None else math.exp(shift.low),
        high=None if shift.high is None else math.exp(shift.high),
        p=shift.p,
        p_holm=p_holm,
        # So few blocks could not show any change, however large.
        outcome="too few blocks"
        if 2.0 ** (1 - n) * n_workloads >= _SIGNIFICANT
        else _outcome(shift, p_holm, math.log1p(threshold)),
    )


def _outcome(shift: Shift, p_holm: float, limit: float) -> Outcome:
    if shift.low is None or shift.high is None:
        return "too few blocks"
    if p_holm < _SIGNIFICANT and shift.low > limit:
        return "slower"
    if p_holm < _SIGNIFICANT and shift.high < -limit:
        return "faster"
    return "no clear change"


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield what differs between the machines: the ratio of two machines is not that of two versions."""
    for name in _HOST:
        if before.get(name) != now.get(name):
            yield f"{name.replace('_', ' ')} was {before.get(name)}, is {now.get(name)}"
