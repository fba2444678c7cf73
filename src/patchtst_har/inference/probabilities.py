"""Class probabilities and embeddings of many windows. Importing this module does not import torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from patchtst_har import _core
from patchtst_har.datasets.inputs import ModelInputs
from patchtst_har.errors import ModelFolderError
from patchtst_har.features.threads import run_in_chunks
from patchtst_har.inference.inputs import BATCH_SIZE
from patchtst_har.inference.native import NativeClassifier

if TYPE_CHECKING:
    from patchtst_har.models import PatchTSTClassifier

Embedded = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Logits (n, K) and embeddings (n, E) of n windows."""


def probabilities_of(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the softmax (n, K) of logits (n, K), computed in float64.

    Raises
    ------
    ModelFolderError
        If a row is not finite.
    """
    probabilities = _core.probabilities(logits)
    # One logit that is not a number, or infinite, makes its whole row so.
    if not np.isfinite(probabilities[:, 0]).all():
        raise overflow()
    return probabilities


def overflow() -> ModelFolderError:
    """Return what is said of a model whose weights are finite, but not what it computes."""
    return ModelFolderError("the model's weights are so large that its probabilities are no numbers")


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
    return probabilities_of(predict_torch(model, data)[0])


def predict_torch(model: PatchTSTClassifier, data: ModelInputs) -> Embedded:
    """Return logits and embeddings of a torch model for every window; parameters as above."""
    import torch

    from patchtst_har.models.batches import to_tensors

    model.eval()
    device = model.rope_cos.device
    logits = np.empty((len(data), model.num_classes), np.float32)
    embeddings = np.empty((len(data), model.config.embedding_width), np.float32)
    with torch.inference_mode():
        for rows in _batches(len(data)):
            patches, times, stats, topo = (t.to(device) for t in to_tensors(data.select(rows, model.config)))
            embedding = model.embed(patches, times, stats, topo)
            logits[rows] = model.head(embedding).float().cpu().numpy()
            embeddings[rows] = embedding.float().cpu().numpy()
    return logits, embeddings


def predict_native(model: NativeClassifier, data: ModelInputs, *, n_threads: int = 1) -> NDArray[np.float64]:
    """Do what `predict_probabilities` does with the compiled engine."""
    logits = np.empty((len(data), model.num_classes), np.float32)
    for rows in _batches(len(data)):
        model.logits(*data.select(rows, model.config), n_threads=n_threads, out=logits[rows])
    return probabilities_of(logits)


def predict_embedded(
    model: NativeClassifier | PatchTSTClassifier, data: ModelInputs, *, n_threads: int = 1
) -> Embedded:
    """Return logits, with the bits of `predict_native` or `predict_torch`, and embeddings of every window.

    Parameters
    ----------
    model : NativeClassifier or PatchTSTClassifier
        The classifier.
    data : ModelInputs
        n windows.
    n_threads : int
        Threads of the compiled engine.
    """
    if not isinstance(model, NativeClassifier):
        return predict_torch(model, data)
    logits = np.empty((len(data), model.num_classes), np.float32)
    embeddings = np.empty((len(data), model.config.embedding_width), np.float32)
    for rows in _batches(len(data)):
        _embed(model, data.select(rows, model.config), n_threads, logits[rows], embeddings[rows])
    return logits, embeddings


def _embed(
    model: NativeClassifier,
    inputs: tuple[NDArray[np.float32], ...],
    n_threads: int,
    logits: NDArray[np.float32],
    embeddings: NDArray[np.float32],
) -> None:
    """Write logits and embeddings of a batch."""

    def embed(rows: slice) -> None:
        logits[rows], embeddings[rows] = model.embed(*(values[rows] for values in inputs))

    run_in_chunks(embed, len(logits), n_threads)


def _batches(n_windows: int) -> Iterator[slice]:
    yield from (slice(first, first + BATCH_SIZE) for first in range(0, n_windows, BATCH_SIZE))
