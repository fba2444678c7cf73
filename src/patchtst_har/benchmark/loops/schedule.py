"""When samples come: the clock, where decisions lie among samples, and a workload as an endless signal."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.realtime.stream_smoothing import parse_smoothing

# `time.sleep` wakes up some 50 to 200 µs late: the rest of a wait is spent looking at the clock.
_SPIN_NS = 300_000
_MOST_CHUNK_S = 0.1
_FIRST_NS = 1_700_000_000_000_000_000

Block = tuple[NDArray[np.float32], NDArray[np.int64]]


class Clock(Protocol):
    """Monotonic time in ns, and how to wait for it."""

    def now_ns(self) -> int:
        """Return the time."""

    def wait_until(self, due_ns: int) -> None:
        """Return at a time or as soon as possible after it."""


class WallClock:
    """The machine's monotonic clock."""

    now_ns = staticmethod(time.perf_counter_ns)

    def wait_until(self, due_ns: int) -> None:
        """Sleep until shortly before a time, then watch the clock."""
        left_ns = due_ns - time.perf_counter_ns() - _SPIN_NS
        if left_ns > 0:
            time.sleep(left_ns * 1e-9)
        while time.perf_counter_ns() < due_ns:
            pass


@dataclass(frozen=True)
class StreamGeometry:
    """Sizes in samples.

    Attributes
    ----------
    rate_hz : float
        Samples per second.
    window_size, hop_size : int
        Samples of a window, and between decisions.
    lag : int
        Windows that a decision waits for.
    """

    rate_hz: float
    window_size: int
    hop_size: int
    lag: int

    @classmethod
    def of(cls, recognizer: Recognizer, hop_s: float, smoothing: str | None) -> Self:
        """Return that of `recognizer.stream(hop_s, smoothing)`.

        Raises
        ------
        DataError
            As `Recognizer.stream`.
        """
        recognizer.stream(hop_s, smoothing)
        data = recognizer.config.data
        lag = parse_smoothing(smoothing, recognizer.smoother) or 0
        return cls(data.sample_rate_hz, data.window_size, round(hop_s * data.sample_rate_hz), lag)

    @property
    def hop_s(self) -> float:
        """Seconds between decisions."""
        return self.hop_size / self.rate_hz

    @property
    def chunk_size(self) -> int:
        """Samples that come at a time: what divides the hop into parts of at most 0.1 s, or one."""
        most = max(int(_MOST_CHUNK_S * self.rate_hz + 1e-9), 1)
        return next(size for size in range(min(most, self.hop_size), 0, -1) if self.hop_size % size == 0)


class Feed:
    """Samples over and over, stamped at exactly the model's rate.

    Parameters
    ----------
    samples : ndarray of float32, shape (n, 3)
        In g.
    rate_hz : float
        Samples per second.

    Attributes
    ----------
    n_samples : int
        After so many the samples come again.
    """

    def __init__(self, samples: NDArray[np.float32], rate_hz: float) -> None:
        self._samples, self.n_samples = samples, len(samples)
        self._period_ns = 1e9 / rate_hz

    def block(self, first: int, n: int, shift: int = 0) -> Block:
        """Return samples ``first .. first + n - 1`` (n, 3) and their stamps (n,), ns since 1970.

        The signal begins `shift` samples into the workload; stamps do not depend on that.
        """
        numbers = np.arange(first, first + n)
        # Rounded up, so that no sample comes before its point of the stream's grid and waits for the next.
        stamps = _FIRST_NS + np.ceil(numbers * self._period_ns).astype(np.int64)
        return self._samples[(numbers + shift) % self.n_samples], stamps

    def one(self, number: int) -> tuple[tuple[float, float, float], int]:
        """Return one sample and its stamp in the form that `Stream.push` takes fastest."""
        rows, stamps = self.block(number, 1)
        x, y, z = rows[0].tolist()
        return (x, y, z), int(stamps[0])


class ChunkFeed:
    """A feed in chunks of one size, so that taking a chunk costs next to nothing.

    Parameters
    ----------
    feed : Feed
        The signal.
    size : int
        Samples per chunk.
    n_chunks : int
        After so many chunks the samples come again.
    """

    def __init__(self, feed: Feed, size: int, n_chunks: int) -> None:
        self.size = size
        self.n_chunks = n_chunks
        self._feed = feed
        self._samples = [feed.block(number * size, size)[0] for number in range(n_chunks)]
        self._stamps: list[NDArray[np.int64]] = []

    def chunk(self, number: int, shift: int) -> Block:
        """Return a chunk's samples (size, 3), `shift` chunks into the signal, and its stamps (size,)."""
        while number >= len(self._stamps):
            self._stamps.append(self._feed.block(len(self._stamps) * self.size, self.size)[1])
        return self._samples[(number + shift) % self.n_chunks], self._stamps[number]

    def chunks(self, n: int, shift: int) -> Block:
        """Return the first `n` chunks as one block."""
        parts = [self.chunk(number, shift) for number in range(n)]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
