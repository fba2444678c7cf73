"""Statistics of every ten seconds of a recording, in one pass: what calibration and non-wear are found by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from patchtst_har.support.long_arrays import release, searched

EPOCH_S = 10.0
EPOCH_NS = 10 * 10**9
_BLOCK_SAMPLES = 2**15


@dataclass(frozen=True, eq=False)
class Epochs:
    """Statistics of consecutive spans of 10 s, counted from the first sample, that hold samples.

    A span that two segments share is there twice.
    """

    begin_ns: int
    """Moment of the first sample, from which they count; 0 without samples."""
    number: NDArray[np.int64]
    """(m,) how many whole spans lie before each, samples or not; non-decreasing."""
    first: NDArray[np.intp]
    """(m,) its first sample."""
    stop: NDArray[np.intp]
    """(m,) one past its last sample."""
    sums: NDArray[np.float64]
    """(m, 3) sum of its samples, in g."""
    squares: NDArray[np.float64]
    """(m, 3) sum of their squares."""
    lowest: NDArray[np.float32]
    """(m, 3)"""
    highest: NDArray[np.float32]
    """(m, 3)"""

    def __len__(self) -> int:
        return len(self.number)

    @property
    def start_ns(self) -> NDArray[np.int64]:
        """Begin of each span, shape (m,)."""
        return self.begin_ns + self.number * EPOCH_NS

    @property
    def n_samples(self) -> NDArray[np.int64]:
        """Samples of each epoch, shape (m,)."""
        return (self.stop - self.first).astype(np.int64)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of each axis, shape (m, 3), in g."""
        return self.sums / self.n_samples[:, None]

    @property
    def std(self) -> NDArray[np.float64]:
        """Standard deviation of each axis (of the population), shape (m, 3), in g."""
        return std_of(self.n_samples, self.sums, self.squares)


def std_of(
    n_samples: NDArray[np.int64], sums: NDArray[np.float64], squares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return standard deviations (m, 3) from counts (m,) and sums (m, 3); exact to 1e-6 g."""
    count = n_samples[:, None]
    variance = squares / count - (sums / count) ** 2
    return np.sqrt(np.maximum(variance, 0.0))


def measure_epochs(
    time_ns: NDArray[np.int64], acceleration: NDArray[np.float32], bounds: Sequence[tuple[int, int]]
) -> Epochs:
    """Return the statistics of every 10 s that hold samples, in memory that grows by 0.1 bytes a sample.

    Parameters
    ----------
    time_ns : (n,) int64
        Non-decreasing times.
    acceleration : (n, 3) float32
        In g, finite.
    bounds : sequence of (int, int)
        First and one past the last sample of each segment; together they are all samples.
    """
    parts = [_rows(time_ns, first, stop) for first, stop in bounds]
    number, starts = (
        np.concatenate([np.empty(0, np.int64), *values])
        for values in (zip(*parts, strict=True) if parts else ((), ()))
    )
    stops = np.append(starts[1:], len(time_ns))[: len(starts)]
    sums, squares = np.empty((2, len(starts), 3))
    lowest, highest = np.empty((2, len(starts), 3), np.float32)
    begin = 0
    while begin < len(starts):
        # As many whole epochs as fit a block, and at least one.
        end = max(int(np.searchsorted(stops, starts[begin] + _BLOCK_SAMPLES, side="right")), begin + 1)
        samples = np.ascontiguousarray(acceleration[starts[begin] : stops[end - 1]].T)
        offsets = starts[begin:end] - starts[begin]
        lowest[begin:end] = np.minimum.reduceat(samples, offsets, axis=1).T
        highest[begin:end] = np.maximum.reduceat(samples, offsets, axis=1).T
        exact = samples.astype(np.float64)
        sums[begin:end] = np.add.reduceat(exact, offsets, axis=1).T
        squares[begin:end] = np.add.reduceat(exact * exact, offsets, axis=1).T
        begin = end
        release(acceleration)
    begin_ns = int(time_ns[0]) if len(time_ns) else 0
    rows = starts.astype(np.intp), stops.astype(np.intp)
    return Epochs(begin_ns, number, *rows, sums, squares, lowest, highest)


def _rows(time_ns: NDArray[np.int64], first: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers and first samples of the epochs of a segment."""
    begin_ns = int(time_ns[0])
    lowest, highest = ((int(time_ns[row]) - begin_ns) // EPOCH_NS for row in (first, stop - 1))
    if highest - lowest >= stop - first:
        number, starts = np.unique((time_ns[first:stop] - begin_ns) // EPOCH_NS, return_index=True)
        release(time_ns)
        return number, first + starts
    number = np.arange(lowest, highest + 1)
    starts = first + searched(time_ns[first:stop], begin_ns + number * EPOCH_NS)
    starts[0] = first
    held = np.append(np.diff(starts), stop - starts[-1]) > 0
    return number[held], starts[held]


def constant_runs(
    time_ns: NDArray[np.int64],
    acceleration: NDArray[np.float32],
    bounds: Sequence[tuple[int, int]],
    epochs: Epochs,
    min_s: float,
) -> NDArray[np.int64]:
    """Return first and last moment (k, 2), ns, of the runs of one repeated value that last `min_s` or more.

    No run crosses the end of a segment. `min_s` of 20 s and more: such a run holds a whole epoch, so only the
    neighbours of constant epochs are looked at sample by sample.
    """
    segment = np.searchsorted([first for first, _ in bounds], epochs.first, side="right")
    constant = (epochs.lowest == epochs.highest).all(axis=1)
    # Numbers the epochs so that neighbours with one number are of one value and segment.
    same = constant[1:] & constant[:-1] & (segment[1:] == segment[:-1])
    same &= (epochs.lowest[1:] == epochs.lowest[:-1]).all(axis=1)
    edges = np.flatnonzero(np.concatenate([[True], ~same, [True]])) if len(epochs) else np.zeros(1, np.intp)
    runs = []
    for begin, end in pairwise(edges.tolist()):
        if not constant[begin]:
            continue
        limits = bounds[segment[begin] - 1]
        before, after = max(begin - 1, 0), min(end, len(epochs) - 1)
        first = max(int(epochs.first[before]), limits[0])
        stop = min(int(epochs.stop[after]), limits[1])
        if time_ns[stop - 1] - time_ns[first] < min_s * 1e9:
            continue
        value = epochs.lowest[begin]
        inside = int(epochs.first[begin]), int(epochs.stop[end - 1])
        ahead, behind = (
            (acceleration[rows] != value).any(axis=1)
            for rows in (slice(first, inside[0]), slice(inside[1], stop))
        )
        first += int(np.flatnonzero(np.append(True, ahead))[-1])
        stop -= int(np.flatnonzero(np.append(True, behind[::-1]))[-1])
        release(time_ns, acceleration)
        if time_ns[stop - 1] - time_ns[first] >= min_s * 1e9:
            runs.append((time_ns[first], time_ns[stop - 1]))
    return np.array(runs, np.int64).reshape(-1, 2)
