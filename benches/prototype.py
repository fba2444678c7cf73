"""The way that this package began with: numpy features, ripser on 490 points, torch eager, a filter in numpy.

It is helped where that is usual: the statistics are vectorised, and ripser gets a distance matrix of distinct
points up to the enclosing radius.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

import numpy_statistics
from patchtst_har import Recognizer
from patchtst_har.config import TopologyConfig
from patchtst_har.features import compute_topological_features

TOPOLOGY = TopologyConfig(engine="ripser", max_points=490)


class Prototype:
    """From a window to the smoothed probabilities of its classes, one window after the other.

    Parameters
    ----------
    recognizer : Recognizer
        Of the torch engine, on the CPU; its smoother is used.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        assert recognizer.smoother is not None
        self._module = recognizer.torch_module()
        self._patch_len = recognizer.config.model.patch_len
        self._smoother = recognizer.smoother
        self._posterior: NDArray[np.float64] | None = None

    @torch.inference_mode()
    def __call__(self, window: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the posterior (K,) of a window (1000, 3) that follows the ones before."""
        stats = numpy_statistics.statistical_features(window).astype(np.float32)
        topo = compute_topological_features(window, 100.0, TOPOLOGY)
        patches = window.reshape(-1, self._patch_len, 3).transpose(2, 0, 1)
        inputs = (np.ascontiguousarray(patches), np.empty(0, np.float32), stats, topo)
        logits = self._module(*(torch.from_numpy(array)[None] for array in inputs))
        return self._filter(logits[0].double().softmax(dim=0).numpy())

    def _filter(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        smoother = self._smoother
        first = self._posterior is None
        prior = smoother.start_probabilities if first else self._posterior @ smoother.transition_matrix
        posterior = prior * (smoother.emission_matrix @ probabilities)
        self._posterior = posterior / posterior.sum()
        return self._posterior
