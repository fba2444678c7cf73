"""What a trained model costs and sees: complexity, latency, a window's topology, in its run folder."""

from __future__ import annotations

from pathlib import Path

import torch

from patchtst_har.benchmark.complexity import model_complexity
from patchtst_har.benchmark.latency import measure_latency
from patchtst_har.benchmark.topology_example import topology_example, typical_window
from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.models.batches import to_tensors
from patchtst_har.records.measurement import Latency
from patchtst_har.support.files import atomic_write_json
from patchtst_har.support.progress import OnProgress


def measure_run(
    run_dir: Path,
    recognizer: Recognizer,
    features: FeatureSet,
    n_windows: int = 700,
    on_progress: OnProgress | None = None,
) -> Latency:
    """Write ``complexity.json``, ``latency.json`` and, with topological features, ``topology.json``.

    Parameters
    ----------
    run_dir : pathlib.Path
        The run folder.
    recognizer : Recognizer
        The trained model, on the CPU.
    features : FeatureSet
        Real windows to measure on.
    n_windows : int
        Windows timed, one at a time; p99 needs 662.
    on_progress : callable, optional
        Called with (done, total, what).

    Returns
    -------
    Latency
        The content of ``latency.json``.
    """
    inputs = to_tensors(features.select(slice(0, 1), recognizer.config.model))
    with torch.inference_mode():
        atomic_write_json(run_dir / "complexity.json", model_complexity(recognizer.torch_module(), inputs))
    latency = measure_latency(recognizer, features.windows, n_windows, on_progress)
    atomic_write_json(run_dir / "latency.json", latency.model_dump(mode="json"))
    if not features.topo.shape[1]:
        return latency
    row = typical_window(features)
    label, participant = features.classes[features.labels[row]], str(features.participants[row])
    config = recognizer.config
    example = topology_example(
        features.windows[row], config.data.sample_rate_hz, config.features.topology, label, participant
    )
    atomic_write_json(run_dir / "topology.json", example.to_json())
    return latency
