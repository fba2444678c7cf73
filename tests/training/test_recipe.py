"""What a recipe of training does: groups of decay, averaged weights, what is kept, teachers, windows."""

import json
import logging
import math

import numpy as np
import pytest
import torch
import yaml

from experiments import small_config
from patchtst_har.config import DataConfig, ModelConfig, SmoothingConfig, TrainingConfig
from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.datasets.training_set import TrainingSet
from patchtst_har.errors import ConfigError, DataError, ModelFolderError
from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.models import PatchTSTClassifier
from patchtst_har.models.folder import load_model
from patchtst_har.reports.run import render_report
from patchtst_har.training import PatchTSTTrainer
from patchtst_har.training.averaging import WeightAverage
from patchtst_har.training.batches import TrainingBatches
from patchtst_har.training.callbacks import Callback
from patchtst_har.training.experiment import ExperimentData
from patchtst_har.training.loop import TrainingLoop, adamw, new_trainee
from patchtst_har.training.machine import Machine

TINY = ModelConfig(window_size=100, patch_len=10, d_model=8, n_layers=1, d_ff=8, n_topo_features=0)
CPU = torch.device("cpu")

RECIPE = {
    "schedule": "one_cycle",
    "keep": "last",
    "decay": "matrices",
    "class_weights": "root",
    "ema_decay": 0.9,
    "label_smoothing": 0.1,
    "epoch_fraction": 0.6,
    "hop_s": 2.5,
    "lr": 3e-3,
    "augmentation": {
        "time_warp": 0.02,
        "shift_s": 1.0,
        "rotation_deg": 12,
        "forearm_rotation_deg": 10,
        "octahedral": 0.1,
        "reversed": 0.1,
        "scale": 0.03,
        "axis_scale": 0.02,
        "offset_g": 0.03,
        "jitter_g": 0.02,
        "clip_2g": 0.2,
        "low_rate": 0.2,
    },
}


def features_of(n: int, size: int = 100, seed: int = 0) -> FeatureSet:
    rng = np.random.default_rng(seed)
    return FeatureSet(
        windows=rng.normal(size=(n, size, 3)).astype(np.float32),
        times=np.zeros((n, 5), np.float32),
        stats=rng.normal(size=(n, TINY.n_stat_features)).astype(np.float32),
        topo=np.zeros((n, 0), np.float32),
        topo_engines=np.full(n, "none"),
        labels=rng.integers(0, 2, n),
        participants=np.full(n, "P01"),
        start_ns=np.arange(n) * 1_000_000_000,
        classes=("a", "b"),
    )


def batches_of(n: int, seed: int = 0, **training) -> TrainingBatches:
    config = TrainingConfig(**training)
    return TrainingBatches(TrainingSet.of(features_of(n), 100.0), TINY, config, CPU, seed)


