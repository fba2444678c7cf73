"""A small recogniser and recordings for the tests of streams."""

from __future__ import annotations

import numpy as np
import pandas as pd

from patchtst_har import Recognizer
from patchtst_har.config import DataConfig, ExperimentConfig, FeatureConfig, ModelConfig, SmoothingConfig
from patchtst_har.data.windows import cut_windows
from patchtst_har.inference import NativeClassifier
from patchtst_har.inference.familiarity import Familiarity, held_out_unit
from patchtst_har.smoothing import HMMSmoother, sequence_ids

CLASSES = ("running", "sitting", "walking")
WINDOW = 200


def random_smoother(n_classes: int = 3, hop_s: float = 2.0, seed: int = 0) -> HMMSmoother:
    """Return a smoother that likes to stay."""
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.ones(n_classes), 2 * n_classes + 1)
    stay = 0.8 * np.eye(n_classes) + 0.2 * rows[:n_classes]
    emissions = 0.6 * np.eye(n_classes) + 0.4 * rows[n_classes:-1]
    return HMMSmoother.from_parameters(rows[-1], stay, emissions, n_classes=n_classes, hop_s=hop_s)


def small_recognizer(
    hop_size: int = WINDOW, *, max_gap_s: float = 1.0, features: FeatureConfig | None = None, **model
) -> Recognizer:
    """Return an untrained recogniser of 2 s windows, with a smoother."""
    import torch

    from patchtst_har.models import PatchTSTClassifier

    architecture = {
        "window_size": WINDOW,
        "patch_len": 20,
        "n_time_features": 0,
        "n_topo_features": 0,
        **model,
    }
    config = ExperimentConfig(
        data=DataConfig(window_size=WINDOW, hop_size=hop_size),
        model=ModelConfig(**architecture),
        smoothing=SmoothingConfig(max_gap_s=max_gap_s),
        features=features or FeatureConfig(),
    )
    torch.manual_seed(0)
    module = PatchTSTClassifier(config.model, len(CLASSES)).eval()
    # An untrained head hardly prefers a class; the smoother should have something to do.
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(2.0)
    smoother = random_smoother(hop_s=hop_size / 100)
    return Recognizer(NativeClassifier.from_torch(module), CLASSES, config, smoother)


def with_familiarity(recognizer: Recognizer, seed: int = 0) -> Recognizer:
    """Return the recogniser with a `Familiarity` of some windows of `make_samples`."""
    samples, stamps = make_samples(120, seed=seed)
    cut = cut_windows(recording_of(samples, stamps), recognizer.config.data)
    _, embeddings = recognizer.embed(recognizer.inputs(cut.windows, cut.start_ns))
    labels = (cut.start_ns // (7 * 10**9)) % 3
    half = len(cut) // 2
    made = Familiarity.fit(embeddings[:half], labels[:half], 3)
    unit = held_out_unit(made.distances(embeddings[half:]))
    return recognizer.replace(familiarity=made.in_units_of(unit))


def make_samples(
    seconds: float = 60.0, rate_hz: float = 100.0, *, jitter_ms: float = 2.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return samples (n, 3) float32 that change every 7 s, and stamps (n,) int64 with jitter."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    bout = (time_s // 7).astype(int) % 3
    swing = np.array([0.9, 0.01, 0.3])[bout] * np.sin(2 * np.pi * (1 + bout) * time_s)
    samples = np.array([0.1, -0.3, 0.9]) + swing[:, None] * [1.0, 0.5, 0.3]
    samples += rng.normal(0, 0.05, samples.shape)
    late_ns = rng.integers(-1e6 * jitter_ms, 1e6 * jitter_ms + 1, len(time_s))
    stamps = 1_700_000_000_000_000_000 + np.rint(time_s * 1e9).astype(np.int64) + late_ns
    return samples.astype(np.float32), np.sort(stamps)


def recording_of(samples: np.ndarray, stamps: np.ndarray) -> pd.DataFrame:
    """Return what the offline path takes."""
    return pd.DataFrame(samples, columns=["x", "y", "z"], index=pd.DatetimeIndex(stamps, name="time"))


def offline(recognizer: Recognizer, samples: np.ndarray, stamps: np.ndarray, lag: int | None) -> tuple:
    """Return starts and posteriors as the offline parts make them, one window at a time."""
    cut = cut_windows(recording_of(samples, stamps), recognizer.config.data)
    raw = [
        recognizer.probabilities(recognizer.inputs(cut.windows[i : i + 1], cut.start_ns[i : i + 1]))
        for i in range(len(cut))
    ]
    probabilities = np.concatenate(raw) if raw else np.empty((0, 3))
    if lag is None:
        return cut.start_ns, probabilities
    config = recognizer.config
    sequences = sequence_ids(
        np.zeros(len(cut), int),
        cut.start_ns,
        hop_s=config.data.hop_size / config.data.sample_rate_hz,
        max_gap_s=config.smoothing.max_gap_s,
    )
    smoother = recognizer.smoother
    if lag == 0:
        return cut.start_ns, smoother.filter_proba(probabilities, sequences)
    return cut.start_ns, smoother.fixed_lag_proba(probabilities, sequences, lag)


def in_chunks(stream, samples: np.ndarray, stamps: np.ndarray, size: int) -> list:
    """Push everything in chunks of one size, then finish."""
    decisions = []
    for first in range(0, len(samples), size):
        decisions += stream.push(samples[first : first + size], stamps[first : first + size])
    return decisions + stream.finish()


def values(decisions: list) -> list[tuple]:
    """Return all of each decision that does not depend on the clock of the machine."""
    return [
        (d.start_ns, d.end_ns, d.label, d.raw_label, d.probabilities.tobytes(), d.distance) for d in decisions
    ]
