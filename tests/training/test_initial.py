"""Training that begins with a stored model: what is taken over, what stays, what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from patchtst_har import pretrained
from patchtst_har.config import ExperimentConfig, ModelConfig
from patchtst_har.errors import ConfigError, DataError, ModelFolderError
from patchtst_har.inference.class_order import HEADS, order_classes
from patchtst_har.inference.probabilities import predict_probabilities
from patchtst_har.model_folder import read_model_folder
from patchtst_har.models import PatchTSTClassifier
from patchtst_har.models.folder import load_model
from patchtst_har.pretrained import names_of
from patchtst_har.training import PatchTSTTrainer
from patchtst_har.training.experiment import ExperimentData
from patchtst_har.training.initial import KEPT, Initial, following, in_parts, keeping, train_others
from shipped import an_encoder, ship
from transfer import MODEL, WINDOW, experiment, interrupt_after, prepare

TOKENS = {name: value for name, value in MODEL.items() if name != "branch"}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Folder of ``prepared``, and of ``runs/first``, whose model is the initial one. Do not write into it."""
    root = tmp_path_factory.mktemp("initial")
    prepare(root / "prepared")
    config = experiment(root, "first")
    PatchTSTTrainer(config).train()
    return root


def begun(root: Path, name: str, fine_tune: str = "full", **training) -> ExperimentConfig:
    init = {"init": str(root / "runs" / "first" / "model"), "fine_tune": fine_tune}
    return experiment(root, name, training={"epochs": 2, "batch_size": 16, **init, **training})


def tensors_of(run: Path) -> dict[str, Tensor]:
    return {
        name: torch.from_numpy(values) for name, values in read_model_folder(run / "model").tensors.items()
    }


def other_classes(root: Path, folder: Path) -> Path:
    """Copy a prepared data set, with another name for one of its classes."""
    shutil.copytree(root / "prepared", folder)
    *others, last = json.loads((folder / "classes.json").read_text())
    classes = [*others, "zigzag"]
    for path in folder.glob("P*.npz"):
        with np.load(path) as file:
            arrays = dict(file)
        labels = arrays["labels_str"]
        arrays["labels_str"] = np.where(labels == last, "zigzag", labels)
        np.savez(path, **arrays)
    (folder / "classes.json").write_text(json.dumps(classes))
    (folder / "label_encoder.json").write_text(json.dumps({name: i for i, name in enumerate(classes)}))
    return folder


@pytest.mark.trains
def test_the_network_begins_as_the_stored_model_was(root):
    config = begun(root, "not-trained")
    data = ExperimentData.load(config)
    model = PatchTSTClassifier(config.model, len(data.train.classes))
    model.fit_scaling(*(torch.randn(9, n) for n in (3,)), torch.randn(9, 56), torch.zeros(9, 0))
    data.initial.put_into(model)
    stored, _, _ = load_model(root / "runs" / "first" / "model")
    assert data.initial.record.new == ()
    assert (predict_probabilities(model, data.val) == predict_probabilities(stored, data.val)).all()


@pytest.mark.trains
@pytest.mark.parametrize("fine_tune", ["frozen", "partial", "full"])
def test_what_stays_is_equal_to_the_bit_and_the_rest_is_trained(root, tmp_path, fine_tune):
    config = begun(root, "tuned", fine_tune, ema_decay=0.5).replace(output_dir=tmp_path)
    PatchTSTTrainer(config).train()
    first, tuned = tensors_of(root / "runs" / "first"), tensors_of(config.run_dir)
    equal = {name for name in first if torch.equal(first[name], tuned[name])}
    scaling = {name for name in first if "scale." in name}
    kept = {name for name in first if in_parts(name, KEPT[fine_tune])}
    assert equal == kept | scaling
    stem, second, heads = (
        {name for name in first if in_parts(name, parts)}
        for parts in (("patch_embedding.stem", "branch.layers.0"), ("branch.layers.1", "layers"), HEADS)
    )
    assert len(stem) == 18
    assert second
    assert len(heads) == 6
    assert (stem <= equal, second <= equal, bool(heads & equal)) == {
        "frozen": (True, True, False),
        "partial": (True, False, False),
        "full": (False, False, False),
    }[fine_tune]


