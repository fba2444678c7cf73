"""Class probabilities of many windows. Importing this module does not import torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from patchtst_har import _core
from patchtst_har.inference.inputs import BATCH_SIZE, WindowInputs
from patchtst_har.inference.native import NativeClassifier

if TYPE_CHECKING:
    from patchtst_har.models import PatchTSTClassifier
    from patchtst_har.models.batches import WindowTensors


def predict_probabilities(model: PatchTSTClassifier, data: WindowTensors) -> NDArray[np.float64]:
    """Return the softmax of a torch model's logits for every window, in order.

    Parameters
    ----------
    model : PatchTSTClassifier
        Is put in evaluation mode.
    data : WindowTensors
        n windows.

    Returns
    -------
    ndarray, shape (n, K), float64
        Rows sum to 1.
    """
    import torch

    model.eval()
    device = model.rope_cos.device
    with torch.inference_mode():
        rows = [
            model(*(tensor.to(device) for tensor in inputs)).double().softmax(dim=1).cpu().numpy()
            for inputs, _ in data.batches(BATCH_SIZE)
        ]
    return np.concatenate(rows) if rows else np.empty((0, model.num_classes))


def predict_native(model: NativeClassifier, data: WindowInputs, *, n_threads: int = 1) -> NDArray[np.float64]:
    """Do what `predict_probabilities` does with the compiled engine."""
    logits = np.empty((len(data), model.num_classes), np.float32)
    for first in range(0, len(data), BATCH_SIZE):
        rows = slice(first, first + BATCH_SIZE)
        model.logits(*data.select(rows, model.config), n_threads=n_threads, out=logits[rows])
    return _core.probabilities(logits)
