"""A run that was killed, or is given more epochs, ends as one that never was."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from experiments import small_config
from patchtst_har.config import ExperimentConfig, SmoothingConfig, TrainingConfig
from patchtst_har.errors import DataError
from patchtst_har.model_folder import read_model_folder
from patchtst_har.training import PatchTSTTrainer
from patchtst_har.training.run_folder import is_finished

# Everything that has a state: averages, parts of a batch, a schedule that waits, drawn variations.
STATEFUL = {
    "ema_decay": 0.9,
    "accumulation": 3,
    "schedule": "plateau",
    "plateau_patience": 1,
    "monitor": "val_loss",
    "lr": 3e-3,
    "augmentation": {"shift_s": 0.5, "scale": 0.03, "jitter_g": 0.02, "time_warp": 0.02},
}
COMMAND = [sys.executable, "-m", "patchtst_har", "train", "--resume", "--config"]


def experiment(prepared, folder, name: str, **training) -> ExperimentConfig:
    return small_config(
        prepared,
        output_dir=folder,
        experiment_name=name,
        training=TrainingConfig(**training),
        smoothing=SmoothingConfig(method="none"),
    )


def metrics_of(config: ExperimentConfig) -> list:
    lines = [json.loads(line) for line in (config.run_dir / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        line["metrics"].pop("data_wait", None)
    return [(line["phase"], line["step"], line["metrics"]) for line in lines]


def assert_equal_runs(one: ExperimentConfig, other: ExperimentConfig) -> None:
    weights, others = (read_model_folder(config.run_dir / "model").tensors for config in (one, other))
    assert weights.keys() == others.keys()
    for name, values in weights.items():
        assert (values == others[name]).all(), name
    assert metrics_of(one) == metrics_of(other)
    for name in ("predictions.csv",):
        assert (one.run_dir / name).read_bytes() == (other.run_dir / name).read_bytes()


def killed_at(process: subprocess.Popen, config: ExperimentConfig, n_lines: int) -> None:
    """Kill a training once so many metrics are recorded."""
    path, deadline = config.run_dir / "metrics.jsonl", time.monotonic() + 300
    while not path.exists() or path.read_text().count("\n") < n_lines:
        assert process.poll() is None, "it ended before it was killed"
        assert time.monotonic() < deadline, "it hangs"
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL


@pytest.mark.spawns
@pytest.mark.trains
@pytest.mark.slow
@pytest.mark.long
def test_a_killed_run_ends_bit_for_bit_as_one_that_never_was(prepared, tmp_path):
    whole, cut = (experiment(prepared, tmp_path, name, epochs=4, **STATEFUL) for name in ("whole", "cut"))
    PatchTSTTrainer(whole).train()
    cut.save(tmp_path / "cut.yaml")
    with subprocess.Popen([*COMMAND, tmp_path / "cut.yaml"], stderr=subprocess.DEVNULL) as process:
        # After the record of an epoch's training, before or in its validation's, or its checkpoint.
        killed_at(process, cut, 3)
    PatchTSTTrainer(cut, resume=True).train()
    assert_equal_runs(whole, cut)


@pytest.mark.study
@pytest.mark.parametrize("recipe", [STATEFUL, {"lr": 3e-3, "early_stop_patience": 3}], ids=["all", "plain"])
def test_twenty_kills_at_random_moments_change_nothing(prepared, tmp_path, recipe):
    whole, cut = (experiment(prepared, tmp_path, name, epochs=12, **recipe) for name in ("whole", "cut"))
    for config in (whole, cut):
        config.save(tmp_path / f"{config.experiment_name}.yaml")
    began = time.monotonic()
    subprocess.run([*COMMAND, tmp_path / "whole.yaml"], check=True)
    took_s, chance, n_kills = time.monotonic() - began, random.Random(0), 0  # noqa: S311
    while n_kills < 20:
        with subprocess.Popen([*COMMAND, tmp_path / "cut.yaml"], stderr=subprocess.DEVNULL) as process:
            try:
                process.wait(chance.uniform(0.1, 1.0) * took_s)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                n_kills += 1
        if is_finished(cut):
            # Kill what is left in a run that begins again.
            assert_equal_runs(whole, cut)
            subprocess.run(["rm", "-r", str(cut.run_dir)], check=True)
    subprocess.run([*COMMAND, tmp_path / "cut.yaml"], check=True)
    assert_equal_runs(whole, cut)


@pytest.mark.trains
@pytest.mark.parametrize(
    "schedule",
    [{"schedule": "plateau", "plateau_patience": 1}, {"schedule_epochs": 5}],
    ids=["plateau", "cosine"],
)
def test_more_epochs_are_those_of_a_run_that_had_them_from_the_start(prepared, tmp_path, schedule):
    long, short = (
        experiment(prepared, tmp_path, name, epochs=n, lr=3e-3, keep="last", **schedule)
        for name, n in (("long", 4), ("short", 2))
    )
    PatchTSTTrainer(long).train()
    PatchTSTTrainer(short).train()
    (short.run_dir / "report.html").write_text("")
    assert is_finished(short)
    more = short.replace(training=short.training.replace(epochs=4))
    with pytest.raises(DataError, match=r"--resume goes on with it \(training\.epochs: 2 in the run, 4"):
        is_finished(more)
    assert not is_finished(more, resume=True)
    PatchTSTTrainer(more, resume=True).train()
    assert_equal_runs(long, more)
    assert not (short.run_dir / "report.html").exists(), "a report of fewer epochs would pass for its own"


def test_a_finished_run_that_cannot_be_read_is_named(prepared, tmp_path):
    config = experiment(prepared, tmp_path, "old")
    config.run_dir.mkdir(parents=True)
    for name in ("experiment_summary.yaml", "report.html"):
        (config.run_dir / name).touch()
    (config.run_dir / "config.yaml").write_text("training: {lr: fast}\n")
    message = rf"{config.run_dir}: holds a finished run that this version cannot read \(.*training\.lr"
    with pytest.raises(DataError, match=message):
        is_finished(config)


@pytest.mark.trains
def test_more_epochs_are_refused_where_the_schedule_has_ended(prepared, tmp_path):
    short = experiment(prepared, tmp_path, "short", epochs=1, lr=3e-3)
    PatchTSTTrainer(short).train()
    (short.run_dir / "report.html").write_text("")
    more = short.replace(training=short.training.replace(epochs=2))
    message = r"training\.schedule_epochs: 1 in the run, 2 now \(the rates of the epochs so far would"
    with pytest.raises(DataError, match=message):
        PatchTSTTrainer(more, resume=True).train()
    with pytest.raises(DataError, match=message):
        is_finished(more, resume=True)
    assert is_finished(short), "nothing was removed"


@pytest.mark.trains
def test_a_run_that_stopped_early_goes_on_with_more_patience(prepared, tmp_path):
    recipe = {"epochs": 8, "lr": 0.1, "monitor": "val_loss"}
    patient, other = (
        experiment(prepared, tmp_path, name, early_stop_patience=n, **recipe)
        for name, n in (("patient", 3), ("other", 1))
    )
    PatchTSTTrainer(patient).train()
    PatchTSTTrainer(other).train()
    n_epochs = [len(metrics_of(config)) for config in (patient, other)]
    assert n_epochs[1] < n_epochs[0]
    more = other.replace(training=other.training.replace(early_stop_patience=3))
    PatchTSTTrainer(more, resume=True).train()
    assert_equal_runs(patient, more)
