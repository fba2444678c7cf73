"""How much memory a recording takes on its way to windows, as tracemalloc sees it."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from patchtst_har.config import DataConfig
from patchtst_har.data.recording import read_recording
from patchtst_har.data.resample import resample_recording
from patchtst_har.data.windows import WindowBatches, cut_windows

N_SAMPLES = 1_000_000
RESULT_BYTES = 12
BLOCK_BYTES = 10 * 2**20


def long_recording() -> pd.DataFrame:
    samples = np.random.default_rng(0).normal(0.5, 0.05, (N_SAMPLES, 3)).astype(np.float32)
    index = pd.DatetimeIndex((np.arange(N_SAMPLES) * 10_000_000).view("datetime64[ns]"), name="time")
    return pd.DataFrame(samples, index=index, columns=["x", "y", "z"], copy=False)


def peak_bytes_per_sample(function: Callable[[], object]) -> float:
    """Return the traced peak of a call, less the blocks of constant size, per sample."""
    tracemalloc.start()
    try:
        function()
        return (tracemalloc.get_traced_memory()[1] - BLOCK_BYTES) / N_SAMPLES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("annotated", [False, True])
@pytest.mark.slow
def test_cutting_windows_needs_little_more_than_the_windows(annotated: bool) -> None:
    recording = long_recording()
    if annotated:
        recording["annotation"] = pd.Categorical(
            np.where(np.arange(N_SAMPLES) < 30_000, "sitting", "walking")
        )
    cut_windows(recording.iloc[:2000])
    assert peak_bytes_per_sample(lambda: cut_windows(recording)) < RESULT_BYTES + annotated + 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("annotation", "n_bytes"),
    [
        ({}, 36),
        # Their own bytes, and one for the code.
        ({"y": np.zeros(N_SAMPLES, np.int8), "classes": np.array(["a"])}, 39),
        ({"annotation": np.repeat(np.array(["sitting", "walking"]), N_SAMPLES // 2)}, 36 + 28 + 2),
    ],
)
def test_an_archive_is_held_hardly_more_than_once(
    tmp_path: Path, annotation: dict[str, np.ndarray], n_bytes: int
) -> None:
    """Stamps and acceleration take 20 bytes per sample; measuring the rate and the unit, 16 for a moment."""
    path, recording = tmp_path / "a.npz", long_recording()
    np.savez(path, time_ns=recording.index.asi8[:10], acc=recording.to_numpy()[:10])
    read_recording(path)
    np.savez(path, time_ns=recording.index.asi8, acc=recording.to_numpy(), **annotation)
    assert peak_bytes_per_sample(lambda: read_recording(path)) + BLOCK_BYTES / N_SAMPLES < n_bytes + 1


def test_overlapping_windows_are_held_once() -> None:
    recording = long_recording()
    config = DataConfig(hop_size=250)
    cut_windows(recording.iloc[:2000])
    assert peak_bytes_per_sample(lambda: cut_windows(recording, config)) < 4 * RESULT_BYTES + 1


def test_windows_in_batches_need_no_memory_for_the_recording() -> None:
    recording = long_recording()
    cut_windows(recording.iloc[:2000])

    def count() -> int:
        return sum(
            len(windows) for _, windows in WindowBatches(recording, DataConfig(hop_size=250)).batches(64)
        )

    assert peak_bytes_per_sample(count) < 1
    assert count() == (N_SAMPLES - 1000) // 250 + 1


def test_resampling_needs_little_more_than_the_samples() -> None:
    recording = long_recording()
    resample_recording(recording.iloc[:2000])
    assert peak_bytes_per_sample(lambda: resample_recording(recording)) < RESULT_BYTES + 1


def test_unusable_samples_and_repeated_stamps_are_taken_out_in_a_copy() -> None:
    recording = long_recording()
    recording.iloc[1000:1010] = np.nan
    stamps = recording.index.astype("int64").to_numpy() // 10**9 * 10**9
    recording.index = pd.DatetimeIndex(stamps.view("datetime64[ns]"), name="time")
    cut_windows(recording.iloc[:2000])
    # Stamps spread, then rows, stamps and samples without the unusable ones, and the windows.
    assert peak_bytes_per_sample(lambda: cut_windows(recording)) < 8 + 8 + 8 + 12 + RESULT_BYTES
