"""What a stream needs of a model: a function that classifies one window, classes, settings, smoother."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from patchtst_har.config import ExperimentConfig
from patchtst_har.smoothing import HMMSmoother

Judgement = tuple[NDArray[np.float64], tuple[int, int, int], float]
"""Probabilities (K,) of a window, the ns that statistics, topology and model took, and the distance from the
windows that the model was trained on (beyond 1: unfamiliar; NaN: not known)."""


class FittedToPerson(Protocol):
    """What was added to a model for a person."""

    @property
    def fingerprint(self) -> str:
        """What tells it from every other one."""


class ClassifyWindow(Protocol):
    """Classify one window; called from one thread at a time per stream."""

    def __call__(self, window: NDArray[np.float32], start_ns: int) -> Judgement:
        """Return the judgement of a window (window_size, 3) in g that starts at `start_ns`."""


class StreamModel(Protocol):
    """A trained model as streams use it; `Recognizer` is one."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the probabilities."""

    @property
    def config(self) -> ExperimentConfig:
        """Windows, features and smoothing."""

    @property
    def smoother(self) -> HMMSmoother | None:
        """None: decisions are not smoothed."""

    @property
    def adaptation(self) -> FittedToPerson | None:
        """None: the model is as it was trained."""

    def window_classifier(self) -> ClassifyWindow:
        """Return what classifies single windows; streams may share it."""
