"""Prepared windows joined to the continuous signal that they were cut from, and training windows of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.datasets.window_store import WindowStore
from patchtst_har.errors import DataError

_NS_PER_S = 1e9
_MOST_DIFFERENCE_G = 1e-4
_MIXED = -1
_BLOCK = 1024


@dataclass(frozen=True, eq=False)
class Signal:
    """The samples of windows, each once; they stay where the windows are.

    Attributes
    ----------
    windows : WindowStore
        n windows of T samples.
    ends : ndarray of int64, shape (n,)
        Place behind the last sample of each window.
    n_new : ndarray of int64, shape (n,)
        Samples at the end of each window that no window before it has.
    """

    windows: WindowStore
    ends: NDArray[np.int64]
    n_new: NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.ends[-1])

    @property
    def n_bytes(self) -> int:
        """Bytes of all samples."""
        return len(self) * self.windows.shape[2] * self.windows.dtype.itemsize

    def read(self, starts: NDArray[np.int64], lengths: NDArray[np.int64] | int) -> NDArray[np.float32]:
        """Return the samples (k, m, 3) from each of k places on, each within the stretches of a participant.

        Where the lengths differ, m is the largest, and what is behind shorter ones has no meaning.
        """
        each = np.broadcast_to(np.asarray(lengths, np.int64), starts.shape)
        out = np.empty((len(starts), int(each.max(initial=0)), self.windows.shape[2]), np.float32)
        size = self.windows.shape[1]
        if len(self) == len(self.windows) * size:
            self.windows.read_samples(starts, [row[:n] for row, n in zip(out, each.tolist(), strict=True)])
            return out
        places, targets = [], []
        first = np.searchsorted(self.ends, starts, side="right")
        for row, start, n, window in zip(out, starts.tolist(), each.tolist(), first.tolist(), strict=True):
            done = 0
            while done < n:
                before_end = int(self.ends[window]) - start - done
                end = min(done + before_end, n)
                places.append((window + 1) * size - before_end)
                targets.append(row[done:end])
                done, window = end, window + 1
        self.windows.read_samples(np.array(places, np.int64), targets)
        return out

    def at(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the samples (k, m, 3) at places (k, m), which do not descend and lie near each other."""
        begins = places[:, :1]
        around = self.read(begins[:, 0], places[:, -1] - begins[:, 0] + 1)
        samples: NDArray[np.float32] = np.take_along_axis(around, (places - begins)[:, :, None], axis=1)
        return samples


@dataclass(frozen=True, eq=False)
class CutWindows:
    """The windows of `size` samples that begin at some places of a signal; they are read when sliced."""

    signal: Signal
    starts: NDArray[np.int64]
    size: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, T, 3)."""
        return len(self), self.size, self.signal.windows.shape[2]

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        return self.signal.read(self.starts[rows], self.size)


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
    signal : Signal
        N samples in g.
    firsts : ndarray of int64, shape (n,)
        Place of each prepared window's first sample.
    bounds : ndarray of int64, shape (m, 2)
        First sample and end of each stretch, in order.
    window_size : int
        Samples of a window.
    n_joined : int
        How many windows go on from the one before them.
    """

    signal: Signal
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
        windows = WindowStore.of(features.windows)
        size = windows.shape[1]
        steps = _steps(features, hop_size, sample_rate_hz)
        # Where the next window goes on, only its last `step` samples are new.
        n_new = np.where(steps, steps, size)
        ends = np.cumsum(n_new)
        signal = Signal(windows, ends, n_new)
        _check_overlaps(signal, features)
        bounds = _bounds(features.labels, ends - size, steps, size)
        return cls(signal, ends - size, bounds, size, n_joined=int(np.count_nonzero(steps)))

    @classmethod
    def apart(cls, features: FeatureSet) -> Stretches:
        """Take every window as a stretch of its own, whatever their stamps are."""
        n, size = features.windows.shape[:2]
        firsts = size * np.arange(n)
        bounds = np.column_stack([firsts, firsts + size])
        signal = Signal(WindowStore.of(features.windows), firsts + size, np.full(n, size))
        return cls(signal, firsts, bounds, size, n_joined=0)

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
        """Return the windows (n, T, 3) that begin at `starts`."""
        return self.signal.read(starts, self.window_size)


def _steps(features: FeatureSet, hop_size: int, sample_rate_hz: float) -> NDArray[np.int64]:
    """Return how many samples each window begins after the one before it; 0 where it does not go on."""
    size = features.windows.shape[1]
    exact = np.diff(features.start_ns) * (sample_rate_hz / _NS_PER_S)
    hops = np.rint(exact / hop_size).astype(np.int64)
    steps = hops * hop_size
    joined = (features.participants[1:] == features.participants[:-1]) & (hops > 0) & (steps <= size)
    joined &= np.abs(exact - steps) < 0.5
    return np.append(0, np.where(joined, steps, 0))


def _check_overlaps(signal: Signal, features: FeatureSet) -> None:
    """Refuse windows that disagree where they overlap."""
    size = signal.windows.shape[1]
    overlapping = np.flatnonzero(signal.n_new < size)
    for first in range(0, len(overlapping), _BLOCK):
        rows = overlapping[first : first + _BLOCK]
        difference = np.abs(signal.read(signal.ends[rows] - size, size) - signal.windows[rows])
        wrong = rows[(difference > _MOST_DIFFERENCE_G).any(axis=(1, 2))]
        if wrong.size:
            row = int(wrong[0])
            raise DataError(
                f"participant {str(features.participants[row])!r}: the windows that begin at "
                f"{features.start_ns[row - 1]} and {features.start_ns[row]} ns overlap and have different "
                "samples there: they are not cut from one recording, as training.hop_s, shift_s and "
                "time_warp need"
            )


def _bounds(
    labels: NDArray[np.int64], firsts: NDArray[np.int64], steps: NDArray[np.int64], size: int
) -> NDArray[np.int64]:
    """Return begin and end of each run of samples of one signal and one label, in order.

    A sample on which windows disagree has no label. A sample's windows are consecutive, so it is enough to
    compare neighbours: those of different labels disagree on the samples that both contain.
    """
    changes = np.flatnonzero(labels[1:] != labels[:-1]) + 1
    mixed, mixed_ends = firsts[changes], firsts[changes - 1] + size
    n_samples = int(firsts[-1]) + size
    places = np.unique(np.concatenate([firsts, mixed_ends, [n_samples]]))
    begins, ends = places[:-1], places[1:]
    windows = np.searchsorted(firsts, begins, side="right") - 1
    labels_here = labels[windows]
    last_mixed = np.searchsorted(mixed, begins, side="right") - 1
    if len(mixed):
        labels_here = np.where(
            (last_mixed >= 0) & (begins < mixed_ends[np.maximum(last_mixed, 0)]), _MIXED, labels_here
        )
    # A window that does not go on from the one before begins a run, and so does another label.
    first = (firsts[windows] == begins) & (steps[windows] == 0)
    first[1:] |= labels_here[1:] != labels_here[:-1]
    first[0] = True
    rows = np.flatnonzero(first)
    bounds = np.column_stack([begins[rows], np.append(begins[rows[1:]], ends[-1])])
    labelled: NDArray[np.int64] = bounds[labels_here[rows] != _MIXED]
    return labelled
