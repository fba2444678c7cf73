"""Samples to measure on: real ones, and simulated ones whose cost differs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from patchtst_har.config import ExperimentConfig
from patchtst_har.data.resample import resample_recording
from patchtst_har.errors import DataError
from patchtst_har.features.embedding import embedding_plan
from patchtst_har.synthetic import signal

if TYPE_CHECKING:
    import pandas as pd

Samples = NDArray[np.float32]

_LEAST_S = 10.0
_WORST_POINTS = 6
_WORST_NOISE_G = 1e-5


@dataclass(frozen=True, eq=False)
class Workload:
    """Samples that are pushed to a stream over and over.

    Attributes
    ----------
    name : str
        Short, for tables.
    kind : {"recorded", "simulated"}
        Where the samples come from.
    description : str
        One sentence.
    samples : ndarray of float32, shape (n, 3)
        In g at the model's rate; finite, and none all zero (a stream would leave it out).

    Raises
    ------
    DataError
        If the samples have another form.
    """

    name: str
    kind: Literal["recorded", "simulated"]
    description: str
    samples: Samples

    def __post_init__(self) -> None:
        samples = self.samples
        where = f"workload {self.name!r}"
        if not isinstance(samples, np.ndarray) or samples.dtype != np.float32:
            raise DataError(f"{where}: samples must be a float32 array")
        if samples.ndim != 2 or samples.shape[1] != 3 or not len(samples):
            raise DataError(f"{where}: samples need shape (n, 3), have {samples.shape}")
        unusable = np.flatnonzero(~np.isfinite(samples).all(axis=1) | (samples == 0).all(axis=1))
        if unusable.size:
            raise DataError(f"{where}: sample {unusable[0]} is not finite or all zero")


def simulated_workloads(
    sample_rate_hz: float, seconds: float, seed: int, config: ExperimentConfig | None = None
) -> dict[str, Workload]:
    """Return simulated workloads by name, in the order ``still, walking, noisy, worst_case``.

    Parameters
    ----------
    sample_rate_hz : float
        Of the model.
    seconds : float
        Length, at least 10; streams take them over and over.
    seed : int
        The same samples for the same arguments.
    config : ExperimentConfig, optional
        Of the model, whose windows and topology say which signal is the slowest; else the defaults.

    Raises
    ------
    DataError
        If a length or a rate is out of its range.
    """
    if not sample_rate_hz > 0 or not seconds >= _LEAST_S:
        raise DataError(
            f"workloads: need a positive rate and at least {_LEAST_S:g} s, are {sample_rate_hz} and {seconds}"
        )
    n_samples = round(seconds * sample_rate_hz)
    factor = _decimation(sample_rate_hz, config or ExperimentConfig())
    still, walking, noise, worst = (np.random.default_rng([seed, number]) for number in range(4))
    made: dict[str, tuple[Samples, str]] = {
        "still": (
            signal("still", n_samples, still),
            "A sensor at rest that records steps of 1/64 g: few values, many ties.",
        ),
        "walking": (
            signal("walking", n_samples, walking, sample_rate_hz=sample_rate_hz, step_hz=1.9),
            "Walking at about 1.9 steps per second.",
        ),
        "noisy": (signal("noise", n_samples, noise), "White noise of 0.3 g about gravity on every axis."),
        "worst_case": (
            _worst_case(worst, n_samples, factor),
            f"A {sample_rate_hz / (_WORST_POINTS * factor):.3g} Hz oscillation whose cloud is a hexagon of "
            "tight clusters: of all signals tried, the slowest for persistent homology.",
        ),
    }
    return {
        name: Workload(name, "simulated", description, samples)
        for name, (samples, description) in made.items()
    }


def recorded_workload(recording: pd.DataFrame, config: ExperimentConfig, name: str = "recorded") -> Workload:
    """Return a recording's samples on the model's grid; its pauses are left out.

    Parameters
    ----------
    recording : DataFrame
        See `patchtst_har.data.read_recording`.
    config : ExperimentConfig
        Of the model: `data.sample_rate_hz` and `data.max_gap_s`.
    name : str
        Of the workload.

    Raises
    ------
    DataError
        If the recording is malformed or has no usable sample.
    """
    rate_hz = config.data.sample_rate_hz
    segments = resample_recording(recording, rate_hz, max_gap_s=config.data.max_gap_s)
    if not segments:
        raise DataError("recording: has no usable sample to measure on")
    samples = np.concatenate([segment.samples for segment in segments])
    # Interpolation between two usable samples can meet zero exactly.
    samples = samples[(samples != 0).any(axis=1)]
    seconds = len(samples) / rate_hz
    parts = f"{len(segments)} segment" + "s" * (len(segments) > 1)
    return Workload(name, "recorded", f"A recording of {seconds:.0f} s in {parts}.", samples)


def _worst_case(rng: np.random.Generator, n_samples: int, factor: int) -> Samples:
    """Swing once in six decimated samples: the embedding's points are the corners of a hexagon.

    Noise of 1e-5 g parts the points at each corner, which would else be dropped as coincident. Edges between
    corners then have hardly different lengths, and lunes of many components: boundaries are many and long.
    """
    phase = 2 * np.pi * np.arange(n_samples) / (_WORST_POINTS * factor) + 0.4
    direction = np.array([0.48, 0.6, 0.64])
    swing = (1.5 + 0.5 * np.sin(phase))[:, np.newaxis] * direction
    samples: Samples = (swing + rng.normal(0, _WORST_NOISE_G, swing.shape)).astype(np.float32)
    return samples


def _decimation(rate_hz: float, config: ExperimentConfig) -> int:
    """Return by how much the topological features decimate a window."""
    topology = config.features.topology
    return embedding_plan(
        config.data.window_size, rate_hz, topology.max_points, topology.dimension, topology.delay_s
    )[0]
