"""What the loop does around its steps: callbacks, what is monitored, parts of a batch, precision."""

import json
import math
from functools import partial

import numpy as np
import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from experiments import small_config
from patchtst_har.config import ModelConfig, SmoothingConfig, TrainingConfig
from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.datasets.training_set import TrainingSet
from patchtst_har.errors import ConfigError, DataError
from patchtst_har.models import PatchTSTClassifier
from patchtst_har.training import Callback, PatchTSTTrainer, machine
from patchtst_har.training.batches import TrainingBatches
from patchtst_har.training.callbacks import Checkpointing
from patchtst_har.training.checkpoint import Trainee
from patchtst_har.training.identity import Identity
from patchtst_har.training.loop import TrainingLoop, parts_of
from patchtst_har.training.machine import Machine
from patchtst_har.training.monitor import is_better

TINY = ModelConfig(window_size=100, patch_len=10, d_model=8, n_layers=1, d_ff=8, n_topo_features=0, dropout=0)
RUN = Identity({}, {})
CPU = Machine(torch.device("cpu"))


def features_of(n: int, seed: int = 0) -> FeatureSet:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    return FeatureSet(
        windows=(rng.normal(size=(n, 100, 3)) + labels[:, None, None]).astype(np.float32),
        times=np.zeros((n, 5), np.float32),
        stats=rng.normal(size=(n, TINY.n_stat_features)).astype(np.float32),
        topo=np.zeros((n, 0), np.float32),
        topo_engines=np.full(n, "none"),
        labels=labels,
        participants=np.full(n, "P01"),
        start_ns=np.arange(n) * 1_000_000_000,
        classes=("a", "b", "c"),
    )


class Story(Callback):
    """Writes down what it is told; `scores` are put in place of the validation's macro F1."""

    def __init__(self, scores=()) -> None:
        self.scores, self.events, self.metrics, self.rates = scores, [], [], []

    def on_train_begin(self, fit):
        self.events.append("begin")

    def on_epoch_begin(self, fit):
        self.events.append(f"epoch {fit.epoch + 1}")

    def on_validation_end(self, fit):
        self.events.append("validated")
        if self.scores:
            fit.metrics["val"]["macro_f1"] = self.scores[fit.epoch]

    def on_epoch_end(self, fit):
        self.events.append(f"end {fit.epoch}")
        self.metrics.append(fit.metrics)
        self.rates.append(fit.trainee.optimizer.param_groups[0]["lr"])

    def on_checkpoint(self, fit, path):
        self.events.append(f"saved {path.name}")

    def on_train_end(self, fit):
        self.events.append("done")


def fit(config: TrainingConfig, *callbacks: Callback, n: int = 24, model: ModelConfig = TINY, where=CPU):
    torch.manual_seed(0)
    network = PatchTSTClassifier(model, 3)
    data = TrainingSet.of(features_of(n), 100.0)
    progress = TrainingLoop(config, where).fit(network, data, features_of(12, seed=1), callbacks)
    return network, progress


def test_callbacks_are_called_in_order(tmp_path):
    story = Story()
    fit(TrainingConfig(epochs=2), story, Checkpointing(tmp_path / "last", RUN))
    epochs = [
        event
        for number in (1, 2)
        for event in (f"epoch {number}", "validated", f"end {number}", "saved last")
    ]
    assert story.events == ["begin", *epochs, "done"]


@pytest.mark.trains
def test_a_trainer_calls_back_before_it_records(prepared, tmp_path):
    class Mine(Callback):
        def on_validation_end(self, fit):
            fit.metrics["val"]["my_score"] = 0.25 * (fit.epoch + 1)

        def on_epoch_end(self, fit):
            if fit.epoch == 2:
                fit.stop("enough")

    config = small_config(prepared, output_dir=tmp_path, smoothing=SmoothingConfig(method="none"))
    PatchTSTTrainer(config, callbacks=[Mine()]).train()
    lines = [json.loads(line) for line in (config.run_dir / "metrics.jsonl").read_text().splitlines()]
    assert [line["metrics"]["my_score"] for line in lines if line["phase"] == "val"] == [0.25, 0.5]
    assert "stopped after epoch 2: enough" in (config.run_dir / "training.log").read_text()


class Counting(Callback):
    """Stops after its third epoch, and remembers how many there were."""

    def __init__(self) -> None:
        self.n = 0

    def on_epoch_end(self, fit):
        self.n += 1
        if self.n == 3:
            fit.stop("three")

    def state_dict(self):
        return {"n": self.n}

    def load_state_dict(self, state):
        self.n = state["n"]


