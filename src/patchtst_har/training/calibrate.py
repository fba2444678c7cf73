"""The temperature of a trained model: fitted on validation participants, kept in its last layer."""

from __future__ import annotations

import logging

import numpy as np
import torch
from numpy.typing import NDArray

from patchtst_har import _core
from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.evaluation.calibration import ece, fit_temperature, nll
from patchtst_har.inference.probabilities import predict_torch
from patchtst_har.models.patchtst import PatchTSTClassifier
from patchtst_har.records.run import Calibration, CalibrationGain

logger = logging.getLogger(__name__)


def calibrate(model: PatchTSTClassifier, val: FeatureSet, test: FeatureSet | None) -> Calibration:
    """Divide a model's logits by the temperature that fits the validation participants best.

    The logits are linear in what the last layer is given, so its weights and bias are divided and nothing
    else computes anything new.

    Parameters
    ----------
    model : PatchTSTClassifier
        Its last layer is changed.
    val : FeatureSet
        The validation participants.
    test : FeatureSet or None
        Participants on whom the effect is measured too; they do not change it.
    """
    judged = {"validation": val, "test": test}
    before = {name: predict_torch(model, part)[0] for name, part in judged.items() if part is not None}
    temperature = fit_temperature(before["validation"], val.labels)
    with torch.no_grad():
        for parameter in (model.head.project.weight, model.head.project.bias):
            parameter.div_(temperature)
    gains = {
        name: _gain(part, before[name], predict_torch(model, part)[0])
        for name, part in judged.items()
        if part is not None
    }
    found = Calibration(temperature=temperature, validation=gains["validation"], test=gains.get("test"))
    logger.info(
        "temperature %.3f: expected calibration error of the validation people %.3f before, %.3f after",
        temperature,
        gains["validation"].ece_before,
        gains["validation"].ece_after,
    )
    return found


def _gain(part: FeatureSet, before: NDArray[np.float32], after: NDArray[np.float32]) -> CalibrationGain:
    pair = _core.probabilities(before), _core.probabilities(after)
    (ece_before, ece_after), (nll_before, nll_after) = (
        [metric(part.labels, probabilities) for probabilities in pair] for metric in (ece, nll)
    )
    return CalibrationGain(
        n_participants=len(set(part.participants.tolist())),
        n_windows=len(part),
        ece_before=ece_before,
        ece_after=ece_after,
        nll_before=nll_before,
        nll_after=nll_after,
    )
