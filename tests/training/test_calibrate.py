"""The temperature is fitted on validation people, kept in the last layer, and written down."""

import copy
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments import small_config
from patchtst_har import Recognizer
from patchtst_har.config import SmoothingConfig, TrainingConfig
from patchtst_har.evaluation.calibration import fit_temperature
from patchtst_har.inference.model_card import write_model_card
from patchtst_har.inference.probabilities import predict_torch
from patchtst_har.records.run import Calibration, Provenance
from patchtst_har.reports.run import render_report
from patchtst_har.training import PatchTSTTrainer
from patchtst_har.training.calibrate import calibrate


@pytest.fixture
def hot(small_run):
    """A model with eight times its logits, and validation people whose labels are partly wrong."""
    model = copy.deepcopy(small_run.model)
    with torch.no_grad():
        model.head.project.weight.mul_(8.0)
        model.head.project.bias.mul_(8.0)
    labels = small_run.trainer.data.val.labels.copy()
    labels[::4] = (labels[::4] + 1) % 3
    return model, replace(small_run.trainer.data.val, labels=labels)


def test_the_last_layer_is_divided_and_no_label_changes(hot, small_run):
    model, val = hot
    test = small_run.trainer.data.test
    before, before_test = predict_torch(model, val)[0], predict_torch(model, test)[0]
    found = calibrate(model, val, test)
    assert found.temperature == fit_temperature(before, val.labels) > 1.0
    for part, logits in ((val, before), (test, before_test)):
        after = predict_torch(model, part)[0]
        np.testing.assert_allclose(after, logits / found.temperature, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(after.argmax(axis=1), logits.argmax(axis=1))
    assert found.validation.nll_after < found.validation.nll_before
    assert found.validation.ece_after < found.validation.ece_before
    assert (found.validation.n_participants, found.validation.n_windows) == (1, len(val))
    assert (found.test.n_participants, found.test.n_windows) == (2, len(test))


@pytest.mark.slow
def test_it_is_written_where_the_model_is(small_run, tmp_path):
    found = small_run.trainer.calibration
    evaluation = json.loads((small_run.folder / "evaluation.json").read_text())
    provenance = json.loads((small_run.folder / "model" / "provenance.json").read_text())
    assert evaluation["temperature"] == provenance["temperature"] == found.to_json()
    # The shipped probabilities are the calibrated ones.
    assert evaluation["raw"]["calibration"]["ece"] == pytest.approx(found.test.ece_after, abs=1e-6)
    card = (small_run.folder / "model" / "MODEL_CARD.md").read_text()
    assert f"divided by a temperature of {found.temperature:.3f}" in card
    run = shutil.copytree(small_run.folder, tmp_path / "run")
    page = " ".join(render_report(run).read_text().split())
    assert f"divided by a temperature of {found.temperature:.3f}, fitted on 1 validation participant;" in page


def test_the_card_names_the_windows_of_another_fit(small_run, tmp_path):
    """A shipped model's temperature is of out-of-fold windows, with the errors in its summary."""
    trainer = small_run.trainer
    config = trainer.config.replace(smoothing=SmoothingConfig(method="none"))
    fit = Calibration(temperature=0.887, fitted_on="the out-of-fold windows of 1 seed")
    provenance = trainer.data.provenance().model_copy(update={"temperature": fit})
    assert Provenance.model_validate(provenance.to_json()) == provenance
    write_model_card(tmp_path, config, ("sitting", "walking"), provenance, {})
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert "divided by a temperature of 0.887, fitted on the out-of-fold windows of 1 seed.\n" in card


@pytest.mark.trains
def test_without_it_only_the_scale_of_the_logits_differs(prepared, tmp_path):
    models = {}
    for name, wanted in (("with", True), ("without", False)):
        training = TrainingConfig(epochs=1, n_threads=1, calibrate=wanted)
        config = small_config(prepared, output_dir=tmp_path, experiment_name=name, training=training)
        trainer = PatchTSTTrainer(config)
        models[name] = (trainer.train()[0], trainer)
    (calibrated, done), (plain, undone) = models["with"], models["without"]
    assert undone.calibration is None
    assert json.loads((tmp_path / "without" / "model" / "provenance.json").read_text())["temperature"] is None
    assert "logits are as trained" in (tmp_path / "without" / "model" / "MODEL_CARD.md").read_text()
    test = done.data.test
    np.testing.assert_allclose(
        predict_torch(calibrated, test)[0] * done.calibration.temperature,
        predict_torch(plain, test)[0],
        rtol=1e-4,
        atol=1e-4,
    )
    saved = Recognizer.from_pretrained(tmp_path / "with" / "model").probabilities(test)
    made = torch.from_numpy(predict_torch(calibrated, test)[0]).softmax(dim=1)
    np.testing.assert_allclose(saved, made, atol=1e-5)
