"""What the latency harness measures on one device, checked."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from patchtst_har.records.run import Curve, Percentiles, Record

OVERHEAD = "overhead"
"""In place of a stage: what a decision takes beside its stages."""

DeviceName = Literal["cpu", "cuda"]


class BoundedPercentiles(Percentiles):
    """Durations in microseconds, with bounds of the percentiles at 99 % confidence."""

    bounds: dict[str, tuple[float, float] | None]

    def value(self, percentile: str) -> float | None:
        """Return ``p50``, ..., ``p99_9`` or ``max``; None where the sample is too small."""
        value: float | None = getattr(self, f"{percentile}_us")
        return value

    def bound(self, percentile: str) -> tuple[float | None, float | None]:
        """Return the lower and the upper bound; None where the sample defines none."""
        return self.bounds.get(percentile) or (None, None)


class StageTimes(BoundedPercentiles):
    """Durations of one stage."""

    name: str


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
    """Consecutive decisions, and a fixed computation that was timed beside them."""

    p50_us: float = Field(gt=0)
    p95_us: float | None = Field(gt=0)
    calibration_us: float = Field(gt=0)


class ClosedLoop(Record):
    """One stream whose next window comes when the one before it is decided."""

    end_to_end: BoundedPercentiles
    curve: Curve
    stages: tuple[StageTimes, ...]
    overhead: BoundedPercentiles
    outliers: tuple[Outlier, ...]
    timeline: Timeline
    deadline_misses: int
    miss_rate_upper95: float
    real_time_factor: float
    blocks: tuple[Block, ...]


class RestedTimes(Record):
    """One stream whose windows come after a rest, in which caches forget and the processor sleeps."""

    rest_s: float
    times: BoundedPercentiles
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
    from_schedule: BoundedPercentiles
    curve: Curve
    lateness_of_the_driver: BoundedPercentiles | None
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


class Settings(Record):
    """How it was measured."""

    hop_s: float
    smoothing: str | None
    n_decisions: int
    n_blocks: int
    n_rested: int = 0
    rest_s: float | None = None
    open_loop_s: float
    open_loop_streams: int
    seed: int


class Measured(Record):
    """Everything measured on one device."""

    device: DeviceName
    status: Literal["measured"]
    settings: Settings
    workloads: dict[str, WorkloadTimes] = Field(min_length=1)
    open_loop: OpenLoop
    capacity: Capacity | None
    cold_start: ColdStart | None
    push_one_sample: BoundedPercentiles
    memory: Memory
    gc: GarbageCollection
    energy: Energy
    threads: int

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
