"""The latency of a trained recogniser on real windows, stage by stage."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from patchtst_har.benchmark.latency import LatencyReport, measure_stages
from patchtst_har.data.times import time_features
from patchtst_har.datasets.inputs import ModelInputs
from patchtst_har.errors import DataError
from patchtst_har.features import compute_extended_statistics, compute_topological_features
from patchtst_har.inference.native import NativeClassifier
from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.smoothing.decide import hop_s
from patchtst_har.support.progress import OnProgress

if TYPE_CHECKING:
    from patchtst_har.models import PatchTSTClassifier

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

    def inputs(passed: Arrays) -> Arrays:
        window, start, stats, topo = passed
        times = time_features(start, config.data.timezone) if config.model.n_time_features else _EMPTY[None]
        data = ModelInputs(window[None], times, stats[None], topo[None])
        return data.select(slice(0, 1), config.model)

    def label(logits: NDArray[np.float32]) -> str:
        return recognizer.classes[int(logits.argmax())]

    model = recognizer.model
    classify = model.logits if isinstance(model, NativeClassifier) else _torch_classifier(model)
    stages: dict[str, Callable[[Any], Any]] = {
        "statistical features": statistical,
        "topological features": topological,
        "inputs": inputs,
        "model": lambda passed: classify(*passed),
        "label": label,
    }
    with one_thread(model):
        return measure_stages(stages, n_windows, hop_s=hop_s(config), on_progress=on_progress)


def _torch_classifier(module: PatchTSTClassifier) -> Callable[..., NDArray[np.float32]]:
    import torch

    def classify(*inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = module(*map(torch.from_numpy, inputs)).numpy()
        return logits

    return torch.inference_mode()(classify)


def one_thread(model: NativeClassifier | PatchTSTClassifier) -> AbstractContextManager[None]:
    """Keep torch to one thread if it is what runs."""
    if isinstance(model, NativeClassifier):
        return nullcontext()
    from patchtst_har.reproducibility import threads

    return threads(1)


_EMPTY = np.empty(0, np.float32)
