"""A run against a saved one: which workloads became slower, by the test of `changes`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from patchtst_har.benchmark.changes import CONFIDENCE, THRESHOLD, Paired, find_changes
from patchtst_har.errors import DataError
from patchtst_har.records.feasibility import Comparison, FeasibilityRecord, Percentile
from patchtst_har.records.measurement import HarnessSettings, Measured
from patchtst_har.records.reading import read_record

RECORD_FILE = "feasibility.json"
_FEWEST_BLOCKS = 3
_PERCENTILES: tuple[Percentile, ...] = ("p50", "p95")
_BUSY = "the machine was busy in one of the runs, so only medians are compared"
# What is said to differ between two machines; their load always does.
_HOST = (
    *("cpu", "isa", "n_cores", "n_usable_cores", "governor", "turbo", "container"),
    *("platform", "python", "numpy", "threads"),
)
# What decides which times are paired; the lengths of the other measurements do not matter here.
_SETTINGS = ("hop_s", "smoothing", "n_decisions", "n_blocks", "seed")


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


def refuse_other_subject(saved: FeasibilityRecord, fingerprint: str, settings: HarnessSettings) -> None:
    """Refuse to compare what is not the same work.

    Parameters
    ----------
    saved : FeasibilityRecord
        The earlier run.
    fingerprint : str
        Of the model that is measured now.
    settings : HarnessSettings
        Of the measurement now.

    Raises
    ------
    DataError
        If the model, the hop, the smoothing or another setting of the closed loops differs; all at once.
    """
    problems = []
    if saved.artefact.fingerprint != fingerprint:
        problems.append(f"the model is another one (fingerprint {saved.artefact.fingerprint[:12]}...)")
    old, new = saved.devices.cpu.settings.model_dump(), settings.model_dump()
    problems += [f"{name} was {old[name]}, is {new[name]}" for name in _SETTINGS if old[name] != new[name]]
    if settings.n_blocks < _FEWEST_BLOCKS:
        problems.append(f"n_blocks is {settings.n_blocks}, at least {_FEWEST_BLOCKS} are needed")
    if problems:
        raise DataError(f"compare: the saved report cannot be compared: {'; '.join(problems)}")


def compare(
    saved: FeasibilityRecord, now: FeasibilityRecord, source: str, threshold: float = THRESHOLD
) -> Comparison:
    """Compare the closed loops block by block, times relative to the calibration of the same block.

    See `changes.find_changes` for what counts as slower. If the machine was busy in one of the runs, no p95
    is compared: it shows what other work interrupted.

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
    both = [name for name in after.workloads if name in before.workloads]
    common = [name for name in both if saved.samples[name] == now.samples[name]]
    busy = saved.load_of_others or now.load_of_others
    changes = find_changes(list(_pairs(before, after, common, _PERCENTILES[: 1 if busy else 2])), threshold)
    unpaired = {*before.workloads, *after.workloads} - set(common)
    outcomes = [change.outcome for change in changes]
    return Comparison(
        saved=source,
        saved_created_utc=saved.created_utc,
        threshold=threshold,
        confidence=CONFIDENCE,
        changes=changes,
        missing=tuple(sorted(unpaired)),
        warnings=(*_differences(saved.host, now.host), *([_BUSY] if busy else [])),
        regressions=outcomes.count("slower"),
        improvements=outcomes.count("faster"),
    )


def _pairs(
    before: Measured, after: Measured, names: list[str], percentiles: tuple[Percentile, ...]
) -> Iterator[Paired]:
    """Yield workloads in pairs of blocks; no p95 where a block is too small for one."""
    for name in names:
        blocks = [run.workloads[name].closed_loop.blocks for run in (before, after)]
        for percentile in percentiles:
            times = [[getattr(block, f"{percentile}_us") for block in run] for run in blocks]
            if None not in (*times[0], *times[1]):
                speeds = [[block.calibration_us for block in run] for run in blocks]
                old, new = np.log(times) - np.log(speeds)
                yield Paired(name, percentile, new - old)


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield what differs between the machines: the ratio of two machines is not that of two versions."""
    for name in _HOST:
        if before.get(name) != now.get(name):
            yield f"{name.replace('_', ' ')} was {before.get(name)}, is {now.get(name)}"
