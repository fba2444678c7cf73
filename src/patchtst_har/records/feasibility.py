"""What a feasibility report holds, checked: every number in it comes through these classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, ConfigDict, Field, model_validator

from patchtst_har.records.measurement import MOST_STREAMS, DeviceName, Devices
from patchtst_har.records.run import Record
from patchtst_har.support.settings import Count, NonNegativeFloat, PositiveFloat, Section, refuse

# Processes that ran or waited in the minute before; one that only starts the measurement makes less.
_BUSY = 0.5
# Of the time while it was measured: waiting this much can make one decision in a thousand late.
_BUSY_SHARE = 0.01

Verdict = Literal["feasible", "undecided", "not measured", "not feasible"]
Percentile = Literal["p50", "p95"]
Outcome = Literal["slower", "faster", "no clear change", "too few blocks", "interrupted"]


class Artefact(Record):
    """The model that was measured."""

    model_dir: str
    name: str = ""
    """Of the experiment that made it; earlier versions did not store it."""
    score: str = ""
    """Of a shipped model, by its summary."""
    fingerprint: str
    classes: tuple[str, ...]
    parameters: int
    flops: int
    features: dict[str, Any]
    engine: str
    smoothing: str


class Score(Record):
    """Scores of the artefact on held-out participants; bounds over participants where they are known."""

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


class Target(Section):
    """One deployment: what must hold there."""

    name: Annotated[str, Field(min_length=1)]
    """Name in the report."""
    device: DeviceName = "cpu"
    """Where decisions are computed."""
    hop_s: PositiveFloat = 1.0
    """Seconds between the decisions of a stream."""
    deadline_s: PositiveFloat | None = None
    """Longest time from the arrival of a window's last sample to its decision; unset: the hop."""
    percentile: Literal["p95", "p99", "p99_9", "max"] = "p99"
    """Part of the decisions that must keep the deadline; `max`: every one that was measured."""
    streams: Annotated[int, Field(ge=1, le=10_000_000)] = 1
    """Wearers at the same time."""
    cores: Count = 1
    """Processor cores for all streams together, one process per core."""
    memory_mb: PositiveFloat | None = None
    """Most resident memory of all processes together (MiB); unset: not limited."""
    smoothing_lag_s: NonNegativeFloat = 0.0
    """Longest wait for later windows that smoothing may add to a decision."""
    workloads: tuple[str, ...] = ()
    """Kinds of movement that count; empty: all that were measured. The slowest one decides."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = []
        if self.deadline_s is not None and self.deadline_s > self.hop_s:
            problems.append(
                f"deadline_s ({self.deadline_s:g}) must not exceed hop_s ({self.hop_s:g}): "
                "a stream that needs longer falls behind"
            )
        if self.cores > self.streams:
            problems.append(
                f"cores ({self.cores}) must not exceed streams ({self.streams}): a stream runs on one core"
            )
        if self.cores <= self.streams and self.streams_per_core > MOST_STREAMS:
            problems.append(
                f"streams ({self.streams}) on cores ({self.cores}) are {self.streams_per_core:,} a core: "
                f"at most {MOST_STREAMS:,} are measured"
            )
        repeated = sorted({name for name in self.workloads if self.workloads.count(name) > 1})
        problems += [f"workloads: {name!r} is named more than once" for name in repeated]
        return refuse(self, problems)

    @property
    def effective_deadline_s(self) -> float:
        """The deadline, or the hop."""
        return self.hop_s if self.deadline_s is None else self.deadline_s

    @property
    def deadline_us(self) -> float:
        """The deadline in microseconds."""
        return 1e6 * self.effective_deadline_s

    @property
    def streams_per_core(self) -> int:
        """Streams on the fullest core."""
        return -(-self.streams // self.cores)


class JudgedTarget(Target):
    """A deployment target with its deadline, and what the measurements say of it."""

    # A record that is read, not a document that someone writes: keys of later versions are ignored.
    model_config = ConfigDict(extra="ignore")

    verdict: Verdict
    reasons: tuple[str, ...]
    """Of each requirement, the one that decides first."""
    margin: float | None
    busy: bool = False
    """Whether it is undecided because others used the processor while it was measured."""

    @property
    def outcome(self) -> str:
        """The verdict, and that the machine was busy if that is why there is no other."""
        return f"{self.verdict} (busy)" if self.busy else self.verdict


class Change(Record):
    """One percentile of a workload or benchmark, now against before; ratios of times at equal speed.

    Earlier versions wrote `name` as ``workload`` and `p_adjusted` as ``p_holm``.
    """

    name: str = Field(validation_alias=AliasChoices("name", "workload"))
    percentile: Percentile
    n_blocks: int
    ratio: float
    low: float | None
    high: float | None
    p: float
    p_adjusted: float = Field(validation_alias=AliasChoices("p_adjusted", "p_holm"))
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


def busy_with(host: Mapping[str, Any]) -> str | None:
    """Return what others did on a host while it was measured, in words; None if they left it alone.

    Known from ``waited_share`` and ``stolen_share`` of its facts; where these are missing, only from the
    ``load_average`` before the measurement.
    """
    waited, stolen = host.get("waited_share"), host.get("stolen_share")
    if waited is None or stolen is None:
        load = _load_of_others(host)
        return None if load is None else f"a load average of {load:.1f} before it"
    if waited > _BUSY_SHARE:
        return f"it waited for a core for {100 * waited:.2g} % of its time"
    if stolen > _BUSY_SHARE:
        return f"the hypervisor gave {100 * stolen:.2g} % of the processor to others"
    return None


def _load_of_others(host: Mapping[str, Any]) -> float | None:
    load = host.get("load_average")
    return load if isinstance(load, float) and load > _BUSY else None


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
        return _load_of_others(self.host)

    @property
    def busy(self) -> str | None:
        """What others did while it was measured; see `busy_with`."""
        return busy_with(self.host)

    @property
    def title(self) -> str:
        """The model's name; of a record without one, the last names of its path."""
        return self.artefact.name or "/".join(PurePath(self.artefact.model_dir).parts[-2:])

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not set(self.devices.cpu.workloads) <= set(self.samples):
            raise ValueError("samples: needs a digest of every workload of devices.cpu")
        return self
