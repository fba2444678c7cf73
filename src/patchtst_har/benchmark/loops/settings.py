"""What the latency harness measures, and for how long."""

from __future__ import annotations

import math
from dataclasses import dataclass

from patchtst_har.errors import DataError


@dataclass(frozen=True)
class HarnessSettings:
    """Lengths of the measurements.

    Attributes
    ----------
    hop_s : float
        Seconds between decisions of a stream: also the deadline of a decision.
    smoothing : str, optional
        As `Recognizer.stream`.
    n_decisions : int
        Of the closed loop, for each workload; p99.9 needs 6636.
    n_rested : int
        Decisions after a rest, for each workload; 0 leaves them out.
    rest_s : float
        That rest; at most the hop is taken.
    open_loop_s : float
        Seconds of the open loop; rounded up to whole hops.
    open_loop_streams : int
        Its streams.
    capacity : bool
        Whether to search how many streams one core carries.
    capacity_s : float
        Least seconds of one probe of that search.
    cold_start : bool
        Whether to start fresh processes; needs a model folder.
    n_blocks : int
        Parts of a closed loop that two runs are compared by.
    seed : int
        Of phases and of where in a workload a stream begins.

    Raises
    ------
    DataError
        If a number is out of its range; the field is named.
    """

    hop_s: float = 1.0
    smoothing: str | None = None
    n_decisions: int = 7000
    n_rested: int = 130
    rest_s: float = 0.1
    open_loop_s: float = 10.0
    open_loop_streams: int = 100
    capacity: bool = True
    capacity_s: float = 3.0
    cold_start: bool = True
    n_blocks: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("hop_s", "rest_s", "open_loop_s", "capacity_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise DataError(f"{name}: needs a finite positive number, is {value}")
        for name in ("n_decisions", "open_loop_streams", "n_blocks"):
            if getattr(self, name) < 1:
                raise DataError(f"{name}: needs at least 1, is {getattr(self, name)}")
        if self.n_rested < 0:
            raise DataError(f"n_rested: needs at least 0, is {self.n_rested}")
        if self.n_blocks > self.n_decisions:
            raise DataError(f"n_blocks: {self.n_blocks} are more than n_decisions, {self.n_decisions}")
