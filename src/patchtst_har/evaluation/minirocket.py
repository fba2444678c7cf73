"""MiniRocket (Dempster, Schmidt, Webb, KDD 2021) for several channels, compiled by numba.

Written from the paper, since the implementation in aeon does not install with the numba that this package is
tested with. The 84 kernels of length 9 have weights -1, and 2 at three places; each is applied in several
dilations to a random subset of the channels, and the features are the shares of positive values above
quantiles of the convolution of random training windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numba import njit
from numpy.typing import NDArray

_LENGTH = 9
_MOST_DILATIONS = 32
_WINDOWS_AT_ONCE = 256
_PLACES = np.array(list(combinations(range(_LENGTH), 3)), np.int64)
_GOLDEN = (np.sqrt(5) + 1) / 2


@dataclass(frozen=True)
class MiniRocket:
    """A fitted transform.

    Attributes
    ----------
    dilations : ndarray of int64, shape (D,)
        Distance of the samples that a kernel sees.
    channels : ndarray of bool, shape (D, 84, C)
        Channels that each kernel adds up.
    biases : tuple of ndarray of float32, shape (84, n)
        Thresholds of each dilation's kernels.
    """

    dilations: NDArray[np.int64]
    channels: NDArray[np.bool_]
    biases: tuple[NDArray[np.float32], ...]

    @classmethod
    def fit(cls, windows: NDArray[np.float32], n_features: int = 10_000, seed: int = 0) -> MiniRocket:
        """Choose channels and thresholds from training windows (n, T, C); T at least 9."""
        rng = np.random.default_rng(seed)
        dilations, counts = _dilations(windows.shape[1], n_features // len(_PLACES))
        n_channels = windows.shape[2]
        channels = np.zeros((len(dilations), len(_PLACES), n_channels), np.bool_)
        # The paper draws their number log-uniformly.
        most = np.log2(n_channels + 1)
        for chosen in channels.reshape(-1, n_channels):
            size = int(2 ** rng.uniform(0, most))
            chosen[rng.choice(n_channels, size, replace=False)] = True
        fractions = (np.arange(1, counts.sum() * len(_PLACES) + 1) * _GOLDEN) % 1
        biases, used = [], 0
        for dilation, own, count in zip(dilations, channels, counts, strict=True):
            rows = rng.integers(len(windows), size=len(_PLACES))
            quantiles = fractions[used : used + count * len(_PLACES)].reshape(len(_PLACES), count)
            used += quantiles.size
            values = [
                np.quantile(
                    _convolve(windows[row][:, own[kernel]].sum(axis=1), _PLACES[kernel], int(dilation)),
                    levels,
                )
                for kernel, (row, levels) in enumerate(zip(rows, quantiles, strict=True))
            ]
            biases.append(np.array(values, np.float32))
        return cls(dilations, channels, tuple(biases))

    def transform(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the features (n, about `n_features`) of windows (n, T, C), each from 0 to 1."""
        subsets, codes = np.unique(self.channels.reshape(-1, windows.shape[2]), axis=0, return_inverse=True)
        kernels = codes.reshape(-1, len(_PLACES))
        result = np.empty((len(windows), sum(biases.size for biases in self.biases)), np.float32)
        for first in range(0, len(windows), _WINDOWS_AT_ONCE):
            some, rows = windows[first : first + _WINDOWS_AT_ONCE], result[first : first + _WINDOWS_AT_ONCE]
            signals = np.stack([some[:, :, subset].sum(axis=2) for subset in subsets])
            used = 0
            for index, (dilation, own) in enumerate(zip(self.dilations, kernels, strict=True)):
                biases = self.biases[index]
                part = rows[:, used : used + biases.size]
                used += biases.size
                _shares(signals, own, _PLACES, int(dilation), biases, index % 2, part)
        return result


def _dilations(length: int, per_kernel: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return dilations on a logarithmic scale, and how many features each gets a kernel."""
    n_dilations = min(per_kernel, _MOST_DILATIONS)
    largest = np.log2((length - 1) / (_LENGTH - 1))
    dilations, counts = np.unique(
        np.logspace(0, largest, n_dilations, base=2).astype(np.int64), return_counts=True
    )
    counts = (counts * (per_kernel / n_dilations)).astype(np.int64)
    for index in range(per_kernel - int(counts.sum())):
        counts[index % len(counts)] += 1
    return dilations, counts


def _convolve(summed: NDArray[np.float32], places: NDArray[np.int64], dilation: int) -> NDArray[np.float32]:
    """Return the convolution (T,) of a signal (T,) with one kernel, padded with zeros."""
    edge, length = (_LENGTH // 2) * dilation, len(summed)
    padded = np.pad(summed, edge)
    taps = [padded[tap * dilation : tap * dilation + length] for tap in range(_LENGTH)]
    result: NDArray[np.float32] = 3 * sum(taps[place] for place in places) - sum(taps)
    return result


@njit(cache=True)
def _shares(
    signals: NDArray[np.float32],
    codes: NDArray[np.int64],
    places: NDArray[np.int64],
    dilation: int,
    biases: NDArray[np.float32],
    parity: int,
    out: NDArray[np.float32],
) -> None:
    """Write the shares of samples above each bias; every other kernel leaves out what the padding touches.

    `signals` (S, n, T) are the windows with different channels added up, `codes` (84,) says which of them a
    kernel sees.
    """
    length, count = signals.shape[2], biases.shape[1]
    edge = (_LENGTH // 2) * dilation
    values = np.empty(length, np.float32)
    # The part that all kernels share, computed when a kernel needs it.
    common = np.empty((signals.shape[0], length), np.float32)
    for row in range(signals.shape[1]):
        known = np.zeros(signals.shape[0], np.bool_)
        for kernel in range(len(places)):
            code = codes[kernel]
            signal = signals[code, row]
            if not known[code]:
                known[code] = True
                common[code] = 0
                for tap in range(_LENGTH):
                    _add_shifted(common[code], signal, (tap - _LENGTH // 2) * dilation, np.float32(-1.0))
            values[:] = common[code]
            for place in places[kernel]:
                _add_shifted(values, signal, (place - _LENGTH // 2) * dilation, np.float32(3.0))
            # Dilations may reach over the whole window: then there is no middle.
            inner = kernel % 2 != parity and 2 * edge < length
            kept = values[edge : length - edge] if inner else values
            for bias in range(count):
                above, threshold = np.int32(0), biases[kernel, bias]
                for sample in range(len(kept)):
                    above += np.int32(kept[sample] > threshold)
                out[row, kernel * count + bias] = above / len(kept)


@njit(cache=True)
def _add_shifted(
    result: NDArray[np.float32], signal: NDArray[np.float32], shift: int, weight: np.float32
) -> None:
    # Views and a count from 0: so the compiler sees that no index is negative, and vectorises.
    target = result[max(0, -shift) : min(len(result), len(result) - shift)]
    source = signal[max(0, shift) : max(0, shift) + len(target)]
    for sample in range(len(target)):
        target[sample] += weight * source[sample]
