"""The latency of a trained recogniser on real windows, stage by stage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from patchtst_har.data.progress import OnProgress
from patchtst_har.data.times import time_features
from patchtst_har.errors import DataError
from patchtst_har.features import compute_extended_statistics, compute_topological_features
from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.inference.smooth import hop_s
from patchtst_har.models.batches import Inputs
from patchtst_har.models.patchtst import cut_patches
from patchtst_har.realtime.latency import LatencyReport, measure_stages
from patchtst_har.reproducibility import threads

Arrays = tuple[NDArray[Any], ...]


def measure_recognizer(
    recognizer: Recognizer,
    windows: NDArray[np.float32],
    start_ns: NDArray[np.int64],
    n_windows: int = 700,
    on_progress: OnProgress | None = None,
) -> LatencyReport:
    """Time window -> label, batch 1, one thread, without temporal smoothing (which is offline).

    Parameters
    ----------
    recognizer : Recognizer
        On the CPU.
    windows : ndarray of float32, shape (n, window_size, 3)
        Real windows, taken in a fixed shuffled order, over again if there are fewer than `n_windows`.
    start_ns : ndarray of int64, shape (n,)
        Their starts.
    n_windows : int
        Windows to measure.
    on_progress : callable, optional
        Called between windows, outside what is timed.

    Returns
    -------
    LatencyReport
        Stages: statistical features (and those of plug-ins), topological features, inputs, model, label.

    Raises
    ------
    DataError
        If there is no window.
    """
    if not len(windows):
        raise DataError("windows: there are no windows to measure on")
    order = np.random.default_rng(0).permutation(len(windows))
    config = recognizer.config
    rate, topology, plugins = config.data.sample_rate_hz, config.features.topology, config.features.plugins

    def statistical(i: int) -> Arrays:
        row = order[i % len(order)]
        window = windows[row]
        stats = compute_extended_statistics(window, rate, plugins) if config.model.n_stat_features else _EMPTY
        return window, start_ns[row : row + 1], stats

    def topological(passed: Arrays) -> Arrays:
        topo = (
            compute_topological_features(passed[0], rate, topology)
            if config.model.n_topo_features
            else _EMPTY
        )
        return *passed, topo

    def inputs(passed: Arrays) -> Inputs:
        window, start, stats, topo = passed
        times = time_features(start, config.data.timezone) if config.model.n_time_features else _EMPTY[None]
        model = config.model
        patches = cut_patches(torch.from_numpy(window[None]), model.patch_len, model.patch_hop)
        return patches, torch.from_numpy(times), torch.from_numpy(stats[None]), torch.from_numpy(topo[None])

    def label(logits: torch.Tensor) -> str:
        return recognizer.classes[int(logits.argmax())]

    stages: dict[str, Callable[[Any], Any]] = {
        "statistical features": statistical,
        "topological features": topological,
        "inputs": inputs,
        "model": lambda passed: recognizer.model(*passed),
        "label": label,
    }
    with threads(1), torch.inference_mode():
        return measure_stages(stages, n_windows, hop_s=hop_s(config), on_progress=on_progress)


_EMPTY = np.empty(0, np.float32)
