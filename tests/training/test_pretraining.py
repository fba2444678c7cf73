"""Masked pre-training: what is hidden, what the loss sees, what is left for fine-tuning."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from architectures import ARCHITECTURES
from patchtst_har.architecture import cut_patches
from patchtst_har.config import ModelConfig, TrainingConfig
from patchtst_har.datasets.several_sets import SeveralSets
from patchtst_har.errors import ConfigError, DataError, ModelFolderError
from patchtst_har.inference.export import export_model
from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.model_folder import read_model_folder
from patchtst_har.models import PatchTSTClassifier
from patchtst_har.models.folder import load_model
from patchtst_har.models.masked import PRETRAINED, MaskedPatches, hide_stretches, masked_loss
from patchtst_har.training import PatchTSTTrainer
from patchtst_har.training.initial import Initial, in_parts
from patchtst_har.training.loss import Criterion, SetsCriterion
from patchtst_har.training.masked_pretraining import MaskedPretraining
from patchtst_har.training.pretraining import SupervisedPretraining
from transfer import MODEL, WINDOW, experiment, interrupt_after, prepare

SMALL = ModelConfig(**MODEL)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Folder of ``prepared`` and of ``encoder``, which was pre-trained on it. Do not write into it."""
    root = tmp_path_factory.mktemp("pretraining")
    prepare(root / "prepared")
    pretraining(root).train()
    return root


def pretraining(root: Path, output: str = "encoder", **changes) -> MaskedPretraining:
    config = experiment(root, training={"epochs": 12, "batch_size": 16, "lr": 5e-3}, data={})
    return MaskedPretraining(config=config, folders=[root / "prepared"], output=root / output, **changes)


def masked(config: ModelConfig, n: int = 6) -> tuple[MaskedPatches, torch.Tensor, torch.Tensor]:
    """Return a network, patches and hidden samples; dropout is off."""
    torch.manual_seed(0)
    network = MaskedPatches(PatchTSTClassifier(config, 2)).eval()
    windows = torch.randn(n, config.window_size, config.channels)
    hidden = hide_stretches(n, config, 0.4, torch.Generator().manual_seed(0))
    return network, cut_patches(windows, config.patch_len, config.patch_hop), hidden


@pytest.mark.parametrize("fraction", [0.2, 0.4, 0.7])
@pytest.mark.parametrize("name", ["default", "overlap", "window stem", "window stem, cls, relu"])
@pytest.mark.slow
def test_stretches_are_hidden_that_together_are_the_fraction(name, fraction):
    config = ModelConfig(**ARCHITECTURES[name])
    hidden = hide_stretches(4000, config, fraction, torch.Generator().manual_seed(1))
    assert hidden.shape == (4000, config.window_size)
    assert hidden.float().mean().item() == pytest.approx(fraction, abs=0.01)
    # Every sample is hidden as often as every other.
    assert (hidden.float().mean(dim=0) - fraction).abs().max() < 0.06
    edges = (hidden[:, 1:] != hidden[:, :-1]).sum(dim=1)
    assert edges.max() <= 2 * config.window_size / (100 if name == "default" else 20)


def test_plain_patches_are_hidden_whole():
    config = ModelConfig(**ARCHITECTURES["default"])
    hidden = hide_stretches(50, config, 0.4, torch.Generator().manual_seed(1)).view(50, 10, 100)
    assert (hidden.all(dim=2) | ~hidden.any(dim=2)).all()
    assert (hidden.all(dim=2).sum(dim=1) == 4).all()


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.slow
def test_the_target_of_every_architecture_is_the_signal_around_its_tokens(name):
    """Rebuilt from the targets, the scaled signal comes out; samples that no token has are at the ends."""
    config = ModelConfig(**ARCHITECTURES[name])
    network, patches, hidden = masked(config)
    prediction, target, weight = network(patches, hidden)
    n_tokens = config.n_patch_tokens
    assert prediction.shape == target.shape == (6, n_tokens, config.channels, network.step)
    assert weight.shape == (6, n_tokens, 1, network.step)
    first = network.first
    row = target[0].transpose(0, 1).reshape(config.channels, -1)
    end = first + row.shape[1]
    begin, stop = max(first, 0), min(end, config.window_size)
    assert begin < network.step + 80
    assert stop > config.window_size - network.step - 80
    windows = torch.zeros(config.window_size, config.channels)
    for number in range(config.n_patches):
        start = number * config.patch_hop
        windows[start : start + config.patch_len] = patches[0, :, number].T
    assert torch.equal(row[:, begin - first : stop - first], windows[begin:stop].T)
    marked = weight[0, :, 0].flatten()[begin - first : stop - first]
    assert torch.equal(marked.bool(), hidden[0, begin:stop])


