"""Whether a source is at the rate that the model needs, and the first seconds of a live one in its unit."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from patchtst_har.data.rate import measure_rate_hz
from patchtst_har.data.units import SignalWarning, Unit, check_unit, rest_magnitude

if TYPE_CHECKING:
    from patchtst_har.inference.recognizer import Recognizer
    from patchtst_har.model_folder import TrainedOn

LEAST_OF_RATE = 0.6
"""A source below this part of the lowest rate trained on lacks movement that the model may rely on."""

_MOST_SAMPLES = 2**16


class SourceCheck:
    """Looks at the first window of a source, before its first decision.

    Parameters
    ----------
    source : str
        What messages begin with.
    unit : {"g", "m/s2", "mg"} or None
        The unit that the user named, if any.
    recognizer : Recognizer
        Whose window, rate and training recordings the source is compared with.
    """

    def __init__(self, source: str, unit: Unit | None, recognizer: Recognizer) -> None:
        data = recognizer.config.data
        self._source, self._unit = source, unit
        self._rate_hz, self._trained_on = data.sample_rate_hz, recognizer.trained_on
        # Less than a window: what is wrong is found before anything is decided.
        self._span_ns = round(0.9 * data.window_size * 1e9 / data.sample_rate_hz)
        self._parts: list[tuple[Any, Any]] | None = []
        self._first_ns = 0
        self._n_samples = 0

    def add(self, samples: Any, stamps_ns: Any) -> list[str]:
        """Take samples in g, (n, 3) or (3,), with stamps; return warnings, once, when there are enough.

        Raises
        ------
        DataError
            If the values fit another unit and none was named.
        """
        rows, stamps = np.asarray(samples, np.float32).reshape(-1, 3), np.ravel(stamps_ns)
        if self._parts is None or not len(stamps):
            return []
        if not self._parts:
            self._first_ns = int(stamps[0])
        self._parts.append((rows, stamps))
        self._n_samples += len(rows)
        if int(stamps[-1]) - self._first_ns < self._span_ns and self._n_samples < _MOST_SAMPLES:
            return []
        acceleration, times = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        self._parts = None
        if np.any(np.diff(times) < 0):
            return []
        rate_hz = measure_rate_hz(times)
        rest = rest_magnitude(acceleration, rate_hz or self._rate_hz)
        with warnings.catch_warnings(action="ignore", category=SignalWarning):
            doubts = check_unit(rest, self._unit, self._source)
        return doubts + rate_doubt(rate_hz, self._rate_hz, self._trained_on)


def rate_doubt(rate_hz: float | None, model_hz: float, trained_on: TrainedOn | None) -> list[str]:
    """Return a warning if a source of `rate_hz` is far below what a model of `model_hz` was trained on."""
    known = trained_on.source_rates_hz if trained_on else None
    usual_hz = model_hz if known is None else min(known[0], model_hz)
    if rate_hz is None or rate_hz >= LEAST_OF_RATE * usual_hz:
        return []
    what = f"has windows of {model_hz:g} Hz" if known is None else f"was trained on {_rates(known)}"
    return [
        f"The recording has {rate_hz:.3g} samples per second, the model {what}: "
        f"movement faster than {rate_hz / 2:.3g} Hz is missing, so the labels are doubtful."
    ]


def _rates(rates_hz: tuple[float, float]) -> str:
    low, high = (f"{rate:.3g}" for rate in rates_hz)
    return f"recordings of {low} Hz" if low == high else f"recordings of {low} to {high} Hz"
