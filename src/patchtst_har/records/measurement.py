"""What the latency harness measures: of a run (`latency.json`), and of a device (in `feasibility.json`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from patchtst_har.records.run import Record
from patchtst_har.support.percentiles import describe, quantile_curve
from patchtst_har.support.settings import Count, PositiveFloat, Section, refuse

OVERHEAD = "overhead"
"""In place of a stage: what a decision takes in addition to its stages."""

END_TO_END = "end to end"
"""In place of a stage: the whole decision."""

DeviceName = Literal["cpu", "cuda"]


class Percentiles(Record):
    """Durations in microseconds; None where the sample is too small for a percentile.

    ``bounds`` are those of the percentiles at 99 % confidence.
    """

    n: int
    mean_us: float
    p50_us: float | None
    p90_us: float | None
    p95_us: float | None
    p99_us: float | None
    p99_9_us: float | None
    max_us: float
    bounds: dict[str, tuple[float, float] | None]

    @classmethod
    def of(cls, samples_ns: NDArray[np.int64], **further: Any) -> Self:
        """Return what `support.percentiles.describe` says of durations (n,) in ns, n at least 1."""
        return cls(**describe(samples_ns), **further)

    def value(self, percentile: str) -> float | None:
        """Return ``p50``, ..., ``p99_9`` or ``max``; None where the sample is too small."""
        value: float | None = getattr(self, f"{percentile}_us")
        return value

    def bound(self, percentile: str) -> tuple[float | None, float | None]:
        """Return the lower and the upper bound; None where the sample defines none."""
        return self.bounds.get(percentile) or (None, None)


class StageTimes(Percentiles):
    """Durations of one stage."""

    name: str


class Curve(Record):
    """A cumulative distribution."""

    fraction: tuple[float, ...]
    us: tuple[float, ...]

    @classmethod
    def of(cls, samples_ns: NDArray[np.int64]) -> Self:
        """Return `support.percentiles.quantile_curve` of durations (n,) in ns, n at least 1."""
        return cls.model_validate(quantile_curve(samples_ns))


class Outlier(Record):
    """One of the slowest decisions."""

    decision: int
    at_s: float
    us: float
    stage: str


class Timeline(Record):
    """The slowest decision of each slice of a run."""

    at_s: tuple[float, ...]
    us: tuple[float, ...]


class Block(Record):
    """Consecutive decisions, and a fixed computation that was timed with them."""

    p50_us: float = Field(gt=0)
    p95_us: float | None = Field(gt=0)
    calibration_us: float = Field(gt=0)


class ClosedLoop(Record):
    """One stream whose next window comes when the one before it is decided."""

    end_to_end: Percentiles
    curve: Curve
    stages: tuple[StageTimes, ...]
    overhead: Percentiles
    first_us: dict[str, float] = Field(default_factory=dict)
    """Of the very first decision, which is not counted: each stage, `OVERHEAD` and `END_TO_END`."""
    outliers: tuple[Outlier, ...]
    timeline: Timeline
    deadline_misses: int
    miss_rate_upper95: float
    real_time_factor: float
    blocks: tuple[Block, ...]

    def parts(self) -> dict[str, Percentiles]:
        """Return the times of each stage, of what lies between them, and of the whole."""
        stages = {stage.name: stage for stage in self.stages}
        return {**stages, OVERHEAD: self.overhead, END_TO_END: self.end_to_end}


class RestedTimes(Record):
    """One stream whose windows come after a rest, in which caches forget and the processor sleeps."""

    rest_s: float
    times: Percentiles
    ratio_of_medians: float = Field(gt=0)
    """How many times the median of the closed loop that of these decisions is."""


class WorkloadTimes(Record):
    """What was measured on one kind of movement."""

    kind: Literal["recorded", "simulated"]
    description: str
    n_samples: int
    closed_loop: ClosedLoop
    rested: RestedTimes | None = None


class OpenLoop(Record):
    """Many streams whose samples come on a schedule, whether or not earlier ones are decided."""

    workload: str
    n_streams: int
    duration_s: float
    chunk_s: float
    from_schedule: Percentiles
    curve: Curve
    lateness_of_the_driver: Percentiles | None
    deadline_misses: int
    miss_rate_upper95: float
    utilisation: float
    timeline: Timeline


class Probe(Record):
    """One step of the search for the most streams."""

    n_streams: int
    p99_us: float | None
    deadline_misses: int
    utilisation: float
    passed: bool


class Capacity(Record):
    """The most streams that one core served."""

    max_streams: int | None
    p99_us_there: float | None
    criterion: str
    probes: tuple[Probe, ...]


class ColdStart(Record):
    """A fresh process, from its start to its first decisions."""

    import_s: float
    load_s: float
    first_decision_us: float
    second_decision_us: float
    process_s: float
    peak_rss_mb: float | None = None
    n_processes: int | None = None


class StreamMemory(Record):
    """Peak of the resident memory of a fresh process with so many streams, from its start."""

    n_streams: int
    peak_rss_mb: float


class Memory(Record):
    """Resident memory: of the measuring process, and of one that has nothing but streams."""

    rss_mb_before: float | None
    rss_mb_after: float | None
    peak_rss_mb: float | None
    rss_slope_kb_per_1000_decisions: float | None
    python_blocks_per_1000_decisions: float | None
    peak_since: str | None = None
    of_streams: tuple[StreamMemory, ...] = ()


class GarbageCollection(Record):
    """Python's collector during the closed loops."""

    enabled: bool
    collections: tuple[int, ...]
    longest_pause_us: float | None


