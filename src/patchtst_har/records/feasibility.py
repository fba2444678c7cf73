"""What a feasibility report holds, checked: every number in it comes through these classes."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import model_validator

from patchtst_har.records.measurement import DeviceName, Devices
from patchtst_har.records.run import Record

# Processes that ran or waited in the minute before; one that only starts the measurement makes less.
_BUSY = 0.5

Verdict = Literal["feasible", "undecided", "not measured", "not feasible"]
Percentile = Literal["p50", "p95"]
Outcome = Literal["slower", "faster", "no clear change", "too few blocks", "interrupted"]


class Artefact(Record):
    """The model that was measured."""

    model_dir: str
    fingerprint: str
    classes: tuple[str, ...]
    parameters: int
    flops: int
    features: dict[str, Any]
    engine: str
    smoothing: str


class Score(Record):
    """Scores of the artefact on people it never met; bounds over people where they are known."""

    accuracy: float
    macro_f1: float
    macro_f1_low: float | None = None
    macro_f1_high: float | None = None


class StreamScore(Score):
    """Scores that a stream reaches if it waits for later windows."""

    lag: int


class Accuracy(Record):
    """How good the decisions are whose time was measured."""

    source: str
    people: Literal["test", "validation"]
    n_people: int
    n_windows: int
    hop_s: float
    raw: Score
    stream: StreamScore | None
    offline: Score


class JudgedTarget(Record):
    """A deployment target, and what the measurements say of it."""

    name: str
    device: DeviceName
    hop_s: float
    deadline_s: float
    percentile: str
    streams: int
    cores: int
    memory_mb: float | None
    smoothing_lag_s: float
    workloads: tuple[str, ...]
    verdict: Verdict
    reasons: tuple[str, ...]
    margin: float | None


class Change(Record):
    """One percentile of a workload or benchmark, now against before; ratios of times at equal speed."""

    name: str
    percentile: Percentile
    n_blocks: int
    ratio: float
    low: float | None
    high: float | None
    p: float
    p_adjusted: float
    outcome: Outcome


class Comparison(Record):
    """A run against a saved one."""

    saved: str
    saved_created_utc: str
    threshold: float
    confidence: float
    changes: tuple[Change, ...]
    missing: tuple[str, ...]
    warnings: tuple[str, ...]
    regressions: int
    improvements: int


class FeasibilityRecord(Record):
    """`feasibility.json`."""

    format: Literal[1]
    created_utc: str
    scope: str
    host: dict[str, Any]
    artefact: Artefact
    accuracy: Accuracy | None
    samples: dict[str, str]
    """SHA-256 of the samples of each workload."""
    devices: Devices
    targets: tuple[JudgedTarget, ...]
    comparison: Comparison | None

    @property
    def load_of_others(self) -> float | None:
        """The load average when the measurement began, if others were busy then."""
        load = self.host.get("load_average")
        return load if isinstance(load, float) and load > _BUSY else None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not set(self.devices.cpu.workloads) <= set(self.samples):
            raise ValueError("samples: needs a digest of every workload of devices.cpu")
        return self
