"""What a deployment asks of the real-time path: a budget file with one entry a target."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import yaml
from pydantic import model_validator

from patchtst_har.errors import ConfigError
from patchtst_har.records.feasibility import Target as Target
from patchtst_har.support.settings import Section, read_yaml, refuse

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

        Parameters
        ----------
        path : path-like
            YAML with a list `targets`.

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
        targets = [target.model_dump(mode="json", exclude_defaults=True) for target in self.targets]
        return str(yaml.safe_dump({"targets": targets}, sort_keys=False, allow_unicode=True))
