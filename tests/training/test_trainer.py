import json
import logging
import math
import os
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from experiments import small_config
from patchtst_har.config import DataConfig, ModelConfig, SmoothingConfig, TrainingConfig
from patchtst_har.errors import ConfigError, DataError
from patchtst_har.models.folder import load_model
from patchtst_har.training import PatchTSTTrainer
from prepared_data import make_prepared


def test_learns_a_learnable_problem_on_held_out_participants(small_run):
    assert small_run.metrics["final_accuracy"] > 0.9
    assert small_run.metrics["raw_macro_f1"] > 0.9
    assert all(math.isfinite(value) for value in small_run.metrics.values())


@pytest.mark.trains
def test_without_signal_the_accuracy_is_chance(prepared, tmp_path):
    """The counterpart: with the windows' content destroyed, nothing can be learned, so nothing leaks."""
    source = prepared / "prepared"
    target = tmp_path / "prepared"
    target.mkdir()
    rng = np.random.default_rng(0)
    for path in source.iterdir():
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                values = dict(arrays)
            values["windows"] = rng.normal(0, 0.3, values["windows"].shape).astype(np.float32)
            np.savez(target / path.name, **values)
        elif path.is_file():
            (target / path.name).write_bytes(path.read_bytes())
    config = small_config(tmp_path, smoothing=SmoothingConfig(method="none"))
    _, metrics = PatchTSTTrainer(config).train()
    assert metrics["final_accuracy"] < 0.6


def test_the_run_folder_is_complete(small_run):
    names = {path.name for path in small_run.folder.iterdir()}
    assert names >= {
        "artifacts.json",
        "checkpoints",
        "config.yaml",
        "environment.json",
        "evaluation.json",
        "experiment_summary.yaml",
        "metrics.jsonl",
        "model",
        "params.json",
        "predictions.csv",
        "training.log",
    }


def test_the_run_records_what_computed_its_topology(small_run):
    n_windows = sum(
        len(part)
        for part in (small_run.trainer.data.train, small_run.trainer.data.val, small_run.trainer.data.test)
    )
    for name in ("evaluation.json", "params.json", "model/provenance.json"):
        record = json.loads((small_run.folder / name).read_text())
        assert record["topology_engines"] == {"native": n_windows}
    assert {path.name for path in (small_run.folder / "model").iterdir()} == {
        "MODEL_CARD.md",
        "classes.json",
        "config.json",
        "familiarity.safetensors",
        "model.safetensors",
        "provenance.json",
        "smoothing.json",
    }