class Energy(Record):
    """Energy of a decision, or why it is not known."""

    status: Literal["measured", "not measured"]
    why: str | None = None
    source: str | None = None
    joules_per_decision: float | None = None


MOST_STREAMS = 10_000
"""Streams that are measured together on one core, at most."""


class HarnessSettings(Section):
    """What the latency harness measures, and for how long."""

    hop_s: PositiveFloat = 1.0
    """Seconds between decisions of a stream: also the deadline of a decision."""
    smoothing: str | None = None
    """As `Recognizer.stream`."""
    n_decisions: Count = 7000
    """Of the closed loop, for each workload; p99.9 needs 6636."""
    n_rested: Annotated[int, Field(ge=0)] = 130
    """Decisions after a rest, for each workload; 0 leaves them out."""
    rest_s: PositiveFloat | None = 0.1
    """That rest; at most the hop is taken. None only if `n_rested` is 0."""
    open_loop_s: PositiveFloat = 10.0
    """Seconds of the open loop; rounded up to whole hops."""
    open_loop_streams: Annotated[int, Field(ge=1, le=MOST_STREAMS)] = 100
    """Streams of the open loop."""
    capacity: bool = True
    """Whether to search how many streams one core carries."""
    capacity_s: PositiveFloat = 3.0
    """Least seconds of one probe of that search."""
    cold_start: bool = True
    """Whether to start fresh processes; needs a model folder."""
    n_blocks: Count = 20
    """Parts of a closed loop that two runs are compared by."""
    seed: int = 0
    """Of phases and of where in a workload a stream begins."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = []
        if self.n_blocks > self.n_decisions:
            problems.append(f"n_blocks: {self.n_blocks} are more than n_decisions, {self.n_decisions}")
        if self.n_rested and self.rest_s is None:
            problems.append("rest_s: is needed unless n_rested is 0")
        return refuse(self, problems)


class Measured(Record):
    """Everything measured on one device."""

    device: DeviceName
    status: Literal["measured"]
    settings: HarnessSettings
    workloads: dict[str, WorkloadTimes] = Field(min_length=1)
    open_loop: OpenLoop
    capacity: Capacity | None
    cold_start: ColdStart | None
    push_one_sample: Percentiles
    memory: Memory
    gc: GarbageCollection
    energy: Energy
    threads: int

    @field_validator("settings", mode="before")
    @classmethod
    def _of_other_versions(cls, stored: Any) -> Any:
        """Drop settings of later versions; the first versions made no decisions after a rest."""
        if not isinstance(stored, Mapping):
            return stored
        known = {name: value for name, value in stored.items() if name in HarnessSettings.model_fields}
        return {"n_rested": 0, "rest_s": None, **known}

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, workload in self.workloads.items():
            if len(workload.closed_loop.blocks) != self.settings.n_blocks:
                raise ValueError(f"workloads.{name}.closed_loop.blocks: needs {self.settings.n_blocks}")
        return self


class Unmeasured(Record):
    """A device that is not there."""

    device: DeviceName
    status: Literal["no device"]


class Devices(Record):
    """What was measured on each device: always on the processor."""

    cpu: Measured
    cuda: Annotated[Measured | Unmeasured, Field(discriminator="status")]


class Latency(Record):
    """`latency.json`: one stream that decides held-out windows one after another."""

    warm_up: int
    """Decisions before those that count."""
    hop_s: float
    """Seconds between the decisions of the model: the deadline."""
    smoothing: str
    closed_loop: ClosedLoop
    feasible: bool | None
    """Whether no decision missed the hop; None where there are too few for a p95."""
    verdict: str
    host: dict[str, Any]
