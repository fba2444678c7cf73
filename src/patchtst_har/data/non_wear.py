"""Time in which nobody wore the sensor, or it slept.

The rule of van Hees et al. (2011, PLoS ONE 6:e22922, and 2013, PLoS ONE 8:e61691): in an hour, two axes or
more have a standard deviation below 13 mg, or two or more a range below 50 mg. Hours begin every 15 minutes,
and each that fulfils the rule is non-wear as a whole. Idle sleep of a device (a minute or more of one
repeated value, or of exact zeros) is non-wear as well: a wrist never gives it.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from patchtst_har.data.epochs import EPOCH_S, Epochs, std_of

Policy = Literal["auto", "off"]

NON_WEAR = "non_wear"
"""The state of time without wear, in place of an activity."""
WINDOW_S = 3600.0
STEP_S = 900.0
MAX_STD_G = 0.013
MAX_RANGE_G = 0.05
MIN_AXES = 2
MIN_FILLED = 0.75
MIN_IDLE_S = 60.0
"""One repeated value, zeros, or nothing at all from a device that sleeps, for so long, is idle sleep."""

_EPOCHS_PER_STEP = round(STEP_S / EPOCH_S)
_STEPS_PER_WINDOW = round(WINDOW_S / STEP_S)
_NS_PER_STEP = round(STEP_S * 1e9)


def parameters() -> dict[str, float]:
    """Return the settings of the rule, for reports."""
    return {
        "window_s": WINDOW_S,
        "step_s": STEP_S,
        "max_std_mg": MAX_STD_G * 1000,
        "max_range_mg": MAX_RANGE_G * 1000,
        "min_axes": MIN_AXES,
        "min_filled": MIN_FILLED,
    }


def still_hours(epochs: Epochs, sample_rate_hz: float | None) -> NDArray[np.int64]:
    """Return begin and end (k, 2), ns, of the time that the rule finds, sorted and apart from each other.

    Parameters
    ----------
    epochs : Epochs
        Of a recording.
    sample_rate_hz : float or None
        Its rate, if it is known: of an hour, three quarters of the samples must be there.
    """
    step = epochs.number // _EPOCHS_PER_STEP
    first = np.flatnonzero(np.append(len(step) > 0, step[1:] != step[:-1]))
    if not len(first) or sample_rate_hz is None:
        return np.empty((0, 2), np.int64)
    # Each step once, then one without samples that stands for those that are missing.
    steps = step[first]
    counts = np.append(np.add.reduceat(epochs.n_samples, first), 0)
    sums, squares = (
        np.vstack([np.add.reduceat(values, first), np.zeros(3)]) for values in (epochs.sums, epochs.squares)
    )
    lowest = np.vstack([np.minimum.reduceat(epochs.lowest, first), np.full(3, np.inf)])
    highest = np.vstack([np.maximum.reduceat(epochs.highest, first), np.full(3, -np.inf)])
    begins = np.unique(steps[:, None] - np.arange(_STEPS_PER_WINDOW))
    begins = begins[begins >= 0]
    wanted = begins[:, None] + np.arange(_STEPS_PER_WINDOW)
    rows = np.searchsorted(steps, wanted)
    rows[steps[np.minimum(rows, len(steps) - 1)] != wanted] = len(steps)
    n_samples = counts[rows].sum(axis=1)
    filled = n_samples >= MIN_FILLED * WINDOW_S * sample_rate_hz
    rows, begins, n_samples = rows[filled], begins[filled], n_samples[filled]
    std = std_of(n_samples, sums[rows].sum(axis=1), squares[rows].sum(axis=1))
    extent = highest[rows].max(axis=1) - lowest[rows].min(axis=1)
    still = ((std < MAX_STD_G).sum(axis=1) >= MIN_AXES) | ((extent < MAX_RANGE_G).sum(axis=1) >= MIN_AXES)
    start_ns = epochs.begin_ns + begins[still] * _NS_PER_STEP
    return merged(np.stack([start_ns, start_ns + _STEPS_PER_WINDOW * _NS_PER_STEP], axis=1))


def merged(*parts_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return all spans (k, 2) sorted, those that touch or overlap joined."""
    spans_ns = np.concatenate(parts_ns)
    if not len(spans_ns):
        return spans_ns
    spans_ns = spans_ns[np.argsort(spans_ns[:, 0], kind="stable")]
    reach = np.maximum.accumulate(spans_ns[:, 1])
    first = np.append(True, spans_ns[1:, 0] > reach[:-1])
    last = np.append(first[1:], True)
    return np.stack([spans_ns[first, 0], reach[last]], axis=1)


def overlapped(
    begin_ns: NDArray[np.int64], end_ns: NDArray[np.int64], spans_ns: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return which stretches (m,) share time with spans (k, 2) that are sorted and apart."""
    if not len(spans_ns):
        return np.zeros(len(begin_ns), bool)
    following = np.searchsorted(spans_ns[:, 1], begin_ns, side="right")
    begins = np.append(spans_ns[:, 0], np.iinfo(np.int64).max)
    result: NDArray[np.bool_] = begins[following] < end_ns
    return result


def without(
    time_ns: NDArray[np.int64], bounds: list[tuple[int, int]], spans_ns: NDArray[np.int64], period_ns: int
) -> tuple[list[tuple[int, int]], NDArray[np.int64]]:
    """Take spans out of segments.

    Parameters
    ----------
    time_ns : (n,) int64
        Non-decreasing times.
    bounds : list of (int, int)
        First and one past the last sample of each segment.
    spans_ns : (k, 2) int64
        Begin and end of what is taken out, sorted and apart.
    period_ns : int
        Time from a sample to the next, for the end of the last one.

    Returns
    -------
    bounds : list of (int, int)
        What is left of the segments, in pieces.
    taken_ns : (j, 2) int64
        Begin and end of the samples that were taken out: of the spans, the time that holds samples.
    """
    kept, taken = [], []
    for first, stop in bounds:
        begin, end = (
            np.searchsorted(spans_ns[:, 1], time_ns[first], side="right"),
            np.searchsorted(spans_ns[:, 0], time_ns[stop - 1], side="right"),
        )
        at = first
        edges = first + np.searchsorted(time_ns[first:stop], spans_ns[begin:end])
        for low, high in edges.tolist():
            if high > low:
                if low > at:
                    kept.append((at, low))
                after_ns = int(time_ns[high]) if high < stop else int(time_ns[stop - 1]) + period_ns
                taken.append((int(time_ns[low]), after_ns))
                at = high
        if at < stop:
            kept.append((at, stop))
    return kept, np.array(taken, np.int64).reshape(-1, 2)