@pytest.mark.parametrize("name", ["default", "window stem", "overlap"])
def test_the_loss_knows_hidden_samples_alone(name):
    network, patches, hidden = masked(ModelConfig(**ARCHITECTURES[name]))
    prediction, target, weight = network(patches, hidden)
    loss = masked_loss(prediction, target, weight)
    elsewhere = torch.where(weight.bool(), target, target + 100 * torch.randn_like(target))
    assert torch.equal(masked_loss(prediction, elsewhere, weight), loss)
    assert masked_loss(prediction, target + weight, weight) != loss
    errors = ((prediction - target) ** 2).movedim(2, 3)[weight.movedim(2, 3).squeeze(3).bool()]
    assert loss.item() == pytest.approx(errors.mean().item(), rel=1e-5)


@pytest.mark.parametrize("name", ["default", "window stem", "overlap"])
def test_the_network_does_not_see_what_is_hidden(name):
    config = ModelConfig(**ARCHITECTURES[name])
    network, patches, hidden = masked(config)
    prediction, *_ = network(patches, hidden)
    cut = cut_patches(hidden.unsqueeze(2), config.patch_len, config.patch_hop)
    other = torch.where(cut, torch.randn_like(patches), patches)
    assert not torch.equal(other, patches)
    assert torch.equal(network(other, hidden)[0], prediction)


@pytest.mark.trains
def test_pretraining_predicts_people_who_were_not_trained_on(root):
    lines = [json.loads(line) for line in (root / "encoder" / "metrics.jsonl").read_text().splitlines()]
    val = [line["metrics"] for line in lines if line["phase"] == "val"]
    assert [line["step"] for line in lines if line["phase"] == "train"] == [*range(1, 13)]
    assert val[-1]["loss"] < 0.9 * val[0]["loss"]
    assert val[-1]["loss"] < 0.8 * val[-1]["zero_loss"]
    assert len({line["zero_loss"] for line in val}) == 1
    record = json.loads((root / "encoder" / "provenance.json").read_text())
    assert record["pretraining"] == {
        "kind": "masked",
        "data": ["prepared"],
        "mask_fraction": 0.4,
        "macro_f1": None,
        "loss": val[-1]["loss"],
        "zero_loss": val[-1]["zero_loss"],
    }
    assert [len(record["split"][group]) for group in ("train", "val", "test")] == [3, 1, 0]
    assert record["n_windows"] == {"train": 54, "val": 18, "test": 0}
    card = (root / "encoder" / "MODEL_CARD.md").read_text()
    assert card.startswith("# encoder\n")
    for line in (
        "it gives no labels",
        "- **Pre-training**: masked, on prepared.",
        "- **People**: 3 trained it, 1 validated.",
        f"on the validation people: squared error on hidden samples {val[-1]['loss']:.3f} (zeros",
    ):
        assert line in card
    assert record["untrained"] == ["branch", "head.branch", "head.encoder", "head.project"]


@pytest.mark.trains
def test_a_network_begins_with_what_was_pretrained_and_nothing_else(root, tmp_path):
    init = str(root / "encoder")
    config = experiment(root, "tuned", training={"epochs": 1, "init": init, "fine_tune": "frozen"})
    initial = Initial.read(config, ("a", "b", "c"))
    assert not any(
        in_parts(name, ("head.project", "head.encoder", "head.branch", "branch")) for name in initial.tensors
    )
    assert "branch" not in initial.kept
    assert "branch.layers.0" not in initial.kept
    config = config.replace(output_dir=tmp_path)
    PatchTSTTrainer(config).train()
    before, after = (
        read_model_folder(folder).tensors for folder in (root / "encoder", config.run_dir / "model")
    )
    for name in before:
        kept = in_parts(name, PRETRAINED)
        assert (before[name].shape == after[name].shape and (before[name] == after[name]).all()) == kept, name


