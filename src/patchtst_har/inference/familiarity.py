"""How far a recording is from what a model was trained on: its sampling rate, the range of its features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from patchtst_har.data.units import SignalWarning
from patchtst_har.datasets.inputs import ModelInputs
from patchtst_har.inference.native import NativeClassifier
from patchtst_har.model_folder import TrainedOn

if TYPE_CHECKING:
    from patchtst_har.models import PatchTSTClassifier

LEAST_OF_RATE = 0.6
"""A source below this part of the lowest rate trained on lacks movement that the model may rely on."""

FAR_Z, FAR_FEATURES = 3.0, 0.05
"""A window is unfamiliar if this part of its features is so many deviations from their training mean."""

MOST_UNFAMILIAR = 0.4
"""A larger share of unfamiliar windows is said (chosen on held-out people: docs/method.md)."""


@dataclass(frozen=True)
class FeatureRange:
    """Mean and standard deviation of each feature over the training windows.

    Attributes
    ----------
    stats, topo : tuple of ndarray (n_features,), or None
        Mean and deviation; None for a vector that the model does not use.
    """

    stats: tuple[NDArray[np.float32], NDArray[np.float32]] | None
    topo: tuple[NDArray[np.float32], NDArray[np.float32]] | None

    @classmethod
    def of(cls, model: NativeClassifier | PatchTSTClassifier) -> Self:
        """Take the range out of a model."""
        tensors = model.tensors if isinstance(model, NativeClassifier) else model.state_dict()

        def scale(name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
            names = (f"{name}_embedding.scale.mean", f"{name}_embedding.scale.std")
            if not all(part in tensors for part in names):
                return None
            mean, deviation = (np.asarray(tensors[part], np.float32) for part in names)
            return mean, deviation

        return cls(scale("stat"), scale("topo"))

    def n_unfamiliar(self, inputs: ModelInputs) -> int:
        """Return how many windows are far from the training windows in many features."""
        far, n_features = np.zeros(len(inputs), np.int64), 0
        for scale, values in ((self.stats, inputs.stats), (self.topo, inputs.topo)):
            if scale is not None:
                far += (np.abs(values - scale[0]) > FAR_Z * scale[1]).sum(axis=1)
                n_features += values.shape[1]
        return int(np.count_nonzero(far >= FAR_FEATURES * n_features)) if n_features else 0


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


def range_doubt(n_unfamiliar: int, n_windows: int) -> list[str]:
    """Return a warning if many windows are unlike all that the model was trained on."""
    if n_unfamiliar <= MOST_UNFAMILIAR * n_windows:
        return []
    return [
        f"{n_unfamiliar:,} of {n_windows:,} windows ({n_unfamiliar / n_windows:.0%}) are far from all that "
        "the model was trained on: another movement, device or wear position; their labels are doubtful."
    ]


def _rates(rates_hz: tuple[float, float]) -> str:
    low, high = (f"{rate:.3g}" for rate in rates_hz)
    return f"recordings of {low} Hz" if low == high else f"recordings of {low} to {high} Hz"


class UnfamiliarWarning(SignalWarning):
    """A recording is unlike those that the model was trained on."""
