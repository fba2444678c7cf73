"""Whether to smooth: decided on validation participants, if possible without emissions of their own."""

from __future__ import annotations

import copy
import logging

import numpy as np
from numpy.typing import NDArray

from patchtst_har.config import ExperimentConfig
from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.evaluation.confusion import confusion_counts
from patchtst_har.evaluation.metrics import score_pooled
from patchtst_har.records.run import SmoothingChoice
from patchtst_har.smoothing import HMMSmoother
from patchtst_har.smoothing.decide import decide, sequences_of

logger = logging.getLogger(__name__)

_MIN_PEOPLE = 5


def choose_smoothing(
    smoother: HMMSmoother, val: FeatureSet, probabilities: NDArray[np.float64], config: ExperimentConfig
) -> SmoothingChoice:
    """Compare the decisions on validation participants with and without smoothing.

    Emissions measured on the windows that they then smooth flatter the smoother, so each participant is
    smoothed with emissions of the others. With fewer than five, the others would be so few that another,
    worse smoother were judged than the one that is kept; then all are judged with the emissions of all.

    Parameters
    ----------
    smoother : HMMSmoother
        With transitions; it is not changed.
    val : FeatureSet
        The validation participants' windows.
    probabilities : ndarray, shape (n, K)
        What the classifier gives them.
    config : ExperimentConfig
        With ``smoothing.method: auto``, smoothing that lowers macro F1 is not applied; with ``viterbi`` there
        is a warning.
    """
    smoothed = _smoothed(smoother, val, probabilities, config)
    raw_f1, smoothed_f1 = (
        float(score_pooled(confusion_counts(val.labels, labels, len(val.classes)))["macro_f1"] or 0.0)
        for labels in (probabilities.argmax(axis=1), smoothed)
    )
    chosen = config.smoothing.method == "auto"
    harms = smoothed_f1 < raw_f1
    if harms and not chosen:
        logger.warning(
            "smoothing lowers macro F1 on the validation participants from %.3f to %.3f; with "
            "smoothing.method=auto it would not be applied",
            raw_f1,
            smoothed_f1,
        )
    return SmoothingChoice(
        method="none" if harms and chosen else "viterbi",
        chosen=chosen,
        n_participants=len(set(val.participants.tolist())),
        macro_f1_raw=raw_f1,
        macro_f1_smoothed=smoothed_f1,
    )


def _smoothed(
    smoother: HMMSmoother, val: FeatureSet, probabilities: NDArray[np.float64], config: ExperimentConfig
) -> NDArray[np.int64]:
    """Return the smoothed class of each window (n,)."""
    sequences = sequences_of(val.participants, val.start_ns, config)
    people = np.unique(val.participants)
    labels = np.empty(len(val), np.int64)
    for name in people:
        own = val.participants == name
        others = ~own if len(people) >= _MIN_PEOPLE else np.ones_like(own)
        judge = copy.copy(smoother).fit_emissions(val.labels[others], probabilities[others])
        labels[own] = decide(probabilities[own], sequences[own], judge).smoothed
    return labels
