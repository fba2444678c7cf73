"""Checkpoints: a kill at any moment leaves a whole one, never older than the one before."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import safetensors.torch
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from patchtst_har.config import N_STATISTICAL_FEATURES, ExperimentConfig, ModelConfig, TrainingConfig
from patchtst_har.errors import DataError
from patchtst_har.models import PatchTSTClassifier
from patchtst_har.training.averaging import WeightAverage
from patchtst_har.training.callbacks import Checkpointing, Fit
from patchtst_har.training.checkpoint import (
    Progress,
    Trainee,
    check_resumable,
    load_checkpoint,
    save_checkpoint,
)
from patchtst_har.training.identity import Identity, settings_of
from patchtst_har.training.scheduler import Schedule

RUN = Identity({}, {})
CONFIG = ModelConfig(window_size=100, patch_len=10, d_model=8, n_layers=1, d_ff=8)
LARGE = 1_300_000
"""Numbers of a buffer that is so large that most kills fall into the writing."""

# Imports torch once, and for every line that it is sent starts a process that saves until it is killed.
SAVERS = """
import os
import sys
from pathlib import Path
import torch
sys.path.insert(0, sys.argv[2])
from test_checkpoint import LARGE, RUN, step, trainee
from patchtst_har.training.averaging import WeightAverage
from patchtst_har.training.checkpoint import Progress, load_checkpoint, save_checkpoint
path = Path(sys.argv[1])

def save_forever():
    print(os.getpid(), flush=True)
    one = trainee(LARGE)
    progress = load_checkpoint(path, one, RUN) if path.exists() else Progress()
    while True:
        step(one)
        progress.epoch += 1
        progress.best_state = {name: value.clone() for name, value in one.model.state_dict().items()}
        progress.best_state["large"].fill_(progress.epoch)
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


def trainee(n_more: int = 0) -> Trainee:
    torch.manual_seed(0)
    model = PatchTSTClassifier(CONFIG, 2)
    if n_more:
        model.register_buffer("large", torch.zeros(n_more))
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


def test_what_is_no_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("", "pipe"):
        with pytest.raises(DataError, match="is not a regular file"):
            check_resumable(tmp_path / name, RUN)


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> tuple[dict, dict[str, torch.Tensor]]:
    """Return record and tensors of a checkpoint after an epoch."""
    path, one = tmp_path_factory.mktemp("saved") / "last", trainee()
    step(one)
    best = {name: value.clone() for name, value in one.model.state_dict().items()}
    save_checkpoint(path, one, Progress(1, 1, {"val_loss": 1.25}, "", [["Mine", {"n": 1}]], best), RUN)
    with safe_open(path, framework="pt") as archive:
        return json.loads(archive.metadata()["progress"]), {n: archive.get_tensor(n) for n in archive.keys()}  # noqa: SIM118


def assert_refused(path, record, tensors, problem: str, trained: Trainee | None = None) -> None:
    """Check that one line says why, that the early check says the same, and that nothing was restored."""
    path.write_bytes(safetensors.torch.save(tensors, metadata={"progress": json.dumps(record)}))
    one = trained or trainee()
    before = {name: value.clone() for name, value in one.model.state_dict().items()}
    with pytest.raises(DataError, match=rf"^{re.escape(str(path))}: .*{problem}") as caught:
        load_checkpoint(path, one, RUN)
    assert len(str(caught.value).splitlines()) == 1
    assert all(torch.equal(value, before[name]) for name, value in one.model.state_dict().items())


FIELDS = ["epoch", "best_epoch", "best", "stopped", "callbacks", "schedule"]
FIELDS += ["schedule.n_done", "schedule.n_lowered", "schedule.n_waited", "schedule.best"]
FIELDS += ["identity.settings", "identity.data"]
ODD = ["gone", "x", -1, 1.5, None, [], [["Mine"]], {"n_done": 0}]
FITTING = [("stopped", "x"), ("callbacks", []), ("best", {"n_done": 0}), ("identity.settings", {"n_done": 0})]
FITTING += [("schedule.best", 1.5), ("schedule.best", -1), ("schedule.best", None), ("identity.data", None)]


@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field in FIELDS for value in ODD if (field, value) not in FITTING],
)
@pytest.mark.slow
def test_a_record_without_a_field_or_with_an_odd_one_is_refused(tmp_path, saved, field, value):
    record, tensors = saved
    record = json.loads(json.dumps(record))
    *above, name = field.split(".")
    holder = record[above[0]] if above else record
    if value == "gone":
        del holder[name]
    else:
        holder[name] = value
    assert_refused(tmp_path / "last", record, tensors, field)
    with pytest.raises(DataError, match=field):
        check_resumable(tmp_path / "last", RUN)


