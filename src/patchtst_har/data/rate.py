"""The sampling rate that the time stamps show, whatever the device was set to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from patchtst_har.data.stamps import find_gaps

_LONGEST_SPAN = 1000
_MAX_SPANS = 100_000


def measure_rate_hz(time_ns: NDArray[np.int64], max_gap_s: float = 1.0) -> float | None:
    """Return the median sampling rate over spans of up to 1000 samples without a gap.

    A span is long against the batches in which devices stamp their samples, so jittered, batched and
    rounded stamps do not bias it, and the median leaves out the spans in which a few samples were lost.

    Parameters
    ----------
    time_ns : (n,) int64
        Non-decreasing stamps, ns.
    max_gap_s : float
        A longer step is a gap, which no span crosses.

    Returns
    -------
    float or None
        Samples per second; None if no two samples with different stamps belong together.
    """
    gaps = find_gaps(time_ns, max_gap_s)
    span = min(_LONGEST_SPAN, len(time_ns) - 1)
    while span > 0:
        first = np.arange(0, len(time_ns) - span, max(1, (len(time_ns) - span) // _MAX_SPANS))
        gaps_before, gaps_within = (np.searchsorted(gaps, at, side="right") for at in (first, first + span))
        first = first[gaps_before == gaps_within]
        if first.size:
            duration_ns = float(np.median(time_ns[first + span] - time_ns[first]))
            return span / duration_ns * 1e9 if duration_ns > 0 else None
        span //= 2
    return None
