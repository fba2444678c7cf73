"""What is kept of the calls of one operation: sums of all, and the last few thousand one by one."""

from __future__ import annotations

from dataclasses import dataclass
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


# Fields of a call of which the sum, and of which the highest value is kept.
_SUMMED = ("wall_ns", "self_ns", "process_ns", "thread_ns", "resident_change")
_HIGHEST = ("resident_peak", "cuda_peak", "utilisation_percent")


class OperationRecord:
    """The calls of one operation.

    Parameters
    ----------
    path : str
        Names from the outermost operation to this one, with slashes.
    keep : int
        Calls whose durations are kept.
    """

    def __init__(self, path: str, keep: int) -> None:
        self.path = path
        self.leak: LeakEstimate | None = None
        self._n_calls = self._n_failed = 0
        self._last_error: str | None = None
        self._sums: dict[str, int | None] = dict.fromkeys(_SUMMED, 0)
        self._highest: dict[str, int | None] = dict.fromkeys(_HIGHEST)
        self._walls, self._selves = Recent(keep), Recent(keep)

    def add(self, call: Call) -> None:
        """Take a call. One that failed counts in the sums, not in the percentiles."""
        self._n_calls += 1
        for name, total in self._sums.items():
            value = getattr(call, name)
            self._sums[name] = None if total is None or value is None else total + value
        for name, highest in self._highest.items():
            known = (value for value in (highest, getattr(call, name)) if value is not None)
            self._highest[name] = max(known, default=None)
        if call.error is None:
            self._walls.add(call.wall_ns)
            self._selves.add(call.self_ns)
        else:
            self._n_failed += 1
            self._last_error = call.error

    def to_dict(self) -> dict[str, Any]:
        """Return sums, highest values and percentiles as JSON values; None for what is not known."""
        sums, highest = self._sums, self._highest
        times = {name: None if ns is None else ns / 1e9 for name, ns in sums.items() if name.endswith("_ns")}
        walls, selves = self._walls.values(), self._selves.values()
        return {
            "path": self.path,
            "n_calls": self._n_calls,
            "n_failed": self._n_failed,
            "last_error": self._last_error,
            "total_s": times["wall_ns"],
            "self_s": times["self_ns"],
            "cpu_process_s": times["process_ns"],
            "cpu_thread_s": times["thread_ns"],
            "wall": summarise(walls) if walls.size else None,
            "self": summarise(selves) if selves.size else None,
            "resident_change_bytes": sums["resident_change"],
            "resident_peak_bytes": highest["resident_peak"],
            "cuda_peak_bytes": highest["cuda_peak"],
            "gpu_utilisation_percent": highest["utilisation_percent"],
            "leak": None if self.leak is None else self.leak.to_dict(),
        }