def test_kept_parts_have_neither_gradients_nor_dropout_while_training():
    model = PatchTSTClassifier(ModelConfig(**MODEL, n_topo_features=0), 3)
    train_others(model, KEPT["frozen"])
    modes = {name: part.training for name, part in model.named_modules() if isinstance(part, nn.Dropout)}
    assert {name for name, training in modes.items() if training} == {"head.dropout"}
    assert not any(part.training for part in model.modules() if isinstance(part, nn.BatchNorm1d))
    train_others(model, KEPT["partial"])
    assert model.branch.training
    assert model.branch.layers[1][1].training
    assert not (model.branch.layers[0][1].training)
    assert not (model.patch_embedding.stem[0][1].training)
    with keeping(model, KEPT["frozen"]):
        trained = {name.rpartition(".")[0] for name, part in model.named_parameters() if part.requires_grad}
    assert trained == {*HEADS}
    assert all(part.requires_grad for part in model.parameters())


def test_every_part_but_the_heads_can_be_kept():
    """Of all architectures: a new part must be put into `KEPT` or belong to the heads."""
    from architectures import ARCHITECTURES

    for options in ARCHITECTURES.values():
        model = PatchTSTClassifier(ModelConfig(**options), 3)
        for name in model.state_dict():
            assert in_parts(name, KEPT["frozen"]) != in_parts(name, HEADS), name


@pytest.mark.trains
def test_heads_follow_the_order_of_the_classes(root, tmp_path):
    """A data set's classes are sorted, those of a shipped model are not."""
    model, classes = root / "runs" / "first" / "model", read_model_folder(root / "runs/first/model").classes
    order = (*classes[1:], classes[0])
    turned = shutil.copytree(model, tmp_path / "turned")
    order_classes(turned, order)
    plain, found = (Initial.read(begun(root, "any", init=str(path)), classes) for path in (model, turned))
    assert found.record.new == ()
    assert found.tensors.keys() == plain.tensors.keys()
    for name, values in plain.tensors.items():
        np.testing.assert_array_equal(found.tensors[name], values)
    assert Initial.read(begun(root, "any", init=str(model)), (*classes[:-1], "other")).record.new


@pytest.mark.trains
def test_heads_are_new_for_other_classes_and_the_record_says_so(root, tmp_path, caplog):
    folder = other_classes(root, tmp_path / "prepared")
    config = begun(root, "tuned")
    config = config.replace(data=config.data.replace(proc_dir=folder), output_dir=tmp_path)
    with caplog.at_level("INFO"):
        PatchTSTTrainer(config).train()
    assert "begins with the weights of first; new: head.encoder, head.branch, head.project" in caplog.text
    assert "first: 2 of its training people have names of people to validate or test on" not in caplog.text
    record = json.loads((config.run_dir / "model" / "provenance.json").read_text())["init"]
    assert record["name"] == "first"
    assert record["fine_tune"] == "full"
    assert sorted(record["new"]) == sorted(f"{head}.{part}" for head in HEADS for part in ("weight", "bias"))
    assert len(record["weights"]) == 64
    assert "Training began with**: first (weights" in (config.run_dir / "model" / "MODEL_CARD.md").read_text()
    stored = read_model_folder(config.run_dir / "model").config.training
    assert (stored.init, stored.fine_tune) == ("model", "full")


def test_people_who_trained_the_initial_model_are_warned_of(root, caplog):
    config = begun(root, "leaks")
    config = config.replace(data=config.data.replace(split_seed=5))
    initial = Initial.read(config, ("a", "b"))
    initial.warn_of(["P99"])
    assert not caplog.records
    initial.warn_of([initial.people[0], "P99"])
    assert f"1 of its training people have names of people to validate or test on ({initial.people[0]})" in (
        caplog.text
    )


