"""Checkpoints: a kill at any moment leaves a whole one, never older than the one before."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import save_file

from patchtst_har.config import N_STATISTICAL_FEATURES, ExperimentConfig, ModelConfig, TrainingConfig
from patchtst_har.errors import DataError
from patchtst_har.models import PatchTSTClassifier
from patchtst_har.training.averaging import WeightAverage
from patchtst_har.training.checkpoint import Progress, Trainee, load_checkpoint, save_checkpoint
from patchtst_har.training.identity import Identity, settings_of
from patchtst_har.training.scheduler import Schedule

RUN = Identity({}, {})
CONFIG = ModelConfig(window_size=100, patch_len=10, d_model=8, n_layers=1, d_ff=8)

# Imports torch once, and for every line that it is sent starts a process that saves until it is killed.
SAVERS = """
import os
import sys
from pathlib import Path
import torch
sys.path.insert(0, sys.argv[2])
from test_checkpoint import RUN, step, trainee
from patchtst_har.training.averaging import WeightAverage
from patchtst_har.training.checkpoint import Progress, load_checkpoint, save_checkpoint
path = Path(sys.argv[1])

def save_forever():
    print(os.getpid(), flush=True)
    one = trainee()
    progress = load_checkpoint(path, one, RUN) if path.exists() else Progress()
    while True:
        step(one)
        progress.epoch += 1
        progress.best_state = {name: value.clone() for name, value in one.model.state_dict().items()}
        # So large that most kills fall into the writing.
        progress.best_state["large"] = torch.full((4_000_000,), float(progress.epoch))
        save_checkpoint(path, one, progress, RUN)
        print("saved", flush=True)

trainee()  # Imports what an optimizer needs.
for _ in sys.stdin:
    child = os.fork()
    if not child:
        save_forever()
    os.waitpid(child, 0)
    print("killed", flush=True)
"""


def trainee() -> Trainee:
    torch.manual_seed(0)
    model = PatchTSTClassifier(CONFIG, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    schedule = Schedule(optimizer, TrainingConfig(lr=0.1, schedule="one_cycle"), 1000)
    generators = {name: torch.Generator().manual_seed(5) for name in ("shuffle", "augmentation")}
    return Trainee(model, optimizer, schedule, generators, WeightAverage(model, 0.9))


def step(one: Trainee) -> None:
    inputs = (
        torch.randn(2, 3, 10, 10),
        torch.randn(2, 5),
        torch.randn(2, N_STATISTICAL_FEATURES),
        torch.randn(2, 24),
    )
    one.optimizer.zero_grad()
    one.model(*inputs).square().sum().backward()
    one.optimizer.step()
    one.schedule.step()
    one.average.update(one.schedule.n_done)
    torch.randperm(3, generator=one.generators["shuffle"])
    torch.rand(5, generator=one.generators["augmentation"])


@pytest.mark.slow
def test_everything_comes_back(tmp_path):
    one = trainee()
    for _ in range(3):
        step(one)
    best = {name: value.clone() for name, value in one.model.state_dict().items()}
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, one, Progress(3, 2, {"val_loss": 1.25}, "why", [["Mine", {"n": 1}]], best), RUN)
    step(one)
    after, group = one.model.state_dict(), one.optimizer.param_groups[0]

    other = trainee()
    progress = load_checkpoint(path, other, RUN)
    assert (progress.epoch, progress.best_epoch, progress.best) == (3, 2, {"val_loss": 1.25})
    assert (progress.stopped, progress.callbacks) == ("why", [["Mine", {"n": 1}]])
    assert all(torch.equal(progress.best_state[name], best[name]) for name in best)
    step(other)
    for name, value in other.model.state_dict().items():
        assert torch.equal(value, after[name]), name
    for name, value in other.average.state_dict().items():
        assert torch.equal(value, one.average.state_dict()[name]), name
    assert [other.optimizer.param_groups[0][name] for name in ("lr", "betas")] == [
        group["lr"],
        group["betas"],
    ]
    assert other.schedule.n_done == 4
    for name, generator in other.generators.items():
        assert torch.equal(generator.get_state(), one.generators[name].get_state()), name


def test_another_run_is_refused(tmp_path):
    before = Identity({"training.lr": 0.1, "training.epochs": 5, "seed": 0}, {"data": "a", "initial": "b"})
    save_checkpoint(tmp_path / "c", trainee(), Progress(), before)
    now = Identity({"training.lr": 0.2, "training.epochs": 9, "seed": 0}, {"data": "c", "initial": "b"})
    message = r"c: cannot be resumed: training\.lr: 0\.1 in the run, 0\.2 now; data: other values$"
    with pytest.raises(DataError, match=message):
        load_checkpoint(tmp_path / "c", trainee(), now)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"epochs": 8}, ""),
        ({"early_stop_patience": 9}, ""),
        ({"early_stop_patience": 2}, "training.early_stop_patience: 8 in the run, 2 now"),
        ({"epochs": 3}, "training.epochs: 6 in the run, 3 now"),
        ({"schedule": "cosine", "epochs": 8}, "training.schedule_epochs: 6 in the run, 8 now (the rates of"),
        ({"schedule": "cosine", "epochs": 5, "schedule_epochs": 6}, ""),
        ({"amp": "bf16"}, "training.amp: auto in the run, bf16 now"),
        ({"augmentation": {"scale": 0.1}}, "training.augmentation.scale: 0.0 in the run, 0.1 now"),
    ],
)
def test_what_would_have_changed_the_run_so_far_is_refused(changes, problem):
    schedule = changes.get("schedule", "plateau")
    before, now = (
        Identity(settings_of(ExperimentConfig(training={"epochs": 6, "schedule": schedule, **others})))
        for others in ({}, changes)
    )
    found = now.refusals(before, 4)
    assert len(found) == bool(problem)
    assert not problem or found[0].startswith(problem)


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "last.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=r"last\.safetensors: not a checkpoint"):
        load_checkpoint(tmp_path / "last.safetensors", trainee(), RUN)


def test_a_checkpoint_of_another_version_is_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "c", {"progress": json.dumps({"epoch": 1})})
    with pytest.raises(DataError, match="c: was written by another version; it cannot be resumed"):
        load_checkpoint(tmp_path / "c", trainee(), RUN)


@pytest.mark.spawns
@pytest.mark.parametrize("n_kills", [3, pytest.param(30, marks=pytest.mark.study)])
def test_kills_at_random_moments_never_lose_or_damage_the_state(tmp_path, n_kills):
    path = tmp_path / "last.safetensors"
    command = [sys.executable, "-c", SAVERS, str(path), os.path.dirname(__file__)]  # noqa: PTH120
    chance = random.Random(0)  # noqa: S311
    reached = 0
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as savers:
        for _ in range(n_kills):
            print(file=savers.stdin, flush=True)
            child = int(savers.stdout.readline())
            assert savers.stdout.readline() == "saved\n"
            time.sleep(chance.uniform(0.0, 0.2))
            os.kill(child, signal.SIGKILL)
            assert "killed\n" in iter(savers.stdout.readline, "")
            progress = load_checkpoint(path, trainee(), RUN)
            assert progress.epoch > reached
            assert (progress.best_state["large"] == progress.epoch).all()
            reached = progress.epoch
    # A kill may leave one temporary; the next save removes it.
    save_checkpoint(path, trainee(), Progress(), RUN)
    assert [file.name for file in tmp_path.iterdir()] == ["last.safetensors"]
