"""What is kept of the calls of one operation: sums of all, and the last few thousand one by one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from patchtst_har.benchmark.profiling.leaks import LeakEstimate
from patchtst_har.support.percentiles import summarise


@dataclass(frozen=True)
class Call:
    """One call of an operation.

    Attributes
    ----------
    wall_ns, self_ns : int
        From beginning to end; the part of it in which no operation nested in it was open.
    process_ns : int
        Processor time of all threads of the process.
    thread_ns : int or None
        Processor time of the calling thread; None if another thread ended the operation.
    resident_change : int or None
        Resident memory of the process after minus before, in bytes.
    resident_peak : int or None
        Highest resident memory of the process meanwhile, in bytes.
    cuda_peak : int or None
        Highest memory that torch had allocated on the CUDA device meanwhile, in bytes.
    utilisation_percent : int or None
        NVML's utilisation of the device at the end; None for less than a second.
    error : str or None
        The type of the exception that ended it.
    """

    wall_ns: int
    self_ns: int
    process_ns: int
    thread_ns: int | None
    resident_change: int | None
    resident_peak: int | None
    cuda_peak: int | None
    utilisation_percent: int | None
    error: str | None


class Recent:
    """The last `size` numbers.

    Its memory is written to on construction: pages that came into being call by call would look like a leak.
    """

    def __init__(self, size: int) -> None:
        self._values = np.full(size, -1, dtype=np.int64)
        self._n = 0

    def add(self, value: int) -> None:
        """Take a number; the oldest is forgotten."""
        self._values[self._n % self._values.size] = value
        self._n += 1

    def values(self) -> npt.NDArray[np.int64]:
        """Return a copy of the numbers, in no order."""
        return self._values[: min(self._n, self._values.size)].copy()


@dataclass
class Record:
    """The calls of one operation.

    Parameters
    ----------
    path : str
        Names from the outermost operation to this one, with slashes.
    keep : int
        Calls whose durations are kept.
    """

    path: str
    keep: int
    n_calls: int = 0
    n_failed: int = 0
    wall_ns: int = 0
    self_ns: int = 0
    process_ns: int = 0
    thread_ns: int | None = 0
    resident_change: int | None = 0
    resident_peak: int | None = None
    cuda_peak: int | None = None
    utilisation_percent: int | None = None
    last_error: str | None = None
    leak: LeakEstimate | None = None
    walls: Recent = field(init=False)
    selves: Recent = field(init=False)

    def __post_init__(self) -> None:
        self.walls, self.selves = Recent(self.keep), Recent(self.keep)

    def add(self, call: Call) -> None:
        """Take a call. One that failed counts in the sums, not in the percentiles."""
        self.n_calls += 1
        self.wall_ns += call.wall_ns
        self.self_ns += call.self_ns
        self.process_ns += call.process_ns
        self.thread_ns = _sum(self.thread_ns, call.thread_ns)
        self.resident_change = _sum(self.resident_change, call.resident_change)
        self.resident_peak = _highest(self.resident_peak, call.resident_peak)
        self.cuda_peak = _highest(self.cuda_peak, call.cuda_peak)
        self.utilisation_percent = _highest(self.utilisation_percent, call.utilisation_percent)
        if call.error is None:
            self.walls.add(call.wall_ns)
            self.selves.add(call.self_ns)
        else:
            self.n_failed += 1
            self.last_error = call.error

    def to_dict(self) -> dict[str, Any]:
        """Return sums, highest values and percentiles as JSON values; None for what is not known."""
        walls, selves = self.walls.values(), self.selves.values()
        return {
            "path": self.path,
            "n_calls": self.n_calls,
            "n_failed": self.n_failed,
            "last_error": self.last_error,
            "total_s": self.wall_ns / 1e9,
            "self_s": self.self_ns / 1e9,
            "cpu_process_s": self.process_ns / 1e9,
            "cpu_thread_s": None if self.thread_ns is None else self.thread_ns / 1e9,
            "wall": summarise(walls) if walls.size else None,
            "self": summarise(selves) if selves.size else None,
            "resident_change_bytes": self.resident_change,
            "resident_peak_bytes": self.resident_peak,
            "cuda_peak_bytes": self.cuda_peak,
            "gpu_utilisation_percent": self.utilisation_percent,
            "leak": None if self.leak is None else self.leak.to_dict(),
        }


def _sum(total: int | None, value: int | None) -> int | None:
    return None if total is None or value is None else total + value


def _highest(highest: int | None, value: int | None) -> int | None:
    if highest is None or value is None:
        return value if highest is None else highest
    return max(highest, value)
