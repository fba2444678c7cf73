"""Decisions of a stream, and its counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STAGES = ("statistical features", "topological features", "model", "smoothing")
"""The stages from a window to its label, in order."""


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """The activity of one window, given the samples so far.

    Attributes
    ----------
    start_ns, end_ns : int
        Span of the window: ns since 1970, or since the first sample if samples come without stamps.
    label : str
        Class of the largest probability.
    probability : float
        Its probability.
    probabilities : ndarray of float64, shape (K,)
        After smoothing, in the order of the recogniser's classes.
    raw_label : str
        The classifier's class for the window alone.
    latency_s : float
        Seconds from the arrival of the last sample that was needed to this decision. With a lag, that is the
        last sample of the last window waited for.
    stage_ns : tuple of int
        Time spent in each of `STAGES`, ns; features and model are those of this window.
    distance : float or None
        How far the window is from those that the model was trained on; None if the model does not know.
    """

    start_ns: int
    end_ns: int
    label: str
    probability: float
    probabilities: NDArray[np.float64]
    raw_label: str
    latency_s: float
    stage_ns: tuple[int, ...]
    distance: float | None = None

    @property
    def unfamiliar(self) -> bool:
        """Whether the window is unlike all that the model was trained on."""
        return self.distance is not None and not self.distance <= 1.0

    @property
    def start(self) -> np.datetime64:
        """Start of the window, ns resolution."""
        return np.datetime64(self.start_ns, "ns")

    @property
    def end(self) -> np.datetime64:
        """End of the window, ns resolution."""
        return np.datetime64(self.end_ns, "ns")


@dataclass(frozen=True, slots=True)
class StreamStats:
    """Counts since a stream began.

    Attributes
    ----------
    n_samples : int
        Samples taken.
    n_nonfinite, n_zero, n_out_of_range : int
        Samples left out: an axis not finite, all three exactly 0, or an axis beyond 50 g.
    n_repeated_stamps : int
        Samples that repeat the stamp before them.
    n_gaps, n_jumps : int
        Pauses longer than `data.max_gap_s`, and jumps of the clock backwards: each restarts the windows.
    n_windows : int
        Complete windows, decided, pending or dropped.
    n_decisions : int
        Decisions returned.
    n_late : int
        Decisions later than one hop after their last sample.
    n_unfamiliar : int
        Decisions on windows that are unlike all that the model was trained on.
    n_pending : int
        Windows that wait to be decided.
    n_dropped : int
        Windows dropped because `max_pending` others waited already.
    drop : str
        Which: the ``oldest``, the ``newest``, or the newest with an ``error``.
    """

    n_samples: int
    n_nonfinite: int
    n_zero: int
    n_out_of_range: int
    n_repeated_stamps: int
    n_gaps: int
    n_jumps: int
    n_windows: int
    n_decisions: int
    n_late: int
    n_unfamiliar: int
    n_pending: int
    n_dropped: int
    drop: str

    @property
    def n_unusable(self) -> int:
        """Samples left out, for whatever reason."""
        return self.n_nonfinite + self.n_zero + self.n_out_of_range
