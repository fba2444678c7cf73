import itertools
import threading

import numpy as np
import pytest
import torch

from patchtst_har.config import N_STATISTICAL_FEATURES, ModelConfig, TrainingConfig
from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.datasets.stretches import Stretches
from patchtst_har.datasets.training_set import TrainingSet
from patchtst_har.datasets.window_store import WindowStore
from patchtst_har.errors import DataError
from patchtst_har.support.npz import write_npz
from patchtst_har.support.stored_arrays import StoredArray
from patchtst_har.training.batches import TrainingBatches, on_device

CPU = torch.device("cpu")
MODEL = ModelConfig(window_size=100, patch_len=10)
VARIED = TrainingConfig(
    batch_size=7, augmentation={"shift_s": 0.3, "time_warp": 0.1, "jitter_g": 0.05, "rotation_deg": 10.0}
)
N, HOP = 40, 50


def features_of(windows: np.ndarray | WindowStore) -> FeatureSet:
    rng = np.random.default_rng(1)
    rows = (np.zeros((N, 5)), rng.normal(size=(N, N_STATISTICAL_FEATURES)), rng.normal(size=(N, 24)))
    times, stats, topo = (row.astype(np.float32) for row in rows)
    people, start_ns = np.repeat(["P1", "P2"], N // 2), HOP * 10**7 * np.arange(N)
    labels = np.arange(N) // 10 % 3
    return FeatureSet(
        windows, times, stats, topo, np.full(N, "native"), labels, people, start_ns, ("a", "b", "c")
    )


def overlapping_windows() -> np.ndarray:
    rng = np.random.default_rng(0)
    signals = rng.normal(size=(2, HOP * (N // 2 + 1), 3)).astype(np.float32)
    return np.concatenate([[s[HOP * i : HOP * i + 100] for i in range(N // 2)] for s in signals])


def training_set(windows: np.ndarray | WindowStore) -> TrainingSet:
    features = features_of(windows)
    return TrainingSet.of(features, 100.0, Stretches.of(features, HOP, 100.0))


@pytest.fixture
def stored(tmp_path) -> WindowStore:
    parts = []
    for number, part in enumerate(np.split(overlapping_windows(), 2)):
        write_npz(tmp_path / f"{number}.npz", {"windows": part})
        parts.append(StoredArray.find(tmp_path / f"{number}.npz", "windows"))
    return WindowStore(parts)


def everything(batches: TrainingBatches, n_epochs: int = 2) -> list[torch.Tensor]:
    return [
        tensor
        for _ in range(n_epochs)
        for batch in batches.epoch()
        for tensor in (*batch.inputs, batch.labels)
    ]


def assert_equal(found: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
    assert len(found) == len(expected) > 10
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("config", [VARIED, TrainingConfig(batch_size=7)], ids=["varied", "plain"])
def test_batches_read_from_disk_are_those_from_memory(stored, config):
    there = TrainingBatches(training_set(stored), MODEL, config, CPU, 3)
    here = TrainingBatches(training_set(overlapping_windows()), MODEL, config, CPU, 3)
    # A GPU that keeps the whole signal gathers from a tensor.
    whole = TrainingBatches(training_set(stored), MODEL, config, CPU, 3)
    whole._signal = on_device(whole._signal, CPU)
    expected = everything(here)
    assert_equal(everything(there), expected)
    assert_equal(everything(whole), expected)


def test_a_thread_changes_neither_batches_nor_what_is_drawn(stored):
    ahead, plain = (TrainingBatches(training_set(stored), MODEL, VARIED, CPU, 3) for _ in range(2))
    expected = []
    for _ in range(2):
        for batch in plain._in_order():
            expected += [*batch.inputs, batch.labels]
    assert_equal(everything(ahead), expected)
    for name, generator in plain.generators.items():
        assert torch.equal(ahead.generators[name].get_state(), generator.get_state())


def test_an_epoch_that_is_given_up_leaves_no_thread(stored):
    before = threading.active_count()
    epoch = TrainingBatches(training_set(stored), MODEL, VARIED, CPU, 3).epoch()
    next(epoch)
    assert threading.active_count() > before
    epoch.close()
    assert threading.active_count() == before


def test_data_that_disappears_ends_the_epoch_with_its_name(stored, tmp_path):
    batches = TrainingBatches(training_set(stored), MODEL, VARIED, CPU, 3)
    epoch = batches.epoch()
    next(epoch)
    (tmp_path / "1.npz").unlink()
    with pytest.raises(DataError, match=r"1\.npz: cannot be read"):
        list(epoch)


def test_the_time_of_waiting_is_that_of_the_epoch(stored, monkeypatch):
    batches = TrainingBatches(training_set(stored), MODEL, VARIED, CPU, 3)
    monkeypatch.setattr("time.perf_counter", itertools.count().__next__)
    for _ in range(2):
        everything(batches, 1)
        # One step of the clock for each of six batches, and for the end.
        assert batches.waited_s == 7