def test_people_of_a_shipped_model_are_known_without_its_data_sets_name(tmp_path):
    shipped = ship(tmp_path, an_encoder())
    people = ["selfback-P026", "wisdm-W1600", "P3"]
    assert names_of(shipped, people) == (*people, "P026", "W1600")
    (shipped / "summary.json").unlink()
    assert names_of(shipped, ["sets/a/P1", "my-P2"]) == ("sets/a/P1", "my-P2", "P1")


@pytest.mark.trains
@pytest.mark.parametrize("fine_tune", ["frozen", "partial"])
def test_resumed_fine_tuning_equals_an_uninterrupted_one(root, tmp_path, fine_tune):
    whole = begun(root, "whole", fine_tune).replace(output_dir=tmp_path)
    expected = PatchTSTTrainer(whole).train()[0].state_dict()
    cut = whole.replace(experiment_name="cut")
    with pytest.raises(KeyboardInterrupt):
        PatchTSTTrainer(cut, on_progress=interrupt_after(1, "training")).train()
    got = PatchTSTTrainer(cut, resume=True).train()[0].state_dict()
    for name in expected:
        assert torch.equal(got[name], expected[name]), name


@pytest.mark.trains
def test_a_run_is_not_resumed_from_other_initial_weights(root, tmp_path):
    shutil.copytree(root / "runs" / "first" / "model", tmp_path / "init")
    config = begun(root, "cut", init=str(tmp_path / "init")).replace(output_dir=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        PatchTSTTrainer(config, on_progress=interrupt_after(1, "training")).train()
    model, classes, stored = load_model(tmp_path / "init")
    with torch.no_grad():
        model.head.project.bias[0] += 1e-3
    from patchtst_har.models.folder import save_model

    save_model(tmp_path / "init", model, classes, stored)
    with pytest.raises(DataError, match=r"training\.init \(its weights\): other values"):
        PatchTSTTrainer(config, resume=True).train()


@pytest.mark.parametrize(
    ("section", "values", "fields"),
    [
        ("model", {**MODEL, "d_ff": 24, "pooling": "mean"}, ["model.d_ff", "model.pooling"]),
        ("model", {**MODEL, "branch": {"width": 14}}, ["model.branch.width"]),
        ("model", {**TOKENS, "features_as": "tokens", "auxiliary_heads": False}, ["model.features_as"]),
        ("features", {"groups": ["statistical", "movement"]}, ["features.groups", "model.n_stat_features"]),
        ("data", {"sample_rate_hz": 50.0}, ["data.sample_rate_hz"]),
    ],
)
def test_another_network_or_other_features_are_refused_by_field(root, section, values, fields):
    training = {"init": str(root / "runs" / "first" / "model")}
    config = experiment(root, "other", **{"training": training, section: values})
    with pytest.raises(ConfigError, match=r"^training\.init: ") as caught:
        PatchTSTTrainer(config).train()
    for field in fields:
        assert f"{field}: first has " in str(caught.value)
    assert "None" not in str(caught.value)
    assert not config.run_dir.exists()


def test_regularisation_and_auxiliary_heads_may_differ(root):
    options = {
        "dropout": 0.0,
        "embedding_dropout": 0.1,
        "auxiliary_heads": False,
        "gradient_checkpointing": True,
    }
    branch = {**MODEL["branch"], "noise": 0.0, "drop": 0.2, "input_dropout": 0.0, "hidden_dropout": 0.0}
    training = {"init": str(root / "runs" / "first" / "model")}
    config = experiment(root, "freer", training=training, model={**MODEL, **options, "branch": branch})
    assert Initial.read(config, ("a", "b", "c")).record.new == ("head.project.weight", "head.project.bias")


def test_the_initial_model_must_be_there(root):
    config = begun(root, "absent", init=str(root / "nowhere"))
    with pytest.raises(ModelFolderError, match=r"nowhere: no such model folder"):
        PatchTSTTrainer(config).train()
    assert not config.run_dir.exists()


def test_fine_tuning_without_a_model_to_begin_with_is_refused():
    with pytest.raises(ConfigError, match=r"training.fine_tune \(frozen\) has no meaning with no init"):
        ExperimentConfig(training={"fine_tune": "frozen"})
    with pytest.raises(
        ConfigError, match=r"training.fine_tune: Input should be 'full', 'partial' or 'frozen'"
    ):
        ExperimentConfig(training={"init": "a", "fine_tune": "some"})


def test_features_and_model_follow_the_initial_model_where_nothing_is_said(root):
    init = str(root / "runs" / "first" / "model")
    stored = read_model_folder(init).config
    config = following({"training": {"init": init}, "preset": "base", "seed": 3}, init)
    assert config.model == stored.model
    assert config.features.groups == ("statistical",)
    assert (config.data.window_size, config.data.hop_size) == (WINDOW, WINDOW)
    assert (config.training.schedule, config.seed) == ("one_cycle", 3)
    config = following({"model": {"dropout": 0.5}, "data": {"hop_size": 50}}, init)
    assert (config.model.dropout, config.model.d_model, config.data.hop_size) == (0.5, 16, 50)
    with pytest.raises(
        ConfigError,
        match=r"^training.init: first needs windows of 2 s of 100 Hz, mine.yaml says 1 s of 100 Hz$",
    ):
        following({"data": {"window_size": 100, "hop_size": 100}}, init, "mine.yaml")


def test_windows_of_another_length_than_the_initial_models_are_named(root, tmp_path):
    init = str(root / "runs" / "first" / "model")
    folder = prepare(tmp_path / "prepared", n_participants=1)
    for window_size, hop_size in ((200, 50), (500, 500)):
        facts = {"window_size": window_size, "hop_size": hop_size}
        (folder / "preparation.json").write_text(json.dumps(facts))
        values = {"data": {"proc_dir": str(folder)}}
        if window_size == WINDOW:
            assert following(values, init).data.hop_size == 50
    message = r"^training.init: first needs windows of 2 s of 100 Hz, the data set has 5 s of 100 Hz$"
    with pytest.raises(ConfigError, match=message):
        following(values, init)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"features": {"groups": ["statistical", "movement"]}},
            "features.groups: first has ['statistical'], the experiment ['statistical', 'movement']",
        ),
        ({"model": {"d_model": 32}}, "model.d_model: first has 16, the experiment 32"),
        ({"model": {"branch": {"width": -1}}}, "model.branch.width: first has 12, the experiment -1"),
    ],
)
def test_what_does_not_fit_the_initial_model_is_said_of_the_model(root, values, message):
    with pytest.raises(ConfigError) as caught:
        following(values, str(root / "runs" / "first" / "model"), "--set")
    assert str(caught.value) == f"training.init: {message}"


def test_other_mistakes_beside_an_initial_model_are_named_as_ever(root):
    init = str(root / "runs" / "first" / "model")
    for section in ("data", "model", "training"):
        with pytest.raises(ConfigError, match=rf"^--set: {section}"):
            following({section: 3}, init, "--set")
    with pytest.raises(ConfigError, match=r"^--set: model\.dropout: "):
        following({"model": {"dropout": -1}}, init, "--set")


def test_a_shipped_model_is_taken_by_name(root, tmp_path, monkeypatch):
    ship(tmp_path, an_encoder())
    monkeypatch.setattr(pretrained, "WEIGHTS", tmp_path)
    config = following({"training": {"init": "wrist-base", "fine_tune": "frozen"}}, "wrist-base")
    initial = Initial.read(config, ("a", "b"))
    assert (initial.record.name, initial.record.fine_tune) == ("wrist-base", "frozen")
    assert initial.people == ("P1", "P2", "P3")
    assert config.without_paths().training.init == "wrist-base"