def test_the_record_is_consistent(small_run):
    lines = [json.loads(line) for line in (small_run.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["phase"] == "train"] == list(range(1, 7))
    assert all(set(line["metrics"]) >= {"loss", "accuracy", "macro_f1"} for line in lines)
    losses = [line["metrics"]["loss"] for line in lines if line["phase"] == "train"]
    assert losses[-1] < losses[0]
    summary = yaml.safe_load((small_run.folder / "experiment_summary.yaml").read_text())
    assert summary["final_metrics"]["final_accuracy"] == pytest.approx(small_run.metrics["final_accuracy"])
    evaluation = json.loads((small_run.folder / "evaluation.json").read_text())
    predictions = pd.read_csv(small_run.folder / "predictions.csv")
    assert len(predictions) == evaluation["n_windows"]["test"]
    assert set(predictions["participant"]) == set(evaluation["split"]["test"])
    accuracy = (predictions["smoothed"] == predictions["label"]).mean()
    assert accuracy == pytest.approx(evaluation["smoothed"]["accuracy"])


def test_nobody_is_in_two_groups(small_run):
    split = small_run.trainer.data.split
    groups = [set(split.train), set(split.val), set(split.test)]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 6


def test_the_saved_model_is_the_returned_one(small_run):
    model, classes, config = load_model(small_run.folder / "model")
    assert classes == ("running", "sitting", "walking")
    decided = small_run.config.smoothing.replace(method="viterbi")
    assert config == small_run.config.without_paths().replace(smoothing=decided)
    for (name, saved), (_, returned) in zip(
        model.state_dict().items(), small_run.model.state_dict().items(), strict=True
    ):
        assert torch.equal(saved, returned), name


@pytest.mark.trains
def test_training_repeats_bit_for_bit(prepared, tmp_path):
    states = []
    for name in ("first", "second"):
        config = small_config(prepared, output_dir=tmp_path, experiment_name=name, training=_epochs(2))
        states.append(PatchTSTTrainer(config).train()[0].state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_used_run_folder_is_refused(small_run):
    with pytest.raises(DataError, match="already holds a run"):
        PatchTSTTrainer(small_run.config).train()


def test_a_bad_data_folder_leaves_nothing_behind(tmp_path):
    config = small_config(tmp_path)
    with pytest.raises((DataError, OSError), match="prepared"):
        PatchTSTTrainer(config).train()
    assert not config.run_dir.exists()


def test_a_run_folder_that_another_process_writes_is_refused(prepared, tmp_path):
    config = small_config(prepared, output_dir=tmp_path)
    refused = []

    def train(done, total, what):
        with pytest.raises(DataError, match=rf"small: is being written by process {os.getpid()} on "):
            PatchTSTTrainer(config).train()
        refused.append(what)

    def elsewhere(*progress):
        thread = threading.Thread(target=train, args=progress)
        thread.start()
        thread.join()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PatchTSTTrainer(config, on_progress=elsewhere).train()
    assert len(refused) == 1
    assert not list(tmp_path.iterdir()), "nothing was written, so nothing is left"


@pytest.mark.trains
def test_resuming_equals_an_uninterrupted_run(prepared, tmp_path):
    whole = small_config(prepared, output_dir=tmp_path, experiment_name="whole", training=_epochs(4))
    expected = PatchTSTTrainer(whole).train()[0].state_dict()

    cut = small_config(prepared, output_dir=tmp_path, experiment_name="cut", training=_epochs(4))
    with pytest.raises(KeyboardInterrupt):
        PatchTSTTrainer(cut, on_progress=_interrupt_after(2)).train()
    got = PatchTSTTrainer(cut, resume=True).train()[0].state_dict()
    for name in expected:
        assert torch.equal(got[name], expected[name]), name
    lines = (cut.run_dir / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines if '"train"' in line]
    assert steps == [1, 2, 3, 4]


@pytest.mark.trains
def test_resuming_another_configuration_is_refused(prepared, tmp_path):
    config = small_config(prepared, output_dir=tmp_path, training=_epochs(4))
    with pytest.raises(KeyboardInterrupt):
        PatchTSTTrainer(config, on_progress=_interrupt_after(1)).train()
    before = contents(config.run_dir)
    other = config.replace(model=ModelConfig(dropout=0.1))
    with pytest.raises(DataError, match=r"cannot be resumed: model\.dropout: 0\.3 in the run, 0\.1 now$"):
        PatchTSTTrainer(other, resume=True).train()
    assert contents(config.run_dir) == before


@pytest.mark.trains
def test_a_kill_before_the_first_checkpoint_can_be_resumed(prepared, tmp_path, monkeypatch, caplog):
    """The metrics of the first epoch are there then, its checkpoint is not."""

    def kill(*arguments):
        raise KeyboardInterrupt

    config = small_config(prepared, output_dir=tmp_path, training=_epochs(2))
    with monkeypatch.context() as patched:
        patched.setattr("patchtst_har.training.callbacks.save_checkpoint", kill)
        with pytest.raises(KeyboardInterrupt):
            PatchTSTTrainer(config).train()
    assert steps_of(config) == [1]
    with pytest.raises(DataError, match="resume it"):
        PatchTSTTrainer(config).train()
    PatchTSTTrainer(config, resume=True).train()
    assert "no checkpoint yet, training begins at the start" in caplog.text
    assert steps_of(config) == [1, 2]


@pytest.mark.trains
def test_a_kill_between_record_and_checkpoint_repeats_no_epoch(prepared, tmp_path, monkeypatch):
    from patchtst_har.training import callbacks

    save, n_saved = callbacks.save_checkpoint, []

    def kill_third(*arguments):
        n_saved.append(1)
        if len(n_saved) == 3:
            raise KeyboardInterrupt
        save(*arguments)

    config = small_config(prepared, output_dir=tmp_path, training=_epochs(4))
    with monkeypatch.context() as patched:
        patched.setattr(callbacks, "save_checkpoint", kill_third)
        with pytest.raises(KeyboardInterrupt):
            PatchTSTTrainer(config).train()
    assert steps_of(config) == [1, 2, 3]
    trainer = PatchTSTTrainer(config, resume=True)
    trainer.train()
    for phase in ("train", "val"):
        assert steps_of(config, phase) == [1, 2, 3, 4]


@pytest.mark.trains
def test_a_run_is_replaced_only_by_one_that_can_be_trained(prepared, tmp_path):
    config = small_config(prepared, output_dir=tmp_path, training=_epochs(2))
    PatchTSTTrainer(config).train()
    (config.run_dir / "notes.txt").write_text("mine")
    before = contents(config.run_dir)
    unusable = config.replace(data=config.data.replace(proc_dir=tmp_path / "absent"))
    with pytest.raises((DataError, OSError)):
        PatchTSTTrainer(unusable, overwrite=True).train()
    assert contents(config.run_dir) == before
    PatchTSTTrainer(config.replace(training=_epochs(1)), overwrite=True).train()
    assert steps_of(config) == [1]
    assert (config.run_dir / "notes.txt").read_text() == "mine"


def steps_of(config, phase="train"):
    lines = (config.run_dir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines if json.loads(line)["phase"] == phase]


def test_one_class_is_not_enough(tmp_path):
    make_prepared(tmp_path / "prepared", n_participants=3)
    folder = tmp_path / "prepared"
    for path in folder.glob("*.npz"):
        with np.load(path) as arrays:
            values = dict(arrays)
        np.savez(path, **{**values, "labels_str": np.full_like(values["labels_str"], "sitting")})
    (folder / "classes.json").write_text('["sitting"]')
    (folder / "label_encoder.json").write_text('{"sitting": 0}')
    config = small_config(tmp_path, data=DataConfig(proc_dir=folder, train_n=1, val_n=1))
    with pytest.raises(DataError, match=r"classes\.json: needs at least two classes to train, has sitting"):
        PatchTSTTrainer(config).train()
    assert not config.run_dir.exists()


@pytest.mark.trains
def test_training_leaves_the_callers_torch_as_it_was(prepared, tmp_path):
    torch.use_deterministic_algorithms(True)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        config = small_config(prepared, output_dir=tmp_path, training=_epochs(1))
        PatchTSTTrainer(config).train()
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.get_num_threads() == 2
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(before)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.trains
def test_early_stopping_keeps_the_best_epoch(prepared, tmp_path):
    # So high a rate spoils the model again and again: patience runs out long before the last epoch.
    training = TrainingConfig(epochs=50, lr=0.1, early_stop_patience=2, n_threads=1)
    config = small_config(prepared, output_dir=tmp_path, training=training)
    _, metrics = PatchTSTTrainer(config).train()
    lines = (config.run_dir / "metrics.jsonl").read_text().splitlines()
    values = [json.loads(line)["metrics"] for line in lines if '"val"' in line]
    ranks = [(epoch["macro_f1"], -epoch["loss"]) for epoch in values]
    assert len(ranks) < 50
    assert metrics["best_epoch"] == 1 + ranks.index(max(ranks)) == len(ranks) - 2
    assert metrics["best_val_macro_f1"] == max(ranks)[0]


@pytest.mark.trains
def test_no_test_people_scores_validation_and_says_so(prepared, tmp_path, caplog):
    data = DataConfig(
        proc_dir=prepared / "prepared",
        split="lists",
        train_participants=("P01", "P02"),
        val_participants=("P03",),
    )
    config = small_config(prepared, output_dir=tmp_path, data=data, training=_epochs(1))
    with caplog.at_level(logging.WARNING, logger="patchtst_har"):
        trainer = PatchTSTTrainer(config)
        trainer.train()
    assert "no test participants" in caplog.text
    assert trainer.held_out is None
    assert not (config.run_dir / "evaluation.json").exists()


def test_cuda_without_a_device_is_an_error(prepared, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    training = TrainingConfig(device="cuda")
    config = small_config(prepared, output_dir=tmp_path, training=training)
    with pytest.raises(ConfigError, match="no CUDA device"):
        PatchTSTTrainer(config).train()
    assert not config.run_dir.exists()


@pytest.mark.trains
@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA: no device")
def test_learns_on_a_device_and_the_model_works_without_one(prepared, tmp_path):
    """With automatic mixed precision and the fused attention, as `auto` takes them there."""
    training = TrainingConfig(epochs=6, lr=3e-3, n_threads=1, device="cuda")
    config = small_config(prepared, output_dir=tmp_path, training=training)
    _, metrics = PatchTSTTrainer(config).train()
    assert metrics["final_macro_f1"] > 0.9
    restored, _, _ = load_model(config.run_dir / "model")
    assert {parameter.device.type for parameter in restored.parameters()} == {"cpu"}


@pytest.mark.trains
def test_diverging_training_is_named(prepared, tmp_path):
    training = TrainingConfig(epochs=3, lr=1e30, n_threads=1)
    config = small_config(prepared, output_dir=tmp_path, training=training)
    with pytest.raises(DataError, match=r"training diverged: the loss of epoch \d"):
        PatchTSTTrainer(config).train()


def _epochs(n: int) -> TrainingConfig:
    return TrainingConfig(epochs=n, lr=3e-3, n_threads=1)


def _interrupt_after(n_epochs: int):
    def on_progress(done: int, total: int, what: str) -> None:
        if what == "training" and done == n_epochs:
            raise KeyboardInterrupt

    return on_progress
