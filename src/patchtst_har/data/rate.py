"""The sampling rate that the time stamps show, whatever the device was set to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from patchtst_har.data.stamps import find_gaps
from patchtst_har.support.long_arrays import gathered

_LONGEST_SPAN = 1000
_MAX_SPANS = 100_000
_SPAN = 200
_MEDIAN_OF = 9
_CHANGE = 1.25


def measure_rate_hz(time_ns: NDArray[np.int64], max_gap_s: float = 1.0) -> float | None:
    """Return the median sampling rate over spans of up to 1000 samples without a gap.

    A span is long against jitter and rounding, and the median leaves out the spans in which a few samples
    were lost. Stamps that samples share are spread before (`patchtst_har.data.batches`).

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
            duration_ns = float(np.median(gathered(time_ns, first + span) - gathered(time_ns, first)))
            return span / duration_ns * 1e9 if duration_ns > 0 else None
        span //= 2
    return None


def rate_pieces(
    time_ns: NDArray[np.int64], overall_hz: float | None, max_gap_s: float = 1.0
) -> list[tuple[int, float]]:
    """Return where in a recording the sampling rate changes by a quarter or more.

    Parameters
    ----------
    time_ns : (n,) int64
        Non-decreasing times of single samples, ns.
    overall_hz : float or None
        What `measure_rate_hz` returns of them.
    max_gap_s : float
        Spans with a longer step are not looked at.

    Returns
    -------
    list of (int, float)
        First sample and rate in Hz of each part, to 200 samples; one part if the rate does not change, none
        if it is unknown. A faster part begins, and ends, rather too early and too late.
    """
    if overall_hz is None:
        return []
    n_spans = (len(time_ns) - 1) // _SPAN
    if n_spans < _MEDIAN_OF:
        return [(0, overall_hz)]
    ends = np.arange(n_spans + 1) * _SPAN
    n_gaps = np.searchsorted(find_gaps(time_ns, max_gap_s), ends, side="right")
    lasts_ns = np.diff(gathered(time_ns, ends))
    usable = np.flatnonzero((np.diff(n_gaps) == 0) & (lasts_ns > 0))
    if len(usable) < _MEDIAN_OF:
        return [(0, overall_hz)]
    # Not by SciPy, whose import takes longer than the whole check, and 15 MB.
    around = np.pad(_SPAN * 1e9 / lasts_ns[usable], _MEDIAN_OF // 2, mode="reflect")
    rates = np.median(np.lib.stride_tricks.sliding_window_view(around, _MEDIAN_OF), axis=1)
    if rates.max() < _CHANGE * rates.min():
        return [(0, overall_hz)]
    return _parts(rates, ends[usable])


def _parts(rates: NDArray[np.float64], first_rows: NDArray[np.intp]) -> list[tuple[int, float]]:
    """Return first row and median rate of each part in which the rates of spans are alike."""
    starts, reference = [0], rates[0]
    for span, rate in enumerate(rates):
        if not reference / _CHANGE < rate < reference * _CHANGE:
            starts.append(span)
            reference = rate
    # A span across a change has a rate of its own, which is none of the device's.
    stops = [*starts[1:], len(rates)]
    long = [
        (start, stop) for start, stop in zip(starts, stops, strict=True) if stop - start >= _MEDIAN_OF // 2
    ]
    parts: list[tuple[int, float]] = []
    for start, stop in long:
        rate = float(np.median(rates[start:stop]))
        faster = bool(parts) and rate > parts[-1][1]
        row = int(first_rows[max(start - 2, 0) if faster else min(start + 2, len(rates) - 1)]) if parts else 0
        parts.append((row, rate))
    return parts
