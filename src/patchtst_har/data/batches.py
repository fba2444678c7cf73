"""Samples that share a stamp: devices send them in batches, and loggers round stamps to whole seconds.

The stamp of a batch is that of its first sample, give or take the jitter of its way; in between, a device
samples at a steady rate. So the samples' own times follow from a line through the stamps of neighbouring
batches against the number of samples before them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from patchtst_har.data.stamps import LONGEST_NS, stamp_edges
from patchtst_har.errors import DataError
from patchtst_har.support.long_arrays import GrowingArray, blocks, gathered

_NEIGHBOURS = 8
_MEDIAN_OF = 15
_FEW_PER_STAMP = 2.0
_JITTERS = 6.0
_PARTIAL = 0.9
_SAME_RATE = 0.2
_MOST_NS = 2.0**63 - 2.0**32
"""Of an int64, and far enough below for what float64 rounds."""


def spread_batches(time_ns: NDArray[np.int64], source: str = "recording") -> NDArray[np.int64]:
    """Return the times of samples of which some share a stamp, (n,) int64 ns, non-decreasing.

    A step between batches that does not fit the samples in between (lost samples, a pause) ends the steady
    sampling; what follows is fitted by itself. A first batch that is smaller than usual is taken for the end
    of one that began before the recording: its samples lead up to the next batch.

    Parameters
    ----------
    time_ns : (n,) int64
        Non-decreasing stamps, ns, which `check_recording` lets pass.
    source : str
        The file, for messages.

    Raises
    ------
    DataError
        If samples of one stamp, at the rate of the others, would last so long that their times leave int64,
        or span more than 285 years.
    """
    # Samples edges[i] to edges[i + 1] - 1 share a stamp.
    edges = stamp_edges(time_ns)
    if len(edges) <= 2:
        return time_ns
    return _sample_times(edges, *_batch_times(edges, gathered(time_ns, edges[:-1]), source))


def block_times(
    counts: NDArray[np.intp],
    starts_ns: NDArray[np.int64],
    periods_ns: NDArray[np.float64],
    joined: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Return the times of samples that a device wrote in blocks, each with a time by the device's clock.

    A block ends when its samples have lasted as long as the rate that the device was set to says. Where
    blocks are joined, it begins when the one before ends, and its samples are spread evenly in between, as
    the makers' converters do: a device is up to some percent off its rate.

    Parameters
    ----------
    counts : (k,) int
        Samples of each block, at least 1.
    starts_ns : (k,) int64
        Time of each block's first sample, ns.
    periods_ns : (k,) float64
        Time between samples at the rate that the device was set to, ns.
    joined : (k - 1,) bool
        Whether nothing is missing between a block and the next, but for what the rate is off.

    Returns
    -------
    (n,) int64
        ns.
    """
    ends_ns = starts_ns + np.rint(counts * periods_ns).astype(np.int64)
    # A short last block of a device that is fast would have no time left.
    usual_ns = ends_ns[:-1] + np.rint(counts[1:] * periods_ns[1:]).astype(np.int64)
    squeezed = joined & (ends_ns[1:] - ends_ns[:-1] < (usual_ns - ends_ns[:-1]) / 2)
    ends_ns[1:] = np.where(squeezed, usual_ns, ends_ns[1:])
    starts_ns = np.append(starts_ns[:1], np.where(joined, ends_ns[:-1], starts_ns[1:]))
    return _sample_times(np.append(0, np.cumsum(counts)), starts_ns, (ends_ns - starts_ns) / counts)


