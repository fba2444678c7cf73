"""Score decisions on people that the model never met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.evaluation.bootstrap import bootstrap_intervals, paired_difference
from patchtst_har.evaluation.confusion import accuracy, confusion_counts, macro_f1
from patchtst_har.evaluation.metrics import evaluate
from patchtst_har.smoothing.decide import Decisions
from patchtst_har.support.files import atomic_path


@dataclass(frozen=True)
class HeldOut:
    """Decisions on labelled windows of held-out people.

    Attributes
    ----------
    participants, start_ns, labels : ndarray, shape (n,)
        Whose window, when it starts, its true class index.
    decisions : Decisions
        What the model said.
    classes : tuple of str
        Class names.
    """

    participants: NDArray[np.str_]
    start_ns: NDArray[np.int64]
    labels: NDArray[np.int64]
    decisions: Decisions
    classes: tuple[str, ...]

    @classmethod
    def of(cls, features: FeatureSet, decisions: Decisions) -> HeldOut:
        """Pair a feature set's truth with decisions on it."""
        return cls(features.participants, features.start_ns, features.labels, decisions, features.classes)

    def scores(self) -> dict[str, Any]:
        """Return the scores raw and smoothed, with bootstrap intervals over people (JSON-ready)."""
        made = self.decisions
        common: dict[str, Any] = {
            "classes": self.classes,
            "participants": self.participants,
            "sequences": made.sequences,
        }
        raw = evaluate(self.labels, made.raw, probabilities=made.probabilities, **common)
        smoothed = evaluate(self.labels, made.smoothed, probabilities=made.smoothed_probabilities, **common)
        scores = {"classes": list(self.classes), "raw": raw, "smoothed": smoothed, "causal": self._causal()}
        if len(np.unique(self.participants)) > 1:
            scores["bootstrap"] = self._intervals()
        return scores

    def _causal(self) -> list[dict[str, Any]]:
        """Return what each wait for later windows gives, and what it loses against the whole recording."""
        rows = []
        n_classes = len(self.classes)
        several = len(np.unique(self.participants)) > 1
        for lag, decided in self.decisions.causal.items():
            counts = confusion_counts(self.labels, decided, n_classes)
            difference = (
                paired_difference(self.labels, decided, self.decisions.smoothed, self.participants, n_classes)
                if several
                else None
            )
            rows.append(
                {
                    "lag": lag,
                    "accuracy": float(accuracy(counts)),
                    "macro_f1": float(macro_f1(counts)),
                    "minus_offline": difference,
                }
            )
        return rows

    def frame(self) -> pd.DataFrame:
        """Return one row a window: participant, start, label, raw, smoothed, probability."""
        names = np.array(self.classes)
        made = self.decisions
        rows = np.arange(len(self.labels))
        return pd.DataFrame(
            {
                "participant": self.participants,
                "start": pd.to_datetime(self.start_ns, unit="ns"),
                "label": names[self.labels],
                "raw": names[made.raw],
                "smoothed": names[made.smoothed],
                "probability": made.smoothed_probabilities[rows, made.smoothed],
            }
        )

    def write_frame(self, path: Path) -> None:
        """Write `frame` as CSV, whole or not at all."""
        with atomic_path(path) as temporary:
            self.frame().to_csv(temporary, index=False, float_format="%.6f")

    def _intervals(self) -> dict[str, Any]:
        n_classes = len(self.classes)
        made = self.decisions
        return {
            "raw": bootstrap_intervals(self.labels, made.raw, self.participants, n_classes),
            "smoothed": bootstrap_intervals(self.labels, made.smoothed, self.participants, n_classes),
            "smoothed_minus_raw": paired_difference(
                self.labels, made.smoothed, made.raw, self.participants, n_classes
            ),
        }


def pool(parts: Sequence[HeldOut]) -> HeldOut:
    """Join the held-out people of several models, each person judged by the model that never met them.

    Raises
    ------
    ValueError
        If there is no part, a person stands in two parts, or the classes differ.
    """
    if not parts:
        raise ValueError("nothing to pool")
    people = [set(part.participants) for part in parts]
    if sum(map(len, people)) != len(set().union(*people)):
        raise ValueError("a participant is held out in more than one part")
    if len({part.classes for part in parts}) != 1:
        raise ValueError("the parts have different classes")
    offsets = np.cumsum([0, *(int(part.decisions.sequences.max(initial=-1)) + 1 for part in parts)])
    made = [part.decisions for part in parts]
    decisions = Decisions(
        np.concatenate([one.probabilities for one in made]),
        np.concatenate([one.raw for one in made]),
        np.concatenate([one.smoothed for one in made]),
        np.concatenate([one.smoothed_probabilities for one in made]),
        np.concatenate([one.sequences + start for one, start in zip(made, offsets[:-1], strict=True)]),
        {lag: np.concatenate([one.causal[lag] for one in made]) for lag in made[0].causal},
    )
    return HeldOut(
        np.concatenate([part.participants for part in parts]),
        np.concatenate([part.start_ns for part in parts]),
        np.concatenate([part.labels for part in parts]),
        decisions,
        parts[0].classes,
    )
