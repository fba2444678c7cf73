"""Class probabilities of many windows."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from patchtst_har.models.batches import WindowTensors
from patchtst_har.models.patchtst import PatchTSTClassifier

BATCH_SIZE = 256


@torch.inference_mode()
def predict_probabilities(model: PatchTSTClassifier, data: WindowTensors) -> NDArray[np.float64]:
    """Return the softmax of the model's logits for every window, in order.

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
    model.eval()
    device = model.rope_cos.device
    rows = [
        model(*(tensor.to(device) for tensor in inputs)).double().softmax(dim=1).cpu().numpy()
        for inputs, _ in data.batches(BATCH_SIZE)
    ]
    return np.concatenate(rows) if rows else np.empty((0, model.num_classes))
