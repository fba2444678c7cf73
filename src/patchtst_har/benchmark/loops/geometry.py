"""How a stream's decisions lie among its samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.realtime.stream_smoothing import parse_smoothing

_MOST_CHUNK_S = 0.1


@dataclass(frozen=True)
class StreamGeometry:
    """Sizes in samples.

    Attributes
    ----------
    rate_hz : float
        Samples a second.
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
