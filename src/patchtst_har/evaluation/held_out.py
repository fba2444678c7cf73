"""Score decisions on held-out participants, whom the model was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from patchtst_har.config import ExperimentConfig
from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.evaluation.bootstrap import bootstrap_intervals
from patchtst_har.evaluation.confusion import Labels, confusion_counts
from patchtst_har.evaluation.metrics import BY_PARTICIPANT, score_pooled
from patchtst_har.evaluation.scores import evaluate
from patchtst_har.records.run import Bootstrap, CausalScores, HeldOutScores, Intervals, Scores
from patchtst_har.smoothing import HMMSmoother
from patchtst_har.smoothing.decide import Decisions, decide, decide_with_lags, sequences_of
from patchtst_har.support.files import atomic_path


@dataclass(frozen=True)
class HeldOut:
    """Decisions on labelled windows of held-out participants.

    Attributes
    ----------
    participants, start_ns, labels : ndarray, shape (n,)
        Whose window, when it starts, its true class index.
    decisions : Decisions
        What the model decided.
    classes : tuple of str
        Class names.
    causal : dict of int to ndarray of int64, shape (n,)
        Classes that a stream can decide after waiting for so many later windows; empty without a smoother.
    """

    participants: NDArray[np.str_]
    start_ns: NDArray[np.int64]
    labels: Labels
    decisions: Decisions
    classes: tuple[str, ...]
    causal: dict[int, Labels] = field(default_factory=dict)

    @classmethod
    def judge(
        cls,
        features: FeatureSet,
        probabilities: NDArray[np.float64],
        config: ExperimentConfig,
        smoother: HMMSmoother | None,
        lag: int | None = None,
    ) -> HeldOut:
        """Decide on labelled windows from their class probabilities (n, K), raw, smoothed and causally.

        With a lag, those called smoothed are causal with that lag.
        """
        people, start_ns = features.participants, features.start_ns
        sequences = sequences_of(people, start_ns, config)
        decisions = decide(probabilities, sequences, smoother, lag)
        causal = decide_with_lags(probabilities, sequences, smoother)
        return cls(people, start_ns, features.labels, decisions, features.classes, causal)

    def scores(self) -> HeldOutScores:
        """Return the scores raw, smoothed and causal, with bootstrap intervals over several participants."""
        made = self.decisions
        raw, smoothed = self._intervals(made.raw), self._intervals(made.smoothed)
        gain = self._intervals(made.smoothed, made.raw)
        return HeldOutScores(
            classes=self.classes,
            raw=self._evaluate(made.raw, made.probabilities),
            smoothed=self._evaluate(made.smoothed, made.smoothed_probabilities),
            causal=tuple(
                CausalScores(
                    lag=lag, **self.pooled(decided), minus_offline=self._intervals(decided, made.smoothed)
                )
                for lag, decided in self.causal.items()
            ),
            bootstrap=Bootstrap(raw=raw, smoothed=smoothed, smoothed_minus_raw=gain)
            if raw and smoothed and gain
            else None,
        )

    def pooled(self, decided: Labels) -> dict[str, Any]:
        """Return the pooled metrics of some decisions that also have an interval."""
        return score_pooled(confusion_counts(self.labels, decided, len(self.classes)), BY_PARTICIPANT)

    def frame(self) -> pd.DataFrame:
        """Return one row per window: participant, start, label, raw, smoothed, probability."""
        names = np.array(self.classes)
        made = self.decisions
        return pd.DataFrame(
            {
                "participant": self.participants,
                "start": pd.to_datetime(self.start_ns, unit="ns"),
                "label": names[self.labels],
                "raw": names[made.raw],
                "smoothed": names[made.smoothed],
                "probability": made.probability,
            }
        )

    def write_frame(self, path: Path) -> None:
        """Write `frame` as CSV, whole or not at all."""
        with atomic_path(path) as temporary:
            self.frame().to_csv(temporary, index=False, float_format="%.6f")

    def _evaluate(self, decided: Labels, probabilities: NDArray[np.float64]) -> Scores:
        return evaluate(
            self.labels,
            decided,
            classes=self.classes,
            probabilities=probabilities,
            participants=self.participants,
            sequences=self.decisions.sequences,
        )

    def _intervals(self, decided: Labels, other: Labels | None = None) -> Intervals | None:
        """Return the intervals of decisions, or of what they gain on others; None for one participant."""
        if (self.participants == self.participants[0]).all():
            return None
        return bootstrap_intervals(self.labels, decided, self.participants, len(self.classes), other=other)


def pool(parts: Sequence[HeldOut]) -> HeldOut:
    """Join the held-out participants of several models, each judged by the model not trained on them.

    Raises
    ------
    ValueError
        If there is no part, a participant stands in two parts, or the classes differ.
    """
    if not parts:
        raise ValueError("nothing to pool")
    people = [set(part.participants) for part in parts]
    if sum(map(len, people)) != len(set().union(*people)):
        raise ValueError("a participant is held out in more than one part")
    if len({part.classes for part in parts}) != 1:
        raise ValueError("the parts have different classes")
    return HeldOut(
        np.concatenate([part.participants for part in parts]),
        np.concatenate([part.start_ns for part in parts]),
        np.concatenate([part.labels for part in parts]),
        Decisions.join([part.decisions for part in parts]),
        parts[0].classes,
        # A model without smoothing decides in a stream what it decides window by window.
        {
            lag: np.concatenate([part.causal.get(lag, part.decisions.raw) for part in parts])
            for lag in sorted(set().union(*(part.causal for part in parts)))
        },
    )
