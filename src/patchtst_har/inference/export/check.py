"""Whether a file computes what the model does: its logits are compared with torch's and the engine's."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from patchtst_har.architecture import INPUT_NAMES
from patchtst_har.datasets.inputs import ModelInputs
from patchtst_har.errors import ExportError
from patchtst_har.inference.export.program import Run, used_inputs
from patchtst_har.inference.inputs import BATCH_SIZE
from patchtst_har.inference.native import NativeClassifier
from patchtst_har.models import PatchTSTClassifier

TOLERANCE = 1e-4
"""Largest difference of a logit, and of a logit beyond 1 relative to the largest."""


def example_windows(n: int, n_samples: int, sample_rate_hz: float) -> NDArray[np.float32]:
    """Return (n, n_samples, 3) made-up windows in g, always the same: rest, steps and shaking in turn."""
    rng = np.random.default_rng(0)
    gravity = rng.normal(size=(n, 1, 3))
    gravity /= np.linalg.norm(gravity, axis=2, keepdims=True)
    time_s = np.arange(n_samples)[:, None] / sample_rate_hz
    steps = np.sin(2 * np.pi * rng.uniform(0.5, 3.0, (n, 1, 1)) * time_s + rng.uniform(0, 6, (n, 1, 3)))
    swing, noise = np.array([[0.0, 0.005], [0.4, 0.05], [0.1, 0.4]])[np.arange(n) % 3].T[:, :, None, None]
    windows = gravity + swing * steps + noise * rng.normal(size=(n, n_samples, 3))
    single: NDArray[np.float32] = windows.astype(np.float32)
    return single


def check(run: Run, model: PatchTSTClassifier, inputs: ModelInputs, what: str) -> float:
    """Compare a file's outputs with the torch module and the compiled engine, in batches of several sizes.

    Parameters
    ----------
    run : Run
        The file, read back.
    model : PatchTSTClassifier
        In evaluation mode, on the CPU; the model that was written.
    inputs : ModelInputs
        At least one window.
    what : str
        The file's name, for messages.

    Returns
    -------
    float
        Largest difference of a logit.

    Raises
    ------
    ExportError
        If an output is missing or has another shape, or a logit or probability differs by more than
        `TOLERANCE`.
    """
    engine = NativeClassifier.from_torch(model)
    size = min(len(inputs), BATCH_SIZE)
    batches = [slice(0, n) for n in (1, 2)]
    batches += [slice(first, first + size) for first in range(0, len(inputs), size)]
    worst = 0.0
    for rows in batches:
        arrays = inputs.select(rows, model.config)
        named = dict(zip(INPUT_NAMES, arrays, strict=True))
        outputs = run({name: named[name] for name in used_inputs(model.config)})
        with torch.inference_mode():
            expected = model(*map(torch.tensor, arrays)).numpy()
        worst = max(worst, _compare(outputs, expected, f"{what}: differs from the torch module"))
        worst = max(worst, _compare(outputs, engine.logits(*arrays), f"{what}: differs from the engine"))
    return worst


def _compare(outputs: dict[str, NDArray[np.float32]], logits: NDArray[np.float32], problem: str) -> float:
    """Return the largest difference of a logit; raise if it, or that of a probability, is too large."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    expected = {"logits": logits, "probabilities": powers / powers.sum(axis=1, keepdims=True)}
    if "logits" not in outputs:
        raise ExportError(f"{problem}: has no output logits")
    differences = {}
    for name, values in outputs.items():
        if values.shape != logits.shape:
            raise ExportError(f"{problem}: {name} has shape {values.shape}, not {logits.shape}")
        differences[name] = float(np.abs(values - expected[name]).max())
        # Written so that NaN is refused.
        if not differences[name] <= TOLERANCE * max(1.0, float(np.abs(expected[name]).max())):
            raise ExportError(f"{problem}: {name} by {differences[name]:.2g}")
    return differences["logits"]
