"""The metrics: one entry here puts a score into every record, table and report.

Scores of all windows and of each participant, bootstrap intervals, cross-validation, baselines, the model
card, the terminal and the reports all walk over `METRICS`; calibration tables over `PROBABILITY_METRICS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from patchtst_har.evaluation import confusion
from patchtst_har.evaluation.calibration import N_BINS, Probabilities, brier, ece, nll
from patchtst_har.evaluation.confusion import Counts, FloatArray, Labels, Mask

Score = Callable[[Counts, Mask], FloatArray]
ByClass = Callable[[Counts], FloatArray]


@dataclass(frozen=True)
class Metric:
    """A score of a confusion matrix.

    Attributes
    ----------
    title : str
        Its name within a sentence.
    function : callable
        From counts (..., K, K; row: true class) and a mask (..., K) of the classes over which macro averages
        run to scores (...); NaN where the score is undefined.
    shown : {"summary", "report", "record"}
        ``summary``: in the terminal, on the model card and in the report; ``report``: in the report;
        ``record``: in the JSON files alone.
    by_participant : bool
        Whether it is also scored for each participant and for each causal lag, and gets a bootstrap interval.
    """

    title: str
    function: Score
    shown: Literal["summary", "report", "record"] = "report"
    by_participant: bool = False


@dataclass(frozen=True)
class ProbabilityMetric:
    """A score of probabilities: `function` takes true classes (n,) and probabilities (n, K)."""

    title: str
    function: Callable[[Labels, Probabilities], float]


def occurring(counts: Counts) -> Mask:
    """Return which classes occur in the truth, shape (..., K)."""
    mask: Mask = counts.sum(axis=-1) > 0
    return mask


def _macro(by_class: ByClass) -> Score:
    return lambda counts, counted: confusion.mean_over(by_class(counts), counted)


def _occurring(by_class: ByClass) -> Score:
    return lambda counts, _: confusion.mean_over(by_class(counts), occurring(counts))


def _weighted(by_class: ByClass) -> Score:
    return lambda counts, _: confusion.weighted_mean(by_class(counts), counts.sum(axis=-1))


def _whole(function: ByClass) -> Score:
    return lambda counts, _: function(counts)


METRICS: dict[str, Metric] = {
    "macro_f1": Metric("macro F1", _macro(confusion.f_score), "summary", by_participant=True),
    "weighted_f1": Metric("weighted F1", _weighted(confusion.f_score), "summary"),
    "accuracy": Metric("accuracy", _whole(confusion.accuracy), "summary", by_participant=True),
    "balanced_accuracy": Metric("balanced accuracy", _occurring(confusion.recall), "summary"),
    "macro_precision": Metric("macro precision", _macro(confusion.precision)),
    "macro_recall": Metric("macro recall", _macro(confusion.recall)),
    "macro_f2": Metric("macro F2", _macro(partial(confusion.f_score, beta=2))),
    "cohen_kappa": Metric("Cohen's kappa", _whole(confusion.kappa), "summary", by_participant=True),
    "mcc": Metric("Matthews correlation", _whole(confusion.matthews), "summary"),
    "macro_f1_present": Metric(
        "macro F1 over the classes that occur", _occurring(confusion.f_score), "record"
    ),
    "weighted_precision": Metric("weighted precision", _weighted(confusion.precision), "record"),
    "weighted_recall": Metric("weighted recall", _weighted(confusion.recall), "record"),
}
BY_PARTICIPANT = {name: metric for name, metric in METRICS.items() if metric.by_participant}
SUMMARY = {name: metric for name, metric in METRICS.items() if metric.shown == "summary"}

PROBABILITY_METRICS: dict[str, ProbabilityMetric] = {
    "ece": ProbabilityMetric(f"expected calibration error ({N_BINS} bins)", ece),
    "brier": ProbabilityMetric("Brier score", brier),
    "nll": ProbabilityMetric("negative log likelihood", nll),
}


def score_each(
    counts: Counts, counted: Mask, metrics: dict[str, Metric] = BY_PARTICIPANT
) -> dict[str, FloatArray]:
    """Return each metric of confusion matrices (..., K, K), NaN where it is undefined.

    Parameters
    ----------
    counts : ndarray of int64, shape (..., K, K)
        Row: true class; column: predicted class.
    counted : ndarray of bool, shape (..., K)
        The classes over which macro averages run.
    metrics : dict of str to Metric
        Which ones.
    """
    return {name: metric.function(counts, counted) for name, metric in metrics.items()}


def score_pooled(counts: Counts, metrics: dict[str, Metric] = METRICS) -> dict[str, Any]:
    """Return each metric of one confusion matrix, macro averages over all K classes; None for undefined."""
    scores = score_each(counts, np.ones(len(counts), dtype=bool), metrics)
    return {name: number(value) for name, value in scores.items()}


def number(value: Any) -> float | None:
    """Return a Python number, None for NaN."""
    return float(value) if np.isfinite(value) else None