def _sample_times(
    edges: NDArray[np.intp], starts_ns: NDArray[np.int64], steps_ns: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return the times of samples (n,), given when each batch begins and the time between its samples."""
    times_ns = GrowingArray()
    for rows in blocks(int(edges[-1])):
        at = np.arange(rows.start, rows.stop)
        begin, end = np.searchsorted(edges, rows.start, side="right") - 1, np.searchsorted(edges, rows.stop)
        # The batches that lie in these rows, each as often as it has samples among them.
        batch = np.repeat(np.arange(begin, end), np.diff(edges[begin : end + 1].clip(rows.start, rows.stop)))
        times_ns.append(starts_ns[batch] + ((at - edges[batch]) * steps_ns[batch]).astype(np.int64))
    return times_ns.whole()


def _batch_times(
    edges: NDArray[np.intp], stamps_ns: NDArray[np.int64], source: str
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return when each batch begins (k,) int64 ns, and the time between its samples (k,) ns."""
    from scipy.ndimage import median_filter

    counts = np.diff(edges)
    apart_ns = np.diff(stamps_ns).astype(np.float64)
    periods_ns = apart_ns / counts[:-1]
    if len(counts) * _FEW_PER_STAMP > edges[-1]:
        # Nearly every sample has a stamp of its own.
        starts_ns, periods_ns = stamps_ns, np.full(len(counts), np.median(periods_ns))
        steady = np.zeros(len(counts) - 1, bool)
    else:
        periods_ns = median_filter(periods_ns, _MEDIAN_OF, mode="mirror")
        longest_ns = (counts[:-1] * periods_ns).max()
        _check_range(stamps_ns[0] - longest_ns, stamps_ns[-1] + longest_ns, source)
        stamps_ns, steady = _steady(counts, stamps_ns, periods_ns)
        starts_ns, periods_ns = _fitted(edges[:-1], stamps_ns, steady, np.append(periods_ns, periods_ns[-1]))
    even_ns = np.diff(starts_ns) / counts[:-1]
    steps_ns = np.append(np.where(steady, even_ns, np.minimum(even_ns, periods_ns[:-1])), periods_ns[-1])
    _check_range(starts_ns[0], starts_ns[-1] + counts[-1] * steps_ns[-1], source)
    return starts_ns, steps_ns


def _check_range(first_ns: float, last_ns: float, source: str) -> None:
    """Refuse batches that would begin or end where int64 cannot, or too far apart."""
    if not (-_MOST_NS < first_ns <= last_ns < _MOST_NS and last_ns - first_ns <= LONGEST_NS):
        lasting = "would last for centuries at the rate of the others"
        raise DataError(f"{source}: samples that share a stamp {lasting}; a stamp must be wrong")


def _steady(
    counts: NDArray[np.intp], stamps_ns: NDArray[np.int64], periods_ns: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return when each batch begins (k,), the first that are not whole included, and where sampling goes on.

    The latter, (k - 1,), is true where a batch leads up to the next.
    """
    excess_ns = np.diff(stamps_ns) - counts[:-1] * periods_ns
    jitter_ns = np.median(np.abs(excess_ns - np.median(excess_ns)))
    steady = np.abs(excess_ns) <= np.maximum(2 * periods_ns, _JITTERS * jitter_ns)
    # No line goes through batches of two rates.
    steady[:-1] &= np.abs(np.diff(periods_ns)) <= _SAME_RATE * periods_ns[:-1]
    partial = ~steady & (excess_ns > 0) & (counts[:-1] < _PARTIAL * np.median(counts))
    begins = np.concatenate([[True], ~steady[:-1] & ~partial[:-1]])
    first = np.flatnonzero(partial & begins)
    steady[first] = True
    stamps_ns = stamps_ns.copy()
    stamps_ns[first] = stamps_ns[first + 1] - np.rint(counts[first] * periods_ns[first]).astype(np.int64)
    return stamps_ns, steady


def _fitted(
    numbers: NDArray[np.intp],
    stamps_ns: NDArray[np.int64],
    steady: NDArray[np.bool_],
    periods_ns: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return where the line through each batch and its neighbours puts it (k,), and the line's slope (k,).

    Neighbours are up to 8 batches on either side between which sampling goes on. All sums are of differences
    from the batch itself, so that nanoseconds survive in float64.
    """
    run = np.concatenate([[0], np.cumsum(~steady)])
    n_batches = len(stamps_ns)
    count, sum_n, sum_t, sum_nn, sum_nt = np.zeros((5, n_batches))
    for offset in range(-_NEIGHBOURS, _NEIGHBOURS + 1):
        own = slice(max(-offset, 0), max(n_batches - max(offset, 0), 0))
        other = slice(max(offset, 0), max(n_batches - max(-offset, 0), 0))
        if own.start >= own.stop:
            continue
        weight = (run[own] == run[other]).astype(np.float64)
        n = (numbers[other] - numbers[own]) * weight
        t = (stamps_ns[other] - stamps_ns[own]) * weight
        count[own] += weight
        sum_n[own] += n
        sum_t[own] += t
        sum_nn[own] += n * n
        sum_nt[own] += n * t
    spread = count * sum_nn - sum_n**2
    alone = spread <= 0
    slope = np.where(alone, periods_ns, (count * sum_nt - sum_n * sum_t) / np.where(alone, 1.0, spread))
    moves_ns = np.rint((sum_t - slope * sum_n) / count).clip(-_MOST_NS - stamps_ns, _MOST_NS - stamps_ns)
    return np.maximum.accumulate(stamps_ns + moves_ns.astype(np.int64)), slope


def sent_twice(time_ns: NDArray[np.int64], acceleration: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the rows of batches that are there twice under one stamp, of the second copy.

    Parameters
    ----------
    time_ns : (n,) int64
        Non-decreasing stamps, ns.
    acceleration : (n, 3) float32
        The samples; a copy has the same values in the same order.
    """
    edges = stamp_edges(time_ns)
    counts = np.diff(edges)
    usual = np.median(counts) if len(counts) else 0
    rows = [np.empty(0, np.intp)]
    for batch in np.flatnonzero((counts == 2 * usual) & (counts >= 2 * _FEW_PER_STAMP)):
        first, stop = edges[batch], edges[batch + 1]
        middle = (first + stop) // 2
        if np.array_equal(acceleration[first:middle], acceleration[middle:stop], equal_nan=True):
            rows.append(np.arange(middle, stop))
    return np.concatenate(rows)