@pytest.mark.parametrize(
    "record", [None, 3, "x", [], [1], {}, {"identity": {}}, {"identity": None}, {"epoch": 1}]
)
def test_a_record_of_another_kind_is_refused(tmp_path, saved, record):
    assert_refused(tmp_path / "last", record, saved[1], "")


def test_best_epochs_that_cannot_be_are_refused(tmp_path, saved):
    record, tensors = saved
    for changes in ({"best_epoch": 2}, {"best_epoch": 0}, {"best": {}}):
        assert_refused(tmp_path / "last", {**record, **changes}, tensors, "the best epoch is none")


def test_more_epochs_than_the_training_has_are_refused(tmp_path):
    path, run = tmp_path / "last", Identity({"training.epochs": 6}, {})
    save_checkpoint(path, trainee(), Progress(7, 1, {"val_loss": 1.25}), run)
    with pytest.raises(DataError, match="last: not a checkpoint: progress: epoch: 7, the training has 6"):
        check_resumable(path, run)


WEIGHT = "head.norm.bias"


@pytest.mark.parametrize(
    "name", [f"{part}/{WEIGHT}" for part in ("model", "average", "best")] + ["optimizer/0/exp_avg"]
)
@pytest.mark.slow
def test_tensors_that_are_missing_or_of_another_form_are_refused(tmp_path, saved, name):
    record, tensors = saved
    path, whole = tmp_path / "last", tensors[name]
    without = {other: values for other, values in tensors.items() if other != name}
    assert_refused(path, record, without, f"lacks {name}")
    assert_refused(
        path, record, {**tensors, name: whole[:1].clone()}, rf"{name} is float32 of shape \[1.*needed is"
    )
    assert_refused(path, record, {**tensors, name: whole.double()}, f"{name} is float64 of shape")
    assert_refused(path, record, {**without, f"{name}.other": whole}, f"lacks {name}")
    assert_refused(
        path, record, {**tensors, f"{name}.other": whole.clone()}, f"holds {name}.other, which this training"
    )
    assert_refused(
        path, record, {**tensors, name: torch.full_like(whole, torch.nan)}, f"{name} has values that are not"
    )


def test_moments_that_cannot_be_are_refused(tmp_path, saved):
    record, tensors = saved
    for name in ("optimizer/0/step", "optimizer/0/exp_avg_sq"):
        assert_refused(
            tmp_path / "last", record, {**tensors, name: -tensors[name] - 1}, f"{name} has negative"
        )
    for name in ("optimizer/x/step", "optimizer/99999/step", "optimizer/0", "other"):
        assert_refused(tmp_path / "last", record, {**tensors, name: torch.zeros(())}, f"holds {name}, which")


@pytest.mark.parametrize("name", ["random/shuffle", "random/cpu/0"])
def test_states_of_generators_that_are_none_are_refused(tmp_path, saved, name):
    record, tensors = saved
    path, state = tmp_path / "last", tensors[name]
    without = {other: values for other, values in tensors.items() if other != name}
    assert_refused(path, record, without, f"lacks {name}")
    assert_refused(path, record, {**tensors, name: state[:100].clone()}, f"{name} is uint8 of shape")
    assert_refused(
        path,
        record,
        {**tensors, name: torch.full_like(state, 255)},
        f"{name} is no state of a random generator \\(Invalid",
    )
    state = state.clone()
    state[-1] += 1
    assert_refused(path, record, {**tensors, name: state}, f"{name} is no state of a random generator$")


def test_a_scaler_without_its_numbers_is_refused(tmp_path, saved):
    record, tensors = saved
    one = replace(trainee(), scaler=torch.amp.GradScaler("cpu"))
    needed = one.scaler.state_dict()
    assert_refused(tmp_path / "last", record, tensors, "scaler: needs scale, ", one)
    assert_refused(
        tmp_path / "last", {**record, "scaler": {"scale": 1.0}}, tensors, "scaler: needs scale, ", one
    )
    odd = {**record, "scaler": {**needed, "scale": "x"}}
    assert_refused(tmp_path / "last", odd, tensors, "scaler.scale", one)
    path = tmp_path / "fits"
    path.write_bytes(
        safetensors.torch.save(tensors, metadata={"progress": json.dumps({**record, "scaler": needed})})
    )
    assert load_checkpoint(path, one, RUN).epoch == 1


