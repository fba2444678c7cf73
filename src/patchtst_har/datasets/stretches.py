"""Prepared windows joined to the continuous signal that they were cut from, and training windows of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.errors import DataError

_NS_PER_S = 1e9
_MOST_DIFFERENCE_G = 1e-4
_MIXED = -1


@dataclass(frozen=True, eq=False)
class Cuts:
    """n windows as places in a signal.

    Attributes
    ----------
    starts : ndarray of int64, shape (n,)
        First sample of each window.
    room : ndarray of int64, shape (n, 2)
        Samples of the same stretch before and after each window.
    rows : ndarray of int64, shape (n,)
        A prepared window in which the first sample of each window lies.
    """

    starts: NDArray[np.int64]
    room: NDArray[np.int64]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)


@dataclass(frozen=True, eq=False)
class Stretches:
    """The signal of prepared windows, each sample once.

    A stretch is a run of samples of one participant, without a gap, that all have the same label: that of the
    windows in which they lie. A sample on which windows disagree belongs to no stretch.

    Attributes
    ----------
    signal : ndarray of float32, shape (N, 3)
        In g; where windows do not overlap, it shares their memory.
    firsts : ndarray of int64, shape (n,)
        Place of each prepared window's first sample.
    bounds : ndarray of int64, shape (m, 2)
        First sample and end of each stretch, in order.
    window_size : int
        Samples of a window.
    n_joined : int
        How many windows go on from the one before them.
    """

    signal: NDArray[np.float32]
    firsts: NDArray[np.int64]
    bounds: NDArray[np.int64]
    window_size: int
    n_joined: int

    @classmethod
    def of(cls, features: FeatureSet, hop_size: int, sample_rate_hz: float) -> Stretches:
        """Join windows that tile or overlap.

        Parameters
        ----------
        features : FeatureSet
            Prepared windows, those of a participant together and in order of time.
        hop_size : int
            Samples between the starts of consecutive windows: windows are joined where their starts differ by
            a multiple of it (to half a sample) that leaves no gap.
        sample_rate_hz : float
            Samples per second.

        Raises
        ------
        DataError
            If overlapping windows have different samples where they overlap; the participant is named.
        """
        windows = features.windows
        size = windows.shape[1]
        steps = _steps(features, hop_size, sample_rate_hz)
        # Where the next window goes on, only its last `step` samples are new.
        n_new = np.where(steps, steps, size)
        ends = np.cumsum(n_new)
        if (n_new == size).all():
            signal = windows.reshape(-1, windows.shape[2])
        else:
            signal = _join(features, n_new, ends)
        labels = _sample_labels(features.labels, ends - size, len(signal), size)
        # A window that does not go on from the one before begins a stretch, and so does another label.
        begins = np.zeros(len(signal), bool)
        begins[ends[steps == 0] - size] = True
        begins[1:] |= labels[1:] != labels[:-1]
        first = np.flatnonzero(begins)
        bounds = np.column_stack([first, np.append(first[1:], len(signal))])
        bounds = bounds[labels[first] != _MIXED]
        return cls(signal, ends - size, bounds, size, n_joined=int(np.count_nonzero(steps)))

    @classmethod
    def apart(cls, features: FeatureSet) -> Stretches:
        """Take every window as a stretch of its own, whatever their stamps are."""
        n, size, n_axes = features.windows.shape
        firsts = size * np.arange(n)
        bounds = np.column_stack([firsts, firsts + size])
        return cls(features.windows.reshape(-1, n_axes), firsts, bounds, size, n_joined=0)

    def prepared(self) -> Cuts:
        """Return the prepared windows; one that does not lie in a stretch has no room."""
        starts = self.firsts
        stretch = np.maximum(np.searchsorted(self.bounds[:, 0], starts, side="right") - 1, 0)
        if len(self.bounds):
            room = np.column_stack(
                [starts - self.bounds[stretch, 0], self.bounds[stretch, 1] - starts - self.window_size]
            )
            room[(room < 0).any(axis=1)] = 0
        else:
            room = np.zeros((len(starts), 2), np.int64)
        return Cuts(starts, room, np.arange(len(starts)))

    def cut(self, hop: int) -> Cuts:
        """Return windows every `hop` samples from the beginning of each stretch."""
        lengths = self.bounds[:, 1] - self.bounds[:, 0]
        counts = np.maximum((lengths - self.window_size) // hop + 1, 0)
        stretch = np.repeat(np.arange(len(counts)), counts)
        before = (np.arange(len(stretch)) - np.repeat(np.cumsum(counts) - counts, counts)) * hop
        starts = self.bounds[stretch, 0] + before
        room = np.column_stack([before, lengths[stretch] - self.window_size - before])
        rows = np.searchsorted(self.firsts, starts, side="right") - 1
        return Cuts(starts, room, rows)

    def windows(self, starts: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return a copy of the windows (n, T, 3) that begin at `starts`."""
        views = np.lib.stride_tricks.sliding_window_view(self.signal, self.window_size, axis=0)
        return np.ascontiguousarray(views[starts].transpose(0, 2, 1))


def _steps(features: FeatureSet, hop_size: int, sample_rate_hz: float) -> NDArray[np.int64]:
    """Return how many samples each window begins after the one before it; 0 where it does not go on."""
    size = features.windows.shape[1]
    exact = np.diff(features.start_ns) * (sample_rate_hz / _NS_PER_S)
    hops = np.rint(exact / hop_size).astype(np.int64)
    steps = hops * hop_size
    joined = (features.participants[1:] == features.participants[:-1]) & (hops > 0) & (steps <= size)
    joined &= np.abs(exact - steps) < 0.5
    return np.append(0, np.where(joined, steps, 0))


def _join(features: FeatureSet, n_new: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the signal; checks that windows agree where they overlap."""
    windows = features.windows
    size = windows.shape[1]
    signal = np.empty((int(ends[-1]), windows.shape[2]), np.float32)
    for row, (end, new) in enumerate(zip(ends.tolist(), n_new.tolist(), strict=True)):
        known = signal[end - size : end - new]
        if new < size and (np.abs(known - windows[row, : size - new]) > _MOST_DIFFERENCE_G).any():
            raise DataError(
                f"participant {str(features.participants[row])!r}: the windows that begin at "
                f"{features.start_ns[row - 1]} and {features.start_ns[row]} ns overlap and have different "
                "samples there: they are not cut from one recording, as training.hop_s, shift_s and "
                "time_warp need"
            )
        signal[end - new : end] = windows[row, size - new :]
    return signal


def _sample_labels(
    labels: NDArray[np.int64], firsts: NDArray[np.int64], n_samples: int, size: int
) -> NDArray[np.int64]:
    """Return the label of each sample, `_MIXED` where windows disagree."""
    of_samples = np.repeat(labels, np.diff(np.append(firsts, n_samples)))
    # A sample's windows are consecutive, so it is enough to compare neighbours that both contain it.
    for row in (np.flatnonzero(labels[1:] != labels[:-1]) + 1).tolist():
        of_samples[firsts[row] : firsts[row - 1] + size] = _MIXED
    return of_samples
