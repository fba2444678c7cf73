"""Smoothing is applied only where it does not lose on validation people."""

import json
from dataclasses import replace

import numpy as np
import pytest

from experiments import small_config
from patchtst_har import Recognizer
from patchtst_har.config import DataConfig, SmoothingConfig, TrainingConfig
from patchtst_har.errors import DataError, ModelFolderError
from patchtst_har.evaluation.folder import evaluate_folder
from patchtst_har.reports.run import render_report
from patchtst_har.smoothing import HMMSmoother
from patchtst_har.training import PatchTSTTrainer
from patchtst_har.training.smoothing_choice import choose_smoothing


def stuck(val):
    """Return a smoother that never leaves a class."""
    transitions = np.eye(3) * 0.997 + 0.001
    return HMMSmoother.from_parameters(
        np.full(3, 1 / 3), transitions, np.full((3, 3), 1 / 3), n_classes=3, hop_s=10.0
    )


def probabilities_of(val, noise, seed=0):
    rng = np.random.default_rng(seed)
    mixed = np.eye(3)[val.labels] + noise * rng.random((len(val), 3))
    return mixed / mixed.sum(axis=1, keepdims=True)


def people(val, n=5):
    """Return the validation set as that of so many people, one after another."""
    return replace(val, participants=np.array(list("ABCDE"))[np.arange(len(val)) * n // len(val)])


def test_smoothing_that_loses_is_not_chosen(small_run, caplog):
    val = people(small_run.trainer.data.val)
    config = small_run.config
    # One window in three is of another class, and the smoother thinks that no class ever changes.
    labels = np.arange(len(val)) % 3
    val = replace(val, labels=labels)
    choice = choose_smoothing(stuck(val), val, probabilities_of(val, 1.5), config)
    assert choice.method == "none"
    assert choice.macro_f1_smoothed < choice.macro_f1_raw
    assert choice.n_participants == 5
    assert not caplog.text
    named = config.replace(smoothing=SmoothingConfig(method="viterbi"))
    assert choose_smoothing(stuck(val), val, probabilities_of(val, 1.5), named).method == "viterbi"
    assert "smoothing lowers macro F1 on the validation participants" in caplog.text


def test_smoothing_that_wins_is_chosen(small_run):
    val = people(small_run.trainer.data.val)
    choice = choose_smoothing(small_run.trainer._fitted, val, probabilities_of(val, 3.0), small_run.config)
    assert choice.method == "viterbi"
    assert choice.macro_f1_smoothed > choice.macro_f1_raw


@pytest.mark.parametrize("n_people", [1, 4, 5])
def test_nobody_of_five_is_judged_with_emissions_of_their_own(small_run, monkeypatch, n_people):
    val = people(small_run.trainer.data.val, n_people)
    seen, fit = [], HMMSmoother.fit_emissions

    def watched(smoother, labels, probabilities):
        seen.append(len(labels))
        return fit(smoother, labels, probabilities)

    monkeypatch.setattr(HMMSmoother, "fit_emissions", watched)
    choose_smoothing(small_run.trainer._fitted, val, probabilities_of(val, 1.0), small_run.config)
    own = np.unique(val.participants, return_counts=True)[1]
    assert seen == ([len(val) - n for n in own] if n_people == 5 else [len(val)] * n_people)


@pytest.mark.trains
def test_what_is_not_chosen_is_not_applied_but_can_be_asked_for(prepared, tmp_path, monkeypatch):
    def lose(smoother, val, probabilities, config):
        return choose_smoothing(smoother, val, probabilities, config).model_copy(update={"method": "none"})

    monkeypatch.setattr("patchtst_har.training.trainer.choose_smoothing", lose)
    config = small_config(prepared, output_dir=tmp_path, training=TrainingConfig(epochs=1, n_threads=1))
    _, metrics = PatchTSTTrainer(config).train()
    assert metrics["final_macro_f1"] == metrics["raw_macro_f1"]
    model = config.run_dir / "model"
    assert json.loads((model / "config.json").read_text())["smoothing"]["method"] == "none"
    assert "none: every window" in (model / "MODEL_CARD.md").read_text()
    evaluation = json.loads((config.run_dir / "evaluation.json").read_text())
    assert evaluation["smoothing"]["method"] == "none"
    page = " ".join(render_report(config.run_dir).read_text().split())
    assert "Smoothing is not applied: it lowered macro F1 on the validation participants" in page
    # The headline is what `evaluate` and `predict` do by themselves.
    people = evaluation["split"]["test"]
    data = prepared / "prepared"
    cache = tmp_path / "cache"
    result = evaluate_folder(model, data, people, cache_dir=cache)
    assert result.scores.smoothing == "none"
    assert result.scores.smoothed.macro_f1 == pytest.approx(metrics["final_macro_f1"])
    assert evaluate_folder(model, data, people, smoothing="hmm", cache_dir=cache).scores.smoothing == "hmm"
    assert Recognizer.from_pretrained(model).smoothing == "none"
    assert Recognizer.from_pretrained(model, smoothing="lag:2").smoothing == "lag:2"
    with pytest.raises(DataError, match="must be none, hmm, filter or lag:K"):
        Recognizer.from_pretrained(model, smoothing="median")
    (model / "smoothing.json").unlink()
    with pytest.raises(ModelFolderError, match="the model has no smoother"):
        Recognizer.from_pretrained(model, smoothing="hmm")


@pytest.mark.trains
def test_folds_may_choose_differently(prepared, tmp_path, monkeypatch):
    from patchtst_har.training import cross_validate

    chosen = iter(("none", "viterbi", "viterbi"))

    def choose(smoother, val, probabilities, config):
        return choose_smoothing(smoother, val, probabilities, config).model_copy(
            update={"method": next(chosen)}
        )

    monkeypatch.setattr("patchtst_har.training.trainer.choose_smoothing", choose)
    data = DataConfig(proc_dir=prepared / "prepared", split="kfold", n_folds=3, val_n=1)
    training = TrainingConfig(epochs=1, n_threads=1)
    scores = cross_validate(
        small_config(prepared, output_dir=tmp_path, data=data, training=training), baselines=()
    )
    first = scores.folds[0]
    assert first.macro_f1_raw == first.macro_f1_smoothed
    assert [causal.lag for causal in scores.causal] == [0, 1, 2, 5]
