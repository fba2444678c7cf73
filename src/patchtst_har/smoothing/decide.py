"""Apply the smoother to the predictions of several people."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from patchtst_har.config import ExperimentConfig
from patchtst_har.smoothing import HMMSmoother, sequence_ids

# Later windows that a stream may wait for, beside none.
LAGS = (0, 1, 2, 5)


@dataclass(frozen=True)
class Decisions:
    """What a model says of n windows.

    Attributes
    ----------
    probabilities : ndarray, shape (n, K)
        The classifier's own.
    raw, smoothed : ndarray of int64, shape (n,)
        Class of the largest probability; class after smoothing (equal to `raw` without a smoother).
    smoothed_probabilities : ndarray, shape (n, K)
        Posterior of the smoother given the whole sequence; the classifier's own without a smoother.
    sequences : ndarray of int64, shape (n,)
        Runs of windows without a gap.
    causal : dict of int to ndarray of int64, shape (n,)
        Classes that a stream can tell: of the largest posterior given the windows so far (0) or up to so many
        later ones; empty without a smoother.
    """

    probabilities: NDArray[np.float64]
    raw: NDArray[np.int64]
    smoothed: NDArray[np.int64]
    smoothed_probabilities: NDArray[np.float64]
    sequences: NDArray[np.int64]
    causal: dict[int, NDArray[np.int64]] = field(default_factory=dict)


def hop_s(config: ExperimentConfig) -> float:
    """Seconds between the starts of consecutive windows."""
    return config.data.hop_size / config.data.sample_rate_hz


def sequences_of(
    participants: NDArray[np.str_], start_ns: NDArray[np.int64], config: ExperimentConfig
) -> NDArray[np.int64]:
    """Return the sequence of each window: restarted at every person and time gap."""
    return sequence_ids(participants, start_ns, hop_s=hop_s(config), max_gap_s=config.smoothing.max_gap_s)


def decide(
    probabilities: NDArray[np.float64], sequences: NDArray[np.int64], smoother: HMMSmoother | None
) -> Decisions:
    """Turn probabilities (n, K) into raw, offline smoothed and causally smoothed decisions."""
    raw = probabilities.argmax(axis=1)
    if smoother is None or not len(raw):
        return Decisions(probabilities, raw, raw, probabilities, sequences)
    causal = {lag: smoother.fixed_lag_proba(probabilities, sequences, lag).argmax(axis=1) for lag in LAGS}
    smoothed = smoother.predict(probabilities, sequences)
    posterior = smoother.predict_proba(probabilities, sequences)
    return Decisions(probabilities, raw, smoothed, posterior, sequences, causal)
