"""What a deployment asks of the real-time path: a budget file with one entry a target."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, model_validator

from patchtst_har.errors import ConfigError
from patchtst_har.support.settings import Count, NonNegativeFloat, PositiveFloat, Section, read_yaml, refuse

Percentile = Literal["p95", "p99", "p99_9", "max"]


class Target(Section):
    """One deployment: what must hold there."""

    name: Annotated[str, Field(min_length=1)]
    """Name in the report."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where decisions are computed."""
    hop_s: PositiveFloat = 1.0
    """Seconds between the decisions of a stream."""
    deadline_s: PositiveFloat | None = None
    """Longest time from the arrival of a window's last sample to its decision; unset: the hop."""
    percentile: Percentile = "p99"
    """Part of the decisions that must keep the deadline; `max`: every one that was measured."""
    streams: Count = 1
    """Wearers at the same time."""
    cores: Count = 1
    """Processor cores for all streams together, one process a core."""
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
        repeated = sorted({name for name in self.workloads if self.workloads.count(name) > 1})
        problems += [f"workloads: {name!r} is named more than once" for name in repeated]
        return refuse(self, problems)

    @property
    def deadline_us(self) -> float:
        """The deadline in microseconds."""
        return 1e6 * (self.hop_s if self.deadline_s is None else self.deadline_s)

    @property
    def streams_per_core(self) -> int:
        """Streams on the fullest core."""
        return -(-self.streams // self.cores)


DEFAULT_TARGETS = (
    Target(name="one wearer, live", percentile="p99_9"),
    Target(name="one wearer, everyday within 1 ms", deadline_s=0.001, workloads=("still", "walking")),
    Target(name="500 wearers on one core", streams=500),
    Target(name="device with 128 MiB of memory", memory_mb=128),
    Target(name="one wearer, CUDA", device="cuda"),
)


class Budget(Section):
    """Deployment targets. Without a file, the ones that ``docs/example-budget.yaml`` lists."""

    targets: tuple[Target, ...] = DEFAULT_TARGETS
    """What is judged, in the order of the report."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [target.name for target in self.targets]
        repeated = sorted({name for name in names if names.count(name) > 1})
        problems = [f"targets: the name {name!r} is used more than once" for name in repeated]
        return refuse(self, problems if names else ["targets: needs at least one target"])

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a budget file.

        Raises
        ------
        ConfigError
            If it is not YAML, names no target, has unknown keys, or a target contradicts itself; all
            problems at once.
        """
        values = read_yaml(Path(path))
        if "targets" not in values:
            raise ConfigError(["targets: missing; a budget file lists at least one target"], str(path))
        try:
            return cls(**values)
        except ConfigError as error:
            raise ConfigError(error.problems, str(path)) from None

    def at_hop(self, hop_s: float) -> Self:
        """Return the same targets with another hop; deadlines that were given stay."""
        return self.replace(targets=tuple(target.replace(hop_s=hop_s) for target in self.targets))

    def to_yaml(self) -> str:
        """Return the budget as YAML text; fields at their defaults are left out."""
        targets: list[dict[str, Any]] = [
            target.model_dump(mode="json", exclude_defaults=True) for target in self.targets
        ]
        text: str = yaml.safe_dump({"targets": targets}, sort_keys=False, allow_unicode=True)
        return text
