"""From one window to its class probabilities, stage by stage."""

from __future__ import annotations

from math import isnan
from time import perf_counter_ns
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from patchtst_har import _core
from patchtst_har.data.times import time_features
from patchtst_har.datasets.inputs import ModelInputs
from patchtst_har.features import compute_extended_statistics, compute_topology
from patchtst_har.features.topology import native_embedding
from patchtst_har.inference.native import NativeClassifier
from patchtst_har.inference.probabilities import overflow
from patchtst_har.realtime.stream_model import Judgement

if TYPE_CHECKING:
    from patchtst_har.inference.recognizer import Recognizer

_NONE = np.empty((1, 0), np.float32)


class SingleWindowClassifier:
    """Classifies single windows as `Recognizer.probabilities` does, with the same bits.

    Where all of it is compiled (engine `native` for model and topology, no plug-ins, errors not replaced),
    features, model and softmax are one call; otherwise one call each.

    Parameters
    ----------
    recognizer : Recognizer
        Calls from several threads are as safe as its model is.

    Attributes
    ----------
    needs_time : bool
        Whether the model uses the time of day.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        self._config = recognizer.config
        self._judge = recognizer.judge
        self._compiled = _compiled(recognizer)
        self._timezone = recognizer.config.data.timezone
        self.needs_time = recognizer.config.model.n_time_features > 0

    @property
    def is_one_call(self) -> bool:
        """Whether a window takes one call."""
        return self._compiled is not None

    def __call__(self, window: NDArray[np.float32], start_ns: int) -> Judgement:
        """Return the judgement of a window (window_size, 3).

        Raises
        ------
        FeatureError
            If a feature plug-in fails on the window.
        ModelFolderError
            If what the model computes is not finite.
        """
        if self._compiled is None:
            return self.step_by_step(window, start_ns)
        judgement = self._compiled.classify(window, self._times(start_ns))
        if isnan(judgement[0][0]):
            raise overflow()
        return judgement

    def step_by_step(self, window: NDArray[np.float32], start_ns: int) -> Judgement:
        """Return the same by one call a part, also where one call does it all."""
        times, rate_hz = self._times(start_ns), self._config.data.sample_rate_hz
        model, features = self._config.model, self._config.features
        began = perf_counter_ns()
        stats = topo = _NONE
        if model.n_stat_features:
            row = compute_extended_statistics(window, rate_hz, features.plugins, movement=features.movement)
            stats = row[np.newaxis]
        after_stats = perf_counter_ns()
        if model.n_topo_features:
            topo = compute_topology(window[np.newaxis], rate_hz, features.topology).features
        after_topo = perf_counter_ns()
        probabilities, distances = self._judge(ModelInputs(window[np.newaxis], times, stats, topo))
        stage_ns = (after_stats - began, after_topo - after_stats, perf_counter_ns() - after_topo)
        return probabilities[0], stage_ns, float(distances[0])

    def _times(self, start_ns: int) -> NDArray[np.float32]:
        return time_features(np.array([start_ns]), self._timezone) if self.needs_time else _NONE


def _compiled(recognizer: Recognizer) -> _core.WindowClassifier | None:
    """Return the classifier in one call, or None if a part of this one is not compiled."""
    config, model = recognizer.config, recognizer.model
    topology, data = config.features.topology, config.data
    if not isinstance(model, NativeClassifier) or config.features.plugins:
        return None
    embedding = None
    if config.model.n_topo_features:
        if topology.engine != "native" or topology.on_error != "raise":
            return None
        embedding = native_embedding(data.window_size, data.sample_rate_hz, topology)
    cut = (data.sample_rate_hz, data.window_size, config.model.patch_len, config.model.patch_hop)
    statistics = config.model.n_stat_features > 0
    return _core.WindowClassifier(
        model.engine,
        *cut,
        statistics,
        statistics and config.features.movement,
        embedding,
        None if recognizer.familiarity is None else recognizer.familiarity.core,
    )