def test_all_parameters_decay_or_only_those_of_two_dimensions():
    model = PatchTSTClassifier(TINY, 2)
    (group,) = adamw(model, TrainingConfig(weight_decay=0.3)).param_groups
    assert len(group["params"]) == len(list(model.parameters()))
    assert group["weight_decay"] == 0.3
    optimizer = adamw(model, TrainingConfig(weight_decay=0.3, decay="matrices", betas=(0.8, 0.95), lr=0.5))
    decays = {id(part): group["weight_decay"] for group in optimizer.param_groups for part in group["params"]}
    for name, parameter in model.named_parameters():
        assert decays[id(parameter)] == (0.3 if parameter.ndim >= 2 else 0.0), name
    assert {group["betas"] for group in optimizer.param_groups} == {(0.8, 0.95)}
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_averages_are_those_of_a_hand_computation():
    model = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.BatchNorm1d(1))
    average = WeightAverage(model, 0.75)
    values, expected = [3.0, -1.0, 4.0, 2.0], 0.0
    with torch.no_grad():
        model[0].weight.zero_()
    average.load_state_dict(model.state_dict())
    for n, value in enumerate(values, start=1):
        with torch.no_grad():
            model[0].weight.fill_(value)
            model[1].running_mean.fill_(10 * value)
            model[1].num_batches_tracked.fill_(n)
        average.update(n)
        decay = min(0.75, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * value
    assert decay < 0.75
    assert average.state_dict()["0.weight"].item() == pytest.approx(expected)
    assert average.state_dict()["1.running_mean"].item() == pytest.approx(10 * expected)
    assert average.state_dict()["1.num_batches_tracked"].item() == 4
    average.update(1000)
    assert average.state_dict()["0.weight"].item() == pytest.approx(0.75 * expected + 0.25 * 2.0)
    with average.in_model():
        assert model[0].weight.item() == average.state_dict()["0.weight"].item()
        assert model[1].running_mean.item() == average.state_dict()["1.running_mean"].item()
    assert (model[0].weight.item(), model[1].running_mean.item()) == (2.0, 20.0)


@pytest.mark.parametrize(
    ("n", "size", "fraction", "sizes"),
    [
        (10, 4, 1.0, [4, 4, 2]),
        (9, 4, 1.0, [4, 4, 1]),
        (8, 4, 1.0, [4, 4]),
        (1, 4, 1.0, [1]),
        (3, 4, 1.0, [3]),
        (9, 4, 0.5, [4, 1]),
        (9, 4, 0.6, [4, 2]),
        (3, 1, 1.0, [1, 1, 1]),
    ],
)
def test_an_epoch_has_each_window_at_most_once(n, size, fraction, sizes):
    batches = batches_of(n, batch_size=size, epoch_fraction=fraction)
    assert len(batches) == len(sizes)
    found = list(batches.epoch())
    assert [len(batch.labels) for batch in found] == sizes
    windows = torch.cat([batch.inputs[0] for batch in found])
    assert (
        len({tuple(window.flatten()[:9].tolist()) for window in windows}) == sum(sizes) == batches.n_windows
    )


def test_a_small_set_is_gone_through_evenly_until_an_epoch_is_long_enough():
    batches = batches_of(10, batch_size=8, epoch_fraction=0.5, min_epoch_windows=25)
    found = list(batches.epoch())
    assert [len(batch.labels) for batch in found] == [8, 8, 8, 1]
    assert len(batches) == 4
    rows = [tuple(window.flatten()[:9].tolist()) for batch in found for window in batch.inputs[0]]
    assert sorted(rows.count(row) for row in set(rows)) == [2] * 5 + [3] * 5
    assert len(set(rows[:10])) == len(set(rows[10:20])) == 10


def test_another_part_of_the_windows_is_drawn_in_every_epoch():
    batches = batches_of(200, epoch_fraction=0.5)
    first, second = (
        {tuple(row.flatten()[:6].tolist()) for batch in batches.epoch() for row in batch.inputs[0]}
        for _ in range(2)
    )
    assert len(first) == len(second) == 100
    assert 25 < len(first & second) < 75


def test_batches_repeat_from_the_states_of_their_generators():
    settings = {"augmentation": RECIPE["augmentation"] | {"shift_s": 0, "time_warp": 0}}
    one, other = batches_of(64, seed=3, **settings), batches_of(64, seed=4, **settings)
    list(one.epoch())
    for name, generator in one.generators.items():
        other.generators[name].set_state(generator.get_state())
    for left, right in zip(one.epoch(), other.epoch(), strict=True):
        assert torch.equal(left.labels, right.labels)
        assert all(torch.equal(a, b) for a, b in zip(left.inputs, right.inputs, strict=True))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA: no device")
def test_a_device_gets_the_same_batches():
    data = TrainingSet.of(features_of(64), 100.0)
    config = TrainingConfig(augmentation=RECIPE["augmentation"])
    here, there = (TrainingBatches(data, TINY, config, torch.device(name), 0) for name in ("cpu", "cuda"))
    for left, right in zip(here.epoch(), there.epoch(), strict=True):
        assert right.inputs[0].device.type == "cuda"
        torch.testing.assert_close(right.inputs[0].cpu(), left.inputs[0], rtol=1e-3, atol=1e-3)
        assert torch.equal(right.labels, left.labels)


def test_the_rows_of_a_batch_belong_together():
    features = features_of(50)
    data = TrainingSet.of(features, 100.0)
    for batch in TrainingBatches(data, TINY, TrainingConfig(), CPU, 0).epoch():
        windows = batch.inputs[0].transpose(1, 2).transpose(2, 3).reshape(-1, 100, 3).numpy()
        rows = [int(np.flatnonzero((features.windows == window).all(axis=(1, 2)))[0]) for window in windows]
        np.testing.assert_array_equal(features.labels[rows], batch.labels)
        np.testing.assert_array_equal(features.stats[rows], batch.inputs[2])


def test_keeping_the_best_epoch_needs_somebody_who_validates():
    loop = TrainingLoop(TrainingConfig(), Machine(CPU))
    with pytest.raises(ValueError, match=r'training\.keep must be "last"'):
        loop.fit(PatchTSTClassifier(TINY, 2), TrainingSet.of(features_of(4), 100.0), None)


@pytest.mark.trains
@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_auxiliary_heads_learn_by_their_weight(weight):
    config = TINY.replace(features_as="branch", auxiliary_heads=True)
    model = PatchTSTClassifier(config, 2)
    heads = [model.head.encoder.bias, model.head.branch.bias, model.head.project.bias]
    before = [head.detach().clone() for head in heads]
    training = TrainingConfig(epochs=1, keep="last", auxiliary_weight=weight, weight_decay=0.0)
    data = TrainingSet.of(features_of(20), 100.0)
    TrainingLoop(training, Machine(CPU)).fit(model, data, None)
    learned = [not torch.equal(head, old) for head, old in zip(heads, before, strict=True)]
    assert learned == [weight > 0, weight > 0, True]


def test_the_mean_of_all_heads_takes_the_joint_head_s_place():
    model = PatchTSTClassifier(TINY.replace(features_as="branch", auxiliary_heads=True), 2).eval()
    inputs = tuple(map(torch.from_numpy, features_of(5).select(slice(None), model.config)))
    with torch.no_grad():
        heads = [logits.softmax(dim=1).log() for logits in model.all_logits(*inputs)]
        model.head.average_heads()
        averaged = model(*inputs).softmax(dim=1)
    assert len(heads) == 3
    torch.testing.assert_close(averaged, (sum(heads) / 3).softmax(dim=1))
    with pytest.raises(ValueError, match="no auxiliary heads"):
        PatchTSTClassifier(TINY, 2).head.average_heads()


@pytest.mark.trains
def test_the_last_weights_are_averages_and_are_what_was_validated():
    recorded = []
    model = PatchTSTClassifier(TINY, 2)
    config = TrainingConfig(epochs=3, keep="last", ema_decay=0.8, lr=0.05)
    val = features_of(40, seed=1)
    loop = TrainingLoop(config, Machine(CPU))
    data = TrainingSet.of(features_of(60), 100.0)

    class Recording(Callback):
        def on_epoch_end(self, fit) -> None:
            recorded.append(fit.metrics["val"])

    progress = loop.fit(model, data, val, [Recording()])
    assert (progress.epoch, progress.best_epoch, progress.best_state) == (3, 3, {})
    assert progress.best["val_macro_f1"] == recorded[-1]["macro_f1"]
    logits = model.eval()(*map(torch.from_numpy, val.select(slice(None), TINY)))
    right = (logits.argmax(1).numpy() == val.labels).mean()
    assert right == pytest.approx(recorded[-1]["accuracy"])


def lists(prepared, train=("P01", "P02", "P03"), **others) -> DataConfig:
    return DataConfig(proc_dir=prepared / "prepared", split="lists", train_participants=train, **others)


@pytest.mark.trains
def test_a_whole_recipe_learns_and_resumes_as_if_uninterrupted(prepared, tmp_path):
    def config(name):
        return small_config(
            prepared,
            output_dir=tmp_path,
            experiment_name=name,
            data=lists(prepared, test_participants=("P05", "P06")),
            training=TrainingConfig(epochs=4, **RECIPE),
            smoothing=SmoothingConfig(method="none"),
        )

    def interrupt(done, total, what):
        if what == "training" and done == 2:
            raise KeyboardInterrupt

    trainer = PatchTSTTrainer(config("whole"))
    model, metrics = trainer.train()
    assert metrics["final_macro_f1"] > 0.9
    assert metrics["best_epoch"] == 4
    assert "best_val_macro_f1" not in metrics
    assert len(trainer.data.training) > 3 * len(trainer.data.train)
    with pytest.raises(KeyboardInterrupt):
        PatchTSTTrainer(config("cut"), on_progress=interrupt).train()
    resumed, _ = PatchTSTTrainer(config("cut"), resume=True).train()
    for name, value in model.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
    stored, _, of_model = load_model(config("whole").run_dir / "model")
    assert of_model.training == config("whole").training
    assert all(torch.equal(stored.state_dict()[name], value) for name, value in model.state_dict().items())


@pytest.mark.trains
def test_a_run_keeps_the_mean_of_all_heads_where_the_configuration_says_so(prepared, tmp_path):
    def trained(heads):
        config = small_config(
            prepared,
            output_dir=tmp_path,
            experiment_name=heads,
            data=lists(prepared),
            model={"features_as": "branch", "auxiliary_heads": True},
            training=TrainingConfig(epochs=1, keep="last", heads=heads, calibrate=False),
            smoothing=SmoothingConfig(method="none"),
        )
        return PatchTSTTrainer(config).train()[0].state_dict()

    joint, every = trained("joint"), trained("all")
    differing = [name for name in joint if not torch.equal(joint[name], every[name])]
    assert differing == ["head.project.weight", "head.project.bias"]
    others = torch.cat([joint["head.encoder.weight"], joint["head.branch.weight"]], dim=1)
    torch.testing.assert_close(every["head.project.weight"], (joint["head.project.weight"] + others) / 3)


@pytest.mark.draws
@pytest.mark.trains
def test_nobody_needs_to_validate_or_to_test(prepared, tmp_path, caplog):
    config = small_config(
        prepared,
        output_dir=tmp_path,
        data=lists(prepared, train=("P01", "P02")),
        training=TrainingConfig(epochs=1, keep="last", lr=3e-3),
        smoothing=SmoothingConfig(method="none"),
    )
    with caplog.at_level(logging.WARNING, logger="patchtst_har"):
        trainer = PatchTSTTrainer(config)
        _, metrics = trainer.train()
    assert metrics == {"best_epoch": 1.0}
    assert "nobody tests or validates" in caplog.text
    assert trainer.data.val is None
    assert set(trainer.judged.participants) == {"P01", "P02"}
    lines = [json.loads(line) for line in (config.run_dir / "metrics.jsonl").read_text().splitlines()]
    assert [line["phase"] for line in lines] == ["train"]
    provenance = json.loads((config.run_dir / "model" / "provenance.json").read_text())
    assert provenance["n_windows"]["val"] == 0
    assert provenance["split"]["val"] == []
    card = (config.run_dir / "model" / "MODEL_CARD.md").read_text()
    assert "## No scores" in card
    assert "nobody was left to validate or test on" in " ".join(card.split())
    summary = yaml.safe_load((config.run_dir / "experiment_summary.yaml").read_text())
    assert summary["final_metrics"]["best_epoch"] == 1
    assert Recognizer.from_pretrained(config.run_dir / "model").smoothing == "none"
    with pytest.raises(ModelFolderError, match=r"smooth"):
        Recognizer.from_pretrained(config.run_dir / "model", smoothing="hmm")
    page = render_report(config.run_dir).read_text()
    assert "Training, epoch by epoch. The weights of the last epoch are kept." in page


@pytest.mark.parametrize(
    ("data", "keep", "method", "field"),
    [
        ({"split": "lists", "train_participants": ("P01",)}, "best", "none", "val_participants"),
        ({"split": "lists", "train_participants": ("P01",)}, "last", "auto", "val_participants"),
        ({"split": "kfold", "val_n": 0}, "last", "viterbi", "val_n"),
        ({"val_n": 0}, "best", "none", "val_n"),
    ],
)
def test_nobody_to_validate_is_refused_where_somebody_is_needed(
    prepared, tmp_path, data, keep, method, field
):
    config = small_config(
        prepared,
        output_dir=tmp_path,
        data=DataConfig(proc_dir=prepared / "prepared", **data),
        training=TrainingConfig(keep=keep),
        smoothing=SmoothingConfig(method=method),
    )
    with pytest.raises(ConfigError, match=rf"^data\.{field}: nobody validates, which needs training\.keep"):
        PatchTSTTrainer(config).train()
    assert not list(tmp_path.iterdir())


def test_folds_without_validation_train_on_all_others(prepared):
    data = DataConfig(proc_dir=prepared / "prepared", split="kfold", n_folds=3, val_n=0)
    config = small_config(
        prepared, data=data, training=TrainingConfig(keep="last"), smoothing=SmoothingConfig(method="none")
    )
    loaded = ExperimentData.load(config)
    assert (len(loaded.split.train), len(loaded.split.val), len(loaded.split.test)) == (4, 0, 2)
    assert loaded.val is None


def test_the_identity_of_a_run_covers_what_is_trained_on(prepared, small_run):
    base = small_config(prepared)
    prints = set()
    variants = [
        base,
        base.replace(training=base.training.replace(hop_s=5.0)),
        base.replace(training=base.training.replace(augmentation={"octahedral": 0.5})),
        base.replace(training=base.training.replace(ema_decay=0.5)),
    ]
    for config in variants:
        prints.add(str(ExperimentData.load(config).identity(config)))
    taught = base.replace(training=base.training.replace(teachers=(small_run.folder / "model",)))
    data = ExperimentData.load(taught)
    prints.add(str(data.identity(taught)))
    data.training.teachers[0] = 1 - data.training.teachers[0]
    prints.add(str(data.identity(taught)))
    assert len(prints) == len(variants) + 2


def test_teachers_give_their_mean_probabilities_on_unchanged_windows(prepared, small_run, tmp_path):
    """A second teacher has the classes in another order and is sure of itself."""
    model, classes, stored = load_model(small_run.folder / "model")
    with torch.no_grad():
        for parameter in model.head.project.parameters():
            parameter.copy_(10 * parameter.flip(0))
    Recognizer(model, classes[::-1], stored).save_pretrained(tmp_path / "sure")
    teachers = (small_run.folder / "model", tmp_path / "sure")
    training = TrainingConfig(teachers=teachers, hop_s=5.0, augmentation={"octahedral": 1.0})
    data = ExperimentData.load(small_config(prepared, training=training))
    windows = data.training.stretches.windows(data.training.cuts.starts)
    expected = 0.0
    for folder in teachers:
        teacher = Recognizer.from_pretrained(folder, smoothing="none")
        found = teacher.predict(windows, data.training.start_ns)
        order = [teacher.classes.index(name) for name in data.train.classes]
        expected = expected + found.probabilities[:, order] / 2
    np.testing.assert_allclose(data.training.teachers, expected, atol=1e-6)
    assert data.training.teachers.shape == (len(data.training), 3)


@pytest.mark.trains
def test_a_student_learns_from_its_teachers_alone(prepared, small_run, tmp_path):
    """With labels that say nothing: what is learned, the teacher has taught."""
    training = TrainingConfig(
        epochs=4, lr=3e-3, keep="last", teachers=(small_run.folder / "model",), distillation=1.0
    )
    config = small_config(prepared, training=training, smoothing=SmoothingConfig(method="none"))
    data = ExperimentData.load(config)
    data.training.labels[:] = 0
    torch.manual_seed(0)
    student = PatchTSTClassifier(config.model, 3)
    student.fit_scaling(data.train.windows, *map(torch.from_numpy, (data.train.stats, data.train.topo)))
    TrainingLoop(config.training, Machine(CPU)).fit(student, data.training, None)
    logits = student.eval()(*map(torch.from_numpy, data.test.select(slice(None), config.model)))
    assert (logits.argmax(1).numpy() == data.test.labels).mean() > 0.9


def test_teachers_that_do_not_fit_are_named(prepared, small_run, tmp_path):
    def load(folder, **data):
        config = small_config(prepared, training=TrainingConfig(teachers=(folder,)))
        return ExperimentData.load(config.replace(data=config.data.replace(**data)))

    with pytest.raises(ModelFolderError, match="absent"):
        load(tmp_path / "absent")
    model, _, stored = load_model(small_run.folder / "model")
    Recognizer(model, ("a", "b", "c"), stored).save_pretrained(tmp_path / "other")
    with pytest.raises(DataError, match=r"training\.teachers: .*other knows the classes a, b, c, the"):
        load(tmp_path / "other")
    slow = stored.replace(data=stored.data.replace(sample_rate_hz=50.0))
    Recognizer(model, small_run.trainer.data.train.classes, slow).save_pretrained(tmp_path / "slow")
    with pytest.raises(DataError, match=r"training\.teachers: .*slow needs data\.sample_rate_hz 50"):
        load(tmp_path / "slow")


def test_a_model_folder_keeps_the_names_of_teachers_not_their_paths(prepared):
    config = small_config(prepared, training=TrainingConfig(teachers=("/home/me/runs/big/model",)))
    assert "/home" not in config.without_paths().to_yaml()
    assert config.without_paths().training.teachers[0].name == "model"


def test_one_cycle_reaches_its_end_with_the_last_step():
    batches = batches_of(50, batch_size=8, epoch_fraction=0.5)
    config = TrainingConfig(batch_size=8, epochs=3, schedule="one_cycle", epoch_fraction=0.5)
    trainee = new_trainee(PatchTSTClassifier(TINY, 2), config, len(batches), batches.generators)
    n_steps = 3 * len(list(batches.epoch()))
    for _ in range(n_steps - 1):
        trainee.schedule.step()
    assert trainee.optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 / 25 * 1e-4)
    assert math.isclose(trainee.optimizer.param_groups[0]["betas"][0], 0.95)