@pytest.mark.parametrize(
    ("best", "problem"),
    [
        ({}, "train_loss of the best epoch"),
        ({"train_loss": 1.0}, "val_loss of the best epoch"),
        ({"train_loss": 1.0, "val_loss": 0.5}, "val_macro_f1 of the best epoch"),
        ({"train_loss": 1.0, "val_macro_f1": 0.5, "val_loss": 1.0}, "the weights of the best epoch"),
    ],
)
def test_a_best_epoch_that_is_not_whole_is_refused(tmp_path, best, problem):
    path, one = tmp_path / "last", trainee()
    progress = Progress(1, int(bool(best)), best)
    save_checkpoint(path, one, progress, RUN)
    fit = Fit(TrainingConfig(monitor="val_loss", keep="best"), trainee())
    with pytest.raises(DataError, match=f"last: lacks {problem}"):
        Checkpointing(path, RUN, resume=True).on_train_begin(fit)


def test_a_run_in_which_nobody_validates_needs_no_best_weights(tmp_path):
    path, fit = tmp_path / "last", Fit(TrainingConfig(keep="last"), trainee(), validates=False)
    save_checkpoint(path, trainee(), Progress(1, 1, {"train_loss": 1.0}), RUN)
    Checkpointing(path, RUN, resume=True).on_train_begin(fit)
    assert fit.epoch == 1
    fit = Fit(TrainingConfig(keep="last"), trainee())
    with pytest.raises(DataError, match="last: lacks val_macro_f1 of the best epoch"):
        Checkpointing(path, RUN, resume=True).on_train_begin(fit)


@pytest.mark.parametrize("state", [{"best": float("inf")}, {"seen": torch.zeros(1)}, {"many": 2**70}])
def test_a_state_of_a_callback_that_could_not_be_read_back_is_refused_when_it_is_saved(tmp_path, state):
    with pytest.raises(DataError, match="last: Mine has a state that is not of JSON values"):
        save_checkpoint(tmp_path / "last", trainee(), Progress(callbacks=[["Mine", state]]), RUN)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("old", ["x", None, [1], {"a": 1}])
@pytest.mark.parametrize("name", ["training.epochs", "training.early_stop_patience"])
def test_settings_of_another_type_are_named(tmp_path, saved, name, old):
    record, tensors = saved
    record = {**record, "identity": {"settings": {name: old}, "data": {}}}
    path = tmp_path / "last"
    path.write_bytes(safetensors.torch.save(tensors, metadata={"progress": json.dumps(record)}))
    if name == "training.epochs":
        assert check_resumable(path, Identity({name: 5}, {})) == 1
        return
    with pytest.raises(DataError, match=rf"{name}: .* in the run, 5 now"):
        check_resumable(path, Identity({name: 5}, {}))


def test_settings_that_differ_are_cut_where_they_are_many(tmp_path, saved):
    record, tensors = saved
    settings = {f"setting {number}": "x" * 3000 for number in range(20)}
    record = {**record, "identity": {"settings": settings, "data": {"y" * 9000: "z"}}}
    assert_refused(
        tmp_path / "last", record, tensors, "cannot be resumed: setting 0: x+ in the run, not known now"
    )
    with pytest.raises(DataError) as caught:
        check_resumable(tmp_path / "last", RUN)
    assert len(str(caught.value)) < 5000


@pytest.mark.spawns
@pytest.mark.parametrize(
    "n_kills", [pytest.param(3, marks=pytest.mark.long), pytest.param(30, marks=pytest.mark.study)]
)
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
            progress = load_checkpoint(path, trainee(LARGE), RUN)
            assert progress.epoch > reached
            assert (progress.best_state["large"] == progress.epoch).all()
            reached = progress.epoch
    # A kill may leave one temporary; the next save removes it.
    save_checkpoint(path, trainee(), Progress(), RUN)
    assert [file.name for file in tmp_path.iterdir()] == ["last.safetensors"]


def test_a_type_of_which_torch_cannot_say_what_is_finite_is_refused(tmp_path, saved):
    record, tensors = saved
    name = "model/head.norm.bias"
    odd = {**tensors, name: tensors[name].to(torch.float8_e4m3fn)}
    assert_refused(tmp_path / "last", record, odd, f"{name} is float8_e4m3fn of shape .*no checkpoint has")
