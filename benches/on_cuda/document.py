"""The JSON document that `cuda_check.py` leaves: its schema, and how it is written and read.

The schema is made of plain dataclasses, because a machine that has nothing but torch and Triton writes it.
pydantic checks it wherever it is installed, and always when a document is read back.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

FORMAT_VERSION = 1
Mode = Literal["device", "interpreter"]
Status = Literal["passed", "failed", "not run"]
STATUSES: tuple[Status, ...] = ("passed", "failed", "not run")


class _Strict:
    # What pydantic is asked for, without importing it.
    __pydantic_config__: ClassVar[dict[str, bool | str]] = {"extra": "forbid", "allow_inf_nan": False}


@dataclass(frozen=True)
class Machine(_Strict):
    """Where it ran. None: the machine does not say."""

    platform: str
    python: str
    torch: str
    triton: str | None
    cuda: str | None
    device: str | None
    n_devices: int
    compute_capability: str | None
    memory_bytes: int | None
    n_multiprocessors: int | None
    driver: str | None
    c_compiler: str | None
    extension: str
    packages: dict[str, str]


@dataclass(frozen=True)
class Clocks(_Strict):
    """What the device says of itself at one moment. None: not readable."""

    sm_mhz: float | None = None
    memory_mhz: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    throttling: str | None = None


@dataclass(frozen=True)
class Timing(_Strict):
    """Repeated calls of one thing, in microseconds between two events of the device.

    A percentile of too few samples is None. `peak_bytes` is what one call takes beyond what it was given.
    """

    what: str
    variant: str
    batch: int
    n_samples: int
    min_us: float
    p50_us: float
    p95_us: float | None
    p99_us: float | None
    peak_bytes: int | None


@dataclass(frozen=True)
class Check(_Strict):
    """One check. `seconds` is None in Triton's interpreter, where no time says anything."""

    name: str
    status: Status
    detail: str = ""
    seconds: float | None = None
    figures: dict[str, float] = field(default_factory=dict)
    timings: tuple[Timing, ...] = ()
    clocks: tuple[Clocks, ...] = ()


@dataclass(frozen=True)
class Part(_Strict):
    """The checks of one process, in order. `allowed_s` is the time it was given, None without a limit."""

    name: str
    title: str
    checks: tuple[Check, ...]
    allowed_s: float | None = None
    took_s: float | None = None


@dataclass(frozen=True)
class Document(_Strict):
    """Everything that one run of `cuda_check.py` found."""

    format_version: Literal[1]
    mode: Mode
    created: str
    package_version: str
    revision: str | None
    budget_s: float | None
    took_s: float | None
    schema_check: str
    machine: Machine
    tolerances: dict[str, tuple[float, float]]
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        timed = any(
            check.timings or check.seconds is not None for part in self.parts for check in part.checks
        )
        if self.mode == "interpreter" and (timed or self.took_s is not None):
            raise ValueError("a document of Triton's interpreter has no times")

    def count(self, status: Status) -> int:
        return sum(check.status == status for part in self.parts for check in part.checks)

    @property
    def exit_status(self) -> int:
        """1 if a check failed or none passed, else 0."""
        return int(self.count("failed") > 0 or self.count("passed") == 0)


def how_checked() -> str:
    if importlib.util.find_spec("pydantic") is None:
        return "not checked: pydantic is not installed"
    return f"pydantic {importlib.metadata.version('pydantic')}"


def write(document: Document, path: Path) -> None:
    """Write the document whole or not at all, and read back what was written.

    Raises
    ------
    ValueError
        If a number is not finite or, with pydantic, a field is missing or wrong.
    """
    text = json.dumps(dataclasses.asdict(document), indent=1, allow_nan=False)
    if importlib.util.find_spec("pydantic") is not None:
        parse(text)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(path)


def parse(text: str) -> Document:
    """Return the document of a JSON text; `pydantic.ValidationError` names the field that is wrong."""
    from pydantic import TypeAdapter

    return TypeAdapter(Document).validate_json(text)