class Interrupt(Callback):
    def on_checkpoint(self, fit, path):
        raise KeyboardInterrupt


@pytest.mark.slow
def test_the_state_of_a_callback_comes_back(tmp_path):
    path, config = tmp_path / "last", TrainingConfig(epochs=9, keep="last")
    with pytest.raises(KeyboardInterrupt):
        fit(config, Counting(), Checkpointing(path, RUN), Interrupt())
    _, progress = fit(config, Counting(), Checkpointing(path, RUN, resume=True))
    assert (progress.epoch, progress.stopped) == (3, "three")
    _, progress = fit(config, Counting(), Checkpointing(path, RUN, resume=True))
    assert progress.epoch == 3, "what was stopped stays stopped"
    with pytest.raises(DataError, match="callbacks with a state: Counting in the run, none now"):
        fit(config, Checkpointing(path, RUN, resume=True))


@pytest.mark.parametrize(
    ("monitor", "best"),
    [("val_macro_f1", 2), ("val_accuracy", 1), ("val_loss", 3), ("train_loss", 1), ("train_accuracy", 3)],
)
@pytest.mark.slow
def test_the_best_epoch_is_that_of_any_metric(monitor, best):
    found = {"train": [(0.1, 0.2), (0.2, 0.1), (0.3, 0.5)], "val": [(0.5, 0.9), (0.4, 0.8), (0.3, 0.7)]}

    class Given(Story):
        def on_validation_end(self, fit):
            for phase, epochs in found.items():
                loss, accuracy = epochs[fit.epoch]
                fit.metrics[phase] |= {"loss": loss, "accuracy": accuracy}
            fit.metrics["val"]["macro_f1"] = [0.1, 0.3, 0.2][fit.epoch]

    _, progress = fit(TrainingConfig(epochs=3, monitor=monitor), Given())
    assert progress.best_epoch == best
    assert progress.best["val_macro_f1"] == [0.1, 0.3, 0.2][best - 1]


def test_ties_go_to_the_lower_loss():
    one, other = {"val_macro_f1": 0.5, "val_loss": 0.2}, {"val_macro_f1": 0.5, "val_loss": 0.3}
    assert is_better(one, other, "val_macro_f1")
    assert not is_better(other, one, "val_macro_f1")
    assert is_better(other, {}, "val_macro_f1")


def test_training_stops_when_what_is_monitored_does_not_improve():
    scores = [0.5, 0.6, 0.4, 0.6, 0.1, 0.9]
    config = TrainingConfig(epochs=6, early_stop_patience=2, monitor="val_loss")

    class Given(Story):
        def on_validation_end(self, fit):
            fit.metrics["val"]["loss"] = 1 - scores[fit.epoch]

    _, progress = fit(config, Given())
    assert (progress.epoch, progress.best_epoch) == (4, 2)
    assert progress.stopped == "no better val_loss since epoch 2"


def test_a_plateau_lowers_the_rate_as_torch_does():
    scores = [0.1, 0.3, 0.2, 0.3, 0.3, 0.2, 0.4, 0.1, 0.1, 0.5]
    config = TrainingConfig(
        epochs=10, keep="last", schedule="plateau", plateau_patience=2, plateau_factor=0.3, lr=0.01
    )
    story = Story(scores)
    fit(config, story)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, "max", factor=0.3, patience=1, threshold=0
    )
    expected = []
    for score in scores:
        plateau.step(score)
        expected.append(optimizer.param_groups[0]["lr"])
    # The callback of the test is called after the one that lowers the rate.
    assert story.rates == pytest.approx(expected)


@pytest.mark.parametrize(
    "settings", [{}, {"loss": "focal"}, {"class_weights": "none", "label_smoothing": 0.1}]
)
@pytest.mark.slow
def test_accumulated_parts_make_the_step_of_the_whole_batch(settings):
    whole, parts, networks = Story(), Story(), []
    for n, story in ((1, whole), (3, parts)):
        config = TrainingConfig(epochs=2, keep="last", batch_size=10, accumulation=n, **settings)
        networks.append(fit(config, story)[0].state_dict())
    for name, one in networks[0].items():
        torch.testing.assert_close(networks[1][name], one, rtol=1e-4, atol=2e-6, msg=name)
    for one, other in zip(whole.metrics, parts.metrics, strict=True):
        for name in ("loss", "accuracy", "macro_f1", "lr"):
            assert other["train"][name] == pytest.approx(one["train"][name], rel=1e-5)