@pytest.mark.slow
def test_a_model_without_trained_heads_gives_no_labels(root, tmp_path):
    with pytest.raises(ModelFolderError, match=r"encoder: is for fine-tuning .* --init .* gives no labels"):
        Recognizer.from_pretrained(root / "encoder")
    with pytest.raises(ModelFolderError, match=r"encoder: is for fine-tuning"):
        export_model(root / "encoder", tmp_path / "encoder.onnx")


@pytest.mark.trains
def test_statistics_of_the_stem_are_of_whole_windows(root):
    """In evaluation, the stem then gives values of about mean 0 and deviation 1 before its activation."""
    model, _, _ = load_model(root / "encoder")
    data = SeveralSets.load([root / "prepared"], pretraining(root).config)
    windows = torch.from_numpy(data.train.windows[:])
    patches = cut_patches(windows, model.config.patch_len, model.config.patch_hop)
    convolution, norm, _ = model.patch_embedding.stem[0]
    values = convolution(model.patch_embedding.scaled(patches)[:, 0])
    assert torch.allclose(norm.running_mean, values.mean(dim=(0, 2)), atol=1e-4)
    assert torch.allclose(norm.running_var, values.var(dim=(0, 2)), rtol=1e-3)


@pytest.mark.trains
def test_resumed_pretraining_equals_an_uninterrupted_one(root):
    first = pretraining(root, "cut")
    with pytest.raises(KeyboardInterrupt):
        replace(first, on_progress=interrupt_after(5, "pre-training")).train()
    with pytest.raises(DataError, match="interrupted pre-training"):
        first.train()
    with pytest.raises(DataError, match=r"mask_fraction: 0\.4 in the run, 0\.3 now"):
        replace(first, resume=True, mask_fraction=0.3).train()
    replace(first, resume=True).train()
    whole, cut = (read_model_folder(root / name).tensors for name in ("encoder", "cut"))
    for name in whole:
        assert (whole[name] == cut[name]).all(), name
    steps = [json.loads(line)["step"] for line in (root / "cut" / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted([*range(1, 13)] * 2)
    assert not (root / "cut" / "checkpoints").exists()


def test_a_model_is_not_overwritten_unasked(root):
    before = (root / "encoder" / "model.safetensors").read_bytes()
    with pytest.raises(DataError, match="already holds a model"):
        pretraining(root).train()
    with pytest.raises(DataError, match="no such folder of prepared data"):
        replace(pretraining(root, overwrite=True), folders=[root / "absent"]).train()
    assert (root / "encoder" / "model.safetensors").read_bytes() == before


@pytest.mark.trains
def test_several_data_sets_train_together_but_for_those_who_test(root, tmp_path):
    prepare(tmp_path / "prepared", n_participants=3, seed=1)
    prepare(tmp_path / "more", n_participants=2, seed=2)
    folders = [root / "prepared", tmp_path / "prepared", tmp_path / "more"]
    config = experiment(
        root,
        data={"test_participants": ["prepared-1/P01", "more/P02"]},
        training={"epochs": 1, "hop_s": 0.5, "augmentation": {"shift_s": 0.2, "time_warp": 0.02}},
    )
    data = SeveralSets.load(folders, config)
    assert data.sets == ("prepared-1", "prepared-2", "more")
    everyone = {*data.split.train, *data.split.val}
    assert len(data.split.train) == 5
    assert [name.split("/")[0] for name in data.split.val] == [
        "prepared-1",
        "prepared-2",
    ]
    assert not everyone & {"prepared-1/P01", "more/P02"}
    assert "more/P01" in everyone
    assert len(data.training) > 3 * len(data.train)
    made = MaskedPretraining(config=config, folders=folders, output=tmp_path / "encoder").train()
    assert made.data == data.sets
    assert np.isfinite(made.loss)


@pytest.mark.trains
def test_nobody_need_validate_and_weights_may_be_averaged(root, tmp_path):
    config = experiment(root, data={"val_n": 0}, training={"epochs": 2, "ema_decay": 0.9})
    made = MaskedPretraining(config=config, folders=[root / "prepared"], output=tmp_path / "encoder").train()
    assert 0 < made.loss < 2 * made.zero_loss
    assert '"val"' not in (tmp_path / "encoder" / "metrics.jsonl").read_text()


def several(root: Path, output: Path, **changes) -> SupervisedPretraining:
    config = experiment(root, data={}, training={"epochs": 6, "lr": 5e-3, "batch_size": 16})
    folders = [root / "prepared", root / "two"]
    return SupervisedPretraining(config=config, folders=folders, output=output, **changes)


@pytest.fixture(scope="module")
def two(root) -> Path:
    """Add to the folder of ``prepared`` a second data set, of two other classes, and return it."""
    folder = prepare(root / "two", n_participants=3, seed=1)
    names = {"running": "fast", "sitting": "slow", "walking": "slow"}
    for path in folder.glob("*.npz"):
        with np.load(path) as arrays:
            values = dict(arrays)
        values["labels_str"] = np.array([names[str(name)] for name in values["labels_str"]])
        np.savez(path, **values)
    (folder / "classes.json").write_text('["fast", "slow"]')
    (folder / "label_encoder.json").write_text('{"fast": 0, "slow": 1}')
    return root


@pytest.mark.trains
def test_labels_of_several_data_sets_train_one_encoder(two, tmp_path):
    made = several(two, tmp_path / "encoder").train()
    assert (made.kind, made.data, made.zero_loss) == ("supervised", ("prepared", "two"), None)
    assert made.macro_f1 > 0.8
    record = json.loads((tmp_path / "encoder" / "provenance.json").read_text())
    assert record["untrained"] == ["head.branch", "head.encoder", "head.project"]
    card = (tmp_path / "encoder" / "MODEL_CARD.md").read_text()
    assert "- **Pre-training**: supervised, on prepared, two." in card
    assert f"macro F1 over the classes of all data sets {made.macro_f1:.3f}." in card
    assert {name.split("/")[0] for name in record["split"]["train"]} == {"prepared", "two"}
    stored = read_model_folder(tmp_path / "encoder").tensors
    with pytest.raises(KeyboardInterrupt):
        several(two, tmp_path / "cut", on_progress=interrupt_after(3, "pre-training")).train()
    assert several(two, tmp_path / "cut", resume=True).train() == made
    cut = read_model_folder(tmp_path / "cut").tensors
    assert all((stored[name] == cut[name]).all() for name in stored if not name.startswith("head."))
    with pytest.raises(KeyboardInterrupt):
        several(two, tmp_path / "other", on_progress=interrupt_after(3, "pre-training")).train()
    of_one = replace(several(two, tmp_path / "other"), folders=[two / "prepared"], resume=True)
    with pytest.raises(DataError, match=r"data \(training\): other values"):
        of_one.train()


@pytest.mark.trains
def test_people_and_classes_of_several_data_sets_keep_apart(two):
    data = SeveralSets.load([two / "prepared", two / "two"], several(two, two).config, labelled=True)
    assert data.heads == (range(3), range(3, 5))
    assert data.train.classes[2:4] == ("prepared/walking", "two/fast")
    for features in (data.train, data.training):
        of_two = np.char.startswith(features.participants, "two/")
        assert set(features.labels[of_two]) == {3, 4}
        assert set(features.labels[~of_two]) == {0, 1, 2}
    assert data.train.stats.shape[1] == 56


def test_the_loss_of_a_window_knows_its_own_classes_alone():
    torch.manual_seed(0)
    config = TrainingConfig(label_smoothing=0.1, class_weights="root", auxiliary_weight=0.5)
    labels = torch.tensor([0, 3, 2, 4, 1, 3, 0])
    heads = tuple(torch.randn(7, 5) for _ in range(3))
    criterion = SetsCriterion(config, labels, (range(3), range(3, 5)))
    first = labels < 3
    expected = sum(
        Criterion(config, labels[rows] - start, stop - start)(
            tuple(logits[rows, start:stop] for logits in heads), labels[rows] - start
        )
        * rows.sum()
        / 7
        for rows, start, stop in ((first, 0, 3), (~first, 3, 5))
    )
    assert criterion(heads, labels).item() == pytest.approx(expected.item(), rel=1e-6)
    other = tuple(torch.where(first[:, None] == (torch.arange(5) < 3), logits, 9.0) for logits in heads)
    assert torch.equal(criterion(other, labels), criterion(heads, labels))
    one = slice(1, 2)
    alone = criterion(tuple(logits[one] for logits in heads), labels[one])
    assert torch.isfinite(alone)
    decided = criterion.comparable(torch.ones(7, 5), labels)
    assert torch.equal(torch.isfinite(decided), first[:, None] == (torch.arange(5) < 3))


def test_a_data_set_of_one_class_has_nothing_to_learn(root, tmp_path):
    folder = prepare(tmp_path / "one", n_participants=2)
    for path in folder.glob("*.npz"):
        with np.load(path) as arrays:
            values = dict(arrays)
        values["labels_str"][:] = "walking"
        np.savez(path, **values)
    (folder / "classes.json").write_text('["walking"]')
    (folder / "label_encoder.json").write_text('{"walking": 0}')
    config = experiment(root, data={})
    with pytest.raises(DataError, match="one: needs at least two classes, has walking"):
        SeveralSets.load([root / "prepared", folder], config, labelled=True)
    assert not SeveralSets.load([root / "prepared", folder], config).heads


def test_windows_reach_across_labels_but_not_across_people_or_gaps(root):
    config = experiment(root, data={}, training={"hop_s": 0.5})
    data = SeveralSets.load([root / "prepared"], config)
    starts, stretches = data.training.cuts.starts, data.training.stretches
    rows = np.searchsorted(stretches.firsts, starts, side="right") - 1
    inside = starts - stretches.firsts[rows]
    next_row = np.minimum(rows + 1, len(data.train) - 1)
    gap_ns = data.train.start_ns[next_row] - data.train.start_ns[rows]
    assert (gap_ns[inside > 0] == WINDOW * 10_000_000).all()
    assert (inside > 0).sum() > 100


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask_fraction": 0.0}, "mask_fraction: must be above 0 and below 1"),
        ({"mask_fraction": float("nan")}, "mask_fraction: must be above 0 and below 1"),
        ({"training": {"teachers": ["a"]}}, "training.teachers: has no meaning in pre-training"),
        ({"training": {"init": "wrist"}}, "training.init: has no meaning in pre-training"),
        ({"model": {"window_size": WINDOW, "patch_len": WINDOW}}, "model: a window of one patch"),
        ({"training": {"accumulation": 2}}, "training.accumulation: 2 is not for pre-training without"),
        ({"training": {"amp": "bf16"}}, "training.amp: bf16 is not for pre-training without labels"),
        ({"training": {"compile": True}}, "training.compile: True is not for pre-training without labels"),
        ({"training": {"schedule": "plateau"}}, "training.schedule: plateau is not for pre-training"),
    ],
)
def test_what_has_no_meaning_is_refused(tmp_path, changes, message):
    sections = {name: value for name, value in changes.items() if name != "mask_fraction"}
    fractions = {name: value for name, value in changes.items() if name == "mask_fraction"}
    with pytest.raises(ConfigError, match=message):
        MaskedPretraining(
            config=experiment(tmp_path, **sections), folders=[tmp_path], output=tmp_path, **fractions
        )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"test_participants": ["P99"]}, "data.test_participants: unknown P99"),
        ({"train_n": 2}, "data.train_n has no meaning in pre-training"),
        ({"val_n": 4}, "nobody is left to train on"),
        ({"window_size": 100, "hop_size": 100}, "windows have 200 samples"),
    ],
)
def test_people_and_windows_that_do_not_fit_are_refused(root, data, message):
    model = {**MODEL, "window_size": data.get("window_size", WINDOW)}
    config = experiment(root, data=data, model=model)
    with pytest.raises(DataError, match=message):
        SeveralSets.load([root / "prepared"], config)
    with pytest.raises(DataError, match="prepared: given more than once"):
        SeveralSets.load([root / "prepared", root / "x" / ".." / "prepared"], config)
