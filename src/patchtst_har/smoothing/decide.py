"""From class probabilities to decisions on windows of several participants."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from patchtst_har.config import ExperimentConfig
from patchtst_har.errors import DataError
from patchtst_har.smoothing import HMMSmoother, sequence_ids

LAGS = (0, 1, 2, 5)
"""Numbers of later windows for which an evaluation scores causal decisions."""


@dataclass(frozen=True)
class Decisions:
    """Decisions on n windows.

    Attributes
    ----------
    probabilities : ndarray, shape (n, K)
        The classifier's own.
    smoothed : ndarray of int64, shape (n,)
        Class after smoothing (equal to `raw` without a smoother).
    smoothed_probabilities : ndarray, shape (n, K)
        Posterior of the smoother given the whole sequence; the classifier's own without a smoother.
    sequences : ndarray of int64, shape (n,)
        Runs of windows without a gap.
    """

    probabilities: NDArray[np.float64]
    smoothed: NDArray[np.int64]
    smoothed_probabilities: NDArray[np.float64]
    sequences: NDArray[np.int64]

    @property
    def raw(self) -> NDArray[np.int64]:
        """Class of the classifier's largest probability, shape (n,)."""
        labels: NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return labels

    @property
    def probability(self) -> NDArray[np.float64]:
        """Probability of the smoothed class, shape (n,)."""
        return self.smoothed_probabilities[np.arange(len(self.smoothed)), self.smoothed]

    @classmethod
    def join(cls, parts: Sequence[Decisions]) -> Decisions:
        """Put decisions one after another; no sequence goes on from one part to the next."""
        offsets = np.cumsum([0, *(int(part.sequences.max(initial=-1)) + 1 for part in parts[:-1])])
        names = ("probabilities", "smoothed", "smoothed_probabilities")
        columns = [[getattr(part, name) for part in parts] for name in names]
        sequences = [part.sequences + start for part, start in zip(parts, offsets, strict=True)]
        return cls(*map(np.concatenate, [*columns, sequences]))


def hop_s(config: ExperimentConfig) -> float:
    """Seconds between the starts of consecutive windows."""
    return config.data.hop_size / config.data.sample_rate_hz


def sequences_of(
    participants: NDArray[np.str_], start_ns: NDArray[np.int64], config: ExperimentConfig
) -> NDArray[np.int64]:
    """Return the sequence of each window: restarted at every participant and time gap."""
    return sequence_ids(participants, start_ns, hop_s=hop_s(config), max_gap_s=config.smoothing.max_gap_s)


def parse_method(smoothing: str) -> int | None:
    """Return the lag of ``filter`` (0) or ``lag:K``; None for ``hmm``, which uses the whole sequence.

    Raises
    ------
    DataError
        If the text is another.
    """
    if smoothing == "hmm":
        return None
    lag = causal_lag(smoothing)
    if lag is None:
        raise DataError(
            f"smoothing: must be none, hmm, filter or lag:K (K later windows, below 1000), not {smoothing!r}"
        )
    return lag


def causal_lag(smoothing: str) -> int | None:
    """Return the lag in windows of ``filter`` (0) or ``lag:K``; None for any other text."""
    lag = re.fullmatch(r"lag:(\d{1,3})", "lag:0" if smoothing == "filter" else smoothing)
    return int(lag[1]) if lag else None


def causal_name(lag: int) -> str:
    """Return what `causal_lag` reads as `lag`: ``filter`` or ``lag:K``."""
    return f"lag:{lag}" if lag else "filter"


def decide(
    probabilities: NDArray[np.float64],
    sequences: NDArray[np.int64],
    smoother: HMMSmoother | None,
    lag: int | None = None,
) -> Decisions:
    """Decide on windows from their class probabilities (n, K), smoothed over whole sequences.

    With a lag, as a stream would after so many later windows.
    """
    if smoother is None or not len(probabilities):
        return Decisions(probabilities, probabilities.argmax(axis=1), probabilities, sequences)
    if lag is not None:
        posterior = smoother.fixed_lag_proba(probabilities, sequences, lag)
        return Decisions(probabilities, posterior.argmax(axis=1), posterior, sequences)
    return Decisions(probabilities, *smoother.decode(probabilities, sequences), sequences)


def decide_with_lags(
    probabilities: NDArray[np.float64],
    sequences: NDArray[np.int64],
    smoother: HMMSmoother | None,
    lags: Sequence[int] = LAGS,
) -> dict[int, NDArray[np.int64]]:
    """Return the classes (n,) that a stream decides after waiting for each number of later windows.

    They are the classes of the largest posterior given the windows so far (lag 0: the causal filter) or up to
    so many later ones. Empty without a smoother or without a window.
    """
    if smoother is None or not len(probabilities):
        return {}
    posteriors = smoother.fixed_lags_proba(probabilities, sequences, lags)
    return {lag: posterior.argmax(axis=1) for lag, posterior in zip(lags, posteriors, strict=True)}
