"""Class probabilities of many windows. Importing this module does not import torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from patchtst_har import _core
from patchtst_har.datasets.inputs import ModelInputs
from patchtst_har.inference.inputs import BATCH_SIZE
from patchtst_har.inference.native import NativeClassifier

if TYPE_CHECKING:
    from patchtst_har.models import PatchTSTClassifier


def predict_probabilities(model: PatchTSTClassifier, data: ModelInputs) -> NDArray[np.float64]:
    """Return the softmax of a torch model's logits for every window, in order.

    Parameters
    ----------
    model : PatchTSTClassifier
        Is put in evaluation mode.
    data : ModelInputs
        n windows.

    Returns
    -------
    ndarray, shape (n, K), float64
        Rows sum to 1.
    """
    return _core.probabilities(predict_logits(model, data))


def predict_logits(model: PatchTSTClassifier, data: ModelInputs) -> NDArray[np.float32]:
    """Return a torch model's logits (n, K); parameters as `predict_probabilities`."""
    import torch

    from patchtst_har.models.batches import to_tensors

    model.eval()
    device = model.rope_cos.device
    with torch.inference_mode():
        logits = [np.empty((0, model.num_classes), np.float32)]
        for rows in _batches(len(data)):
            batch = model(*(tensor.to(device) for tensor in to_tensors(data.select(rows, model.config))))
            logits.append(batch.float().cpu().numpy())
    return np.concatenate(logits)


def predict_native(model: NativeClassifier, data: ModelInputs, *, n_threads: int = 1) -> NDArray[np.float64]:
    """Do what `predict_probabilities` does with the compiled engine."""
    logits = np.empty((len(data), model.num_classes), np.float32)
    for rows in _batches(len(data)):
        model.logits(*data.select(rows, model.config), n_threads=n_threads, out=logits[rows])
    return _core.probabilities(logits)


def _batches(n_windows: int) -> Iterator[slice]:
    yield from (slice(first, first + BATCH_SIZE) for first in range(0, n_windows, BATCH_SIZE))
