"""From one window to its class probabilities, stage by stage."""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from patchtst_har.data.times import time_features
from patchtst_har.features import compute_extended_statistics, compute_topology
from patchtst_har.inference.inputs import WindowInputs

if TYPE_CHECKING:
    from patchtst_har.inference.recognizer import Recognizer

_NONE = np.empty((1, 0), np.float32)


class WindowClassifier:
    """Classifies single windows as `Recognizer.probabilities` does, with the same bits.

    Parameters
    ----------
    recognizer : Recognizer
        Calls from several threads are as safe as its model is.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        config = recognizer.config
        self._probabilities = recognizer.probabilities
        self._rate_hz = config.data.sample_rate_hz
        self._timezone = config.data.timezone
        self._plugins = config.features.plugins
        self._topology = config.features.topology
        self._uses = (config.model.n_stat_features, config.model.n_topo_features)
        self.needs_time = config.model.n_time_features > 0

    def __call__(
        self, window: NDArray[np.float32], start_ns: int
    ) -> tuple[NDArray[np.float64], tuple[int, int, int]]:
        """Return the probabilities (K,) of a window (window_size, 3), and the ns of the first three stages.

        Raises
        ------
        FeatureError
            If a feature plug-in fails on the window.
        """
        began = perf_counter_ns()
        stats = topo = times = _NONE
        if self._uses[0]:
            stats = compute_extended_statistics(window, self._rate_hz, self._plugins)[np.newaxis]
        after_stats = perf_counter_ns()
        if self._uses[1]:
            topo = compute_topology(window[np.newaxis], self._rate_hz, self._topology).features
        after_topo = perf_counter_ns()
        if self.needs_time:
            times = time_features(np.array([start_ns]), self._timezone)
        probabilities = self._probabilities(WindowInputs(window[np.newaxis], times, stats, topo))[0]
        done = perf_counter_ns()
        return probabilities, (after_stats - began, after_topo - after_stats, done - after_topo)