def test_a_batch_is_divided_without_loss():
    data = TrainingSet.of(features_of(10), 100.0)
    batches = TrainingBatches(data, TINY, TrainingConfig(batch_size=10), CPU.device, 0)
    (batch,) = batches.epoch()
    parts = list(parts_of(batch, 4))
    assert [len(part.labels) for part in parts] == [3, 3, 2, 2]
    assert torch.equal(torch.cat([part.labels for part in parts]), batch.labels)
    assert torch.equal(torch.cat([part.inputs[2] for part in parts]), batch.inputs[2])
    assert len(list(parts_of(batch, 64))) == 10
    assert list(parts_of(batch, 1)) == [batch]


def test_a_scaler_leaves_out_a_step_that_overflows():
    weight = torch.nn.Linear(1, 1, bias=False)
    before = weight.weight.item()
    optimizer = torch.optim.SGD(weight.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)

    class Steps:
        n_done = 0

        def step(self):
            self.n_done += 1

    trainee = Trainee(weight, optimizer, Steps(), {}, scaler=scaler)
    trainee.backward(weight(torch.tensor([[3e38]])).sum() * 10)
    trainee.step(1.0)
    assert weight.weight.item() == before
    assert scaler.get_scale() == 2.0
    optimizer.zero_grad()
    trainee.backward(weight(torch.tensor([[0.5]])).sum())
    trainee.step(1.0)
    assert weight.weight.item() == pytest.approx(before - 0.1 * 0.5)
    assert trainee.schedule.n_done == 2


@pytest.mark.skipif(not machine.has_bfloat16(), reason="the processor has no bfloat16 instructions")
@pytest.mark.slow
def test_bfloat16_on_the_cpu_learns_in_float32():
    config = TrainingConfig(epochs=6, lr=0.01, keep="last", amp="bf16")
    seen = []

    class Look(Callback):
        def on_train_begin(self, fit):
            fit.model.head.project.register_forward_hook(lambda *arguments: seen.append(arguments[2].dtype))

        def on_epoch_end(self, fit):
            self.accuracy = fit.metrics["val"]["accuracy"]

    look = Look()
    network, _ = fit(config, look, n=60, where=Machine.of(config))
    assert set(seen) == {torch.bfloat16}
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert look.accuracy > 0.9


def test_what_the_machine_cannot_do_is_refused_all_at_once(monkeypatch):
    monkeypatch.setattr(machine, "has_bfloat16", lambda: False)
    monkeypatch.setenv("CXX", "no-such-compiler")
    config = TrainingConfig(device="cpu", amp="bf16", compile=True)
    with pytest.raises(ConfigError) as caught:
        Machine.of(config, ["data.val_n: nobody"])
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "data.val_n",
        "training.amp",
        "training.compile",
    ]
    assert "no bfloat16 instructions" in str(caught.value)
    assert "'no-such-compiler' is not found" in str(caught.value)
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match=r'training\.amp: "fp16" needs CUDA'):
            Machine.of(TrainingConfig(amp="fp16"))
        with pytest.raises(ConfigError, match=r"data\.val_n: nobody"):
            Machine.of(TrainingConfig(device="cuda"), ["data.val_n: nobody"])
    assert Machine.of(TrainingConfig(device="cpu")) == CPU


@pytest.mark.trains
def test_a_captured_step_learns_the_same_from_batches_of_any_size(monkeypatch):
    """What torch.compile does before its code generator, which takes most of a minute, is done once."""
    captured = CompileCounterWithBackend("aot_eager")
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=captured))
    assert_alike_with(TrainingConfig(epochs=2, keep="last", compile=True, batch_size=10))
    assert captured.frame_count == 1


@pytest.mark.study
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_compiled_step_learns_the_same():
    assert_alike_with(TrainingConfig(epochs=2, keep="last", compile=True))


def assert_alike_with(config: TrainingConfig) -> None:
    plain, compiled = Story(), Story()
    fit(config.replace(compile=False), plain)
    fit(config, compiled)
    for one, other in zip(plain.metrics, compiled.metrics, strict=True):
        assert math.isclose(other["train"]["loss"], one["train"]["loss"], rel_tol=1e-4)
