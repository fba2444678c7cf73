"""Memory is flat over epochs: nothing of an epoch is kept."""

import gc
import weakref

import numpy as np
import pytest
import torch

from patchtst_har.config import N_STATISTICAL_FEATURES, ModelConfig, TrainingConfig
from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.datasets.training_set import TrainingSet
from patchtst_har.models import PatchTSTClassifier
from patchtst_har.training.callbacks import Callback
from patchtst_har.training.loop import TrainingLoop
from patchtst_har.training.machine import Machine

pytestmark = pytest.mark.trains


def learnable(n: int, seed: int) -> FeatureSet:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    windows = rng.normal(0, 0.1, (n, 100, 3)) + labels[:, None, None]
    stats, topo = rng.normal(size=(n, N_STATISTICAL_FEATURES)), rng.normal(size=(n, 24))
    arrays = (windows, np.zeros((n, 5)), stats, topo)
    inputs = (array.astype(np.float32) for array in arrays)
    people = np.full(n, "P01")
    return FeatureSet(*inputs, np.full(n, "native"), labels, people, np.arange(n), ("a", "b", "c"))


class AtEpochEnd(Callback):
    def __init__(self, act) -> None:
        self.act = act

    def on_epoch_end(self, fit) -> None:
        self.act()


def live_tensors() -> int:
    gc.collect()
    return sum(issubclass(type(item), torch.Tensor) for item in gc.get_objects())


def test_the_number_of_live_tensors_does_not_grow_with_epochs():
    model = PatchTSTClassifier(ModelConfig(window_size=100, patch_len=10), 3)
    counts = []
    loop = TrainingLoop(TrainingConfig(epochs=6, early_stop_patience=6), Machine(torch.device("cpu")))
    loop.fit(
        model,
        TrainingSet.of(learnable(64, 0), 100.0),
        learnable(32, 1),
        [AtEpochEnd(lambda: counts.append(live_tensors()))],
    )
    assert len(counts) == 6
    assert max(counts[1:]) == min(counts[1:]), counts


def test_no_batch_outlives_its_epoch():
    model = PatchTSTClassifier(ModelConfig(window_size=100, patch_len=10), 3)
    seen: list[weakref.ref] = []
    model.head.register_forward_hook(lambda _module, _inputs, logits: seen.append(weakref.ref(logits)))
    alive = []

    def count() -> None:
        gc.collect()
        alive.append(sum(reference() is not None for reference in seen))

    loop = TrainingLoop(TrainingConfig(epochs=4, early_stop_patience=4), Machine(torch.device("cpu")))
    loop.fit(model, TrainingSet.of(learnable(64, 0), 100.0), learnable(32, 1), [AtEpochEnd(count)])
    assert len(seen) == 4 * 3
    assert alive == [0, 0, 0, 0]
