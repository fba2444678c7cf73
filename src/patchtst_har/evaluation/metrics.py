"""The metrics: one entry here puts a score into every record, table and report.

Scores of all windows and of each participant, bootstrap intervals, cross-validation, baselines, the model
card, the terminal and the reports all walk over `METRICS`; calibration tables over `PROBABILITY_METRICS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from patchtst_har.evaluation.calibration import N_BINS, Probabilities, brier, ece, nll
from patchtst_har.evaluation.confusion import (
    Counts,
    FloatArray,
    Labels,
    Mask,
    accuracy,
    f_score,
    kappa,
    matthews,
    mean_over,
    precision,
    recall,
    weighted_mean,
)


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
    function: Callable[[Counts, Mask], FloatArray]
    shown: Literal["summary", "report", "record"] = "report"
    by_participant: bool = False


@dataclass(frozen=True)
class ProbabilityMetric:
    """A score of probabilities: `function` takes true classes (n,) and probabilities (n, K)."""

    title: str
    function: Callable[[Labels, Probabilities], float]


METRICS: dict[str, Metric] = {
    "macro_f1": Metric("macro F1", lambda c, counted: mean_over(f_score(c), counted), "summary", True),
    "weighted_f1": Metric("weighted F1", lambda c, _: weighted_mean(f_score(c), c.sum(axis=-1)), "summary"),
    "accuracy": Metric("accuracy", lambda c, _: accuracy(c), "summary", True),
    "balanced_accuracy": Metric(
        "balanced accuracy", lambda c, _: mean_over(recall(c), occurring(c)), "summary"
    ),
    "macro_precision": Metric("macro precision", lambda c, counted: mean_over(precision(c), counted)),
    "macro_recall": Metric("macro recall", lambda c, counted: mean_over(recall(c), counted)),
    "macro_f2": Metric("macro F2", lambda c, counted: mean_over(f_score(c, beta=2), counted)),
    "cohen_kappa": Metric("Cohen's kappa", lambda c, _: kappa(c), "summary", True),
    "mcc": Metric("Matthews correlation", lambda c, _: matthews(c), "summary"),
    "macro_f1_present": Metric(
        "macro F1 over the classes that occur", lambda c, _: mean_over(f_score(c), occurring(c)), "record"
    ),
    "weighted_precision": Metric(
        "weighted precision", lambda c, _: weighted_mean(precision(c), c.sum(axis=-1)), "record"
    ),
    "weighted_recall": Metric(
        "weighted recall", lambda c, _: weighted_mean(recall(c), c.sum(axis=-1)), "record"
    ),
}
BY_PARTICIPANT = {name: metric for name, metric in METRICS.items() if metric.by_participant}
SUMMARY = {name: metric for name, metric in METRICS.items() if metric.shown == "summary"}

PROBABILITY_METRICS: dict[str, ProbabilityMetric] = {
    "ece": ProbabilityMetric(f"expected calibration error ({N_BINS} bins)", ece),
    "brier": ProbabilityMetric("Brier score", brier),
    "nll": ProbabilityMetric("negative log likelihood", nll),
}


def score(
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
    scores = score(counts, np.ones(len(counts), dtype=bool), metrics)
    return {name: number(value) for name, value in scores.items()}


def occurring(counts: Counts) -> Mask:
    """Return which classes occur in the truth, shape (..., K)."""
    mask: Mask = counts.sum(axis=-1) > 0
    return mask


def number(value: Any) -> float | None:
    """Return a Python number, None for NaN."""
    return float(value) if np.isfinite(value) else None
