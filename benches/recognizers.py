"""The recogniser that benchmarks use, untrained: the reference configuration with fixed random weights.

What it costs does not depend on the weights.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from architectures import randomise
from patchtst_har import Recognizer
from patchtst_har.config import DataConfig, ExperimentConfig, FeatureConfig, ModelConfig, TopologyConfig
from patchtst_har.inference import NativeClassifier
from patchtst_har.models import PatchTSTClassifier
from patchtst_har.smoothing import HMMSmoother
from streams import random_smoother

CLASSES = ("cycling", "running", "sitting", "sleeping", "standing", "walking")
HOP_S = 10.0


def reference_recognizer(
    engine: Literal["native", "torch"] = "native",
    *,
    topology: TopologyConfig | None = None,
    device: str | torch.device = "cpu",
) -> Recognizer:
    """Return a recogniser of 10 s windows with 56 + 24 features and a smoother: the preset `seed`.

    Parameters
    ----------
    engine : {"native", "torch"}
        What computes the logits.
    topology : TopologyConfig, optional
        None takes the defaults.
    device : str or torch.device
        Where torch computes.
    """
    config = ExperimentConfig(
        data=DataConfig(hop_size=round(100 * HOP_S)),
        features=FeatureConfig(topology=topology or TopologyConfig()),
        model=ModelConfig(n_time_features=0),
    )
    torch.manual_seed(0)
    module = randomise(PatchTSTClassifier(config.model, len(CLASSES))).eval()
    model = NativeClassifier.from_torch(module) if engine == "native" else module.to(device)
    return Recognizer(model, CLASSES, config, reference_smoother())


def reference_smoother() -> HMMSmoother:
    """Return a smoother of the reference recogniser's classes that likes to stay."""
    return random_smoother(len(CLASSES), hop_s=HOP_S)


def expected_posteriors(recognizer: Recognizer, windows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return what the smoother's causal filter says of windows (n, 1000, 3) in a row, offline."""
    probabilities = recognizer.probabilities(recognizer.inputs(windows))
    assert recognizer.smoother is not None
    return recognizer.smoother.filter_proba(probabilities, np.zeros(len(windows), np.int64))
