import json
import os
import pickle

import pytest
import safetensors.torch
import torch

from patchtst_har.config import N_STATISTICAL_FEATURES, ExperimentConfig, ModelConfig
from patchtst_har.errors import ModelFolderError
from patchtst_har.features import STATISTICAL_FEATURE_NAMES, TOPOLOGICAL_FEATURE_NAMES
from patchtst_har.models import PatchTSTClassifier
from patchtst_har.models.folder import load_model, save_model

CLASSES = ("run", "sit", "walk")


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    model = PatchTSTClassifier(ModelConfig(), 3)
    return save_model(tmp_path / "model", model, CLASSES, ExperimentConfig())


def test_round_trip_keeps_weights_scaling_and_names(tmp_path):
    config = ExperimentConfig(model=ModelConfig(d_model=32, n_layers=1))
    model = PatchTSTClassifier(config.model, 3).eval()
    model.fit_scaling(torch.randn(9, 1000, 3) + 1, torch.randn(9, N_STATISTICAL_FEATURES), torch.randn(9, 24))
    loaded, classes, loaded_config = load_model(save_model(tmp_path / "model", model, CLASSES, config))
    assert (classes, loaded_config) == (CLASSES, config)
    inputs = (
        torch.randn(2, 3, 10, 100),
        torch.randn(2, 5),
        torch.randn(2, N_STATISTICAL_FEATURES),
        torch.randn(2, 24),
    )
    assert torch.equal(loaded(*inputs), model(*inputs))
    assert not loaded.training


def test_nothing_in_the_folder_is_a_pickle(folder):
    for path in folder.iterdir():
        assert path.suffix in {".json", ".safetensors"}
        assert path.read_bytes()[:2] not in (b"\x80\x02", b"\x80\x04", b"\x80\x05", b"PK"), path.name


@pytest.mark.parametrize("name", ["config.json", "classes.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelFolderError, match=f"{name}: missing"):
        load_model(folder)


@pytest.mark.parametrize("name", ["config.json", "classes.json", "model.safetensors"])
def test_an_empty_file_is_named(folder, name):
    (folder / name).write_bytes(b"")
    with pytest.raises(ModelFolderError, match=f"{name}"):
        load_model(folder)


def test_a_truncated_weight_file_is_named(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelFolderError, match=r"model\.safetensors: not a safetensors file"):
        load_model(folder)


def test_a_pickle_in_place_of_the_weights_is_refused_not_loaded(folder, tmp_path):
    path = folder / "model.safetensors"
    torch.save({"weights": torch.zeros(1)}, path)
    with pytest.raises(ModelFolderError, match="not a safetensors file"):
        load_model(folder)


class Canary:
    """Leaves a file behind wherever it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "classes.json"])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_nothing_is_ever_unpickled(folder, tmp_path, name, protocol):
    canary = tmp_path / "hatched"
    (folder / name).write_bytes(pickle.dumps(Canary(canary), protocol))
    with pytest.raises(ModelFolderError, match=name):
        load_model(folder)
    assert not canary.exists()
    pickle.loads((folder / name).read_bytes())  # noqa: S301 - what it would have done
    assert canary.exists()


@pytest.mark.parametrize("name", ["config.json", "classes.json", "model.safetensors"])
def test_a_pipe_in_place_of_a_file_is_refused_not_waited_for(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(ModelFolderError, match=name):
        load_model(folder)


def test_weights_of_another_shape_are_refused(folder):
    path = folder / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    tensors["head.project.weight"] = torch.zeros(4, 56)
    safetensors.torch.save_file(tensors, path)
    with pytest.raises(ModelFolderError, match=r"does not fit config\.json: .*head\.project\.weight"):
        load_model(folder)


def test_weights_that_are_not_finite_are_refused(folder):
    path = folder / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    tensors["head.project.bias"][0] = float("nan")
    safetensors.torch.save_file(tensors, path)
    with pytest.raises(ModelFolderError, match=r"head\.project\.bias has values that are not finite"):
        load_model(folder)


def test_a_configuration_cannot_name_code(folder):
    path = folder / "config.json"
    values = json.loads(path.read_text())
    values["model"]["_target_"] = "os.system"
    path.write_text(json.dumps(values))
    with pytest.raises(ModelFolderError, match=r"config\.json: model\._target_: unknown key"):
        load_model(folder)


@pytest.mark.parametrize("classes", [[], ["walk"], ["walk", "walk", "sit"], ["walk", 3, "sit"], {"walk": 0}])
def test_impossible_classes_are_refused(folder, classes):
    (folder / "classes.json").write_text(json.dumps(classes))
    with pytest.raises(ModelFolderError, match=r"classes\.json: needs a list"):
        load_model(folder)


def test_another_format_version_is_refused(folder):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 99}))
    with pytest.raises(ModelFolderError, match="needs format_version 1"):
        load_model(folder)


def edit(folder, change):
    path = folder / "config.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_the_names_of_the_features_are_stored(folder, tmp_path):
    names = json.loads((folder / "config.json").read_text())["feature_names"]
    assert names == {
        "statistical": list(STATISTICAL_FEATURE_NAMES),
        "topological": list(TOPOLOGICAL_FEATURE_NAMES),
    }
    config = ExperimentConfig(model=ModelConfig(n_stat_features=0))
    other = save_model(tmp_path / "other", PatchTSTClassifier(config.model, 3), CLASSES, config)
    assert json.loads((other / "config.json").read_text())["feature_names"]["statistical"] == []
    load_model(other)


@pytest.mark.parametrize("kind", ["statistical", "topological"])
def test_a_model_of_other_features_is_refused_with_the_first_differences(folder, kind):
    names = {"statistical": STATISTICAL_FEATURE_NAMES, "topological": TOPOLOGICAL_FEATURE_NAMES}[kind]
    edit(folder, lambda values: values["feature_names"].update({kind: ["old", *names[:-2]]}))
    expected = (
        rf"config\.json: the model was trained on other {kind} features than this installation computes: "
        rf"column 0 is {names[0]}, was old, column 1 is {names[1]}, was {names[0]}, "
        rf"column 2 is {names[2]}, was {names[1]} and {len(names) - 3} more"
    )
    with pytest.raises(ModelFolderError, match=expected):
        load_model(folder)


def test_a_model_of_fewer_features_is_refused_by_name_not_by_number(folder):
    def change(values):
        values["feature_names"]["statistical"].pop()
        values["model"]["n_stat_features"] -= 1

    edit(folder, change)
    with pytest.raises(
        ModelFolderError, match=rf"column {len(STATISTICAL_FEATURE_NAMES) - 1} is .*, was none$"
    ):
        load_model(folder)


def test_a_folder_from_before_names_were_stored_is_loaded(folder):
    edit(folder, lambda values: values.pop("feature_names"))
    assert load_model(folder)[1] == CLASSES


@pytest.mark.parametrize("names", [[], {}, {"statistical": []}, {"statistical": 3, "topological": []}, None])
def test_damaged_names_are_refused(folder, names):
    edit(folder, lambda values: values.update(feature_names=names))
    with pytest.raises(ModelFolderError, match="feature_names: needs the lists statistical and topological"):
        load_model(folder)


def test_a_run_folder_in_place_of_its_model_is_explained(folder, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    folder.rename(run / "model")
    with pytest.raises(ModelFolderError, match=r"run: is a run folder, its model is .*run.model"):
        load_model(run)


def test_no_such_folder(tmp_path):
    with pytest.raises(ModelFolderError, match="nowhere: no such model folder"):
        load_model(tmp_path / "nowhere")


def test_saving_under_a_file_raises_and_leaves_the_old_model(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises((OSError, ValueError), match="file"):
        save_model(
            tmp_path / "file" / "model", PatchTSTClassifier(ModelConfig(), 3), CLASSES, ExperimentConfig()
        )
    load_model(folder)


def test_saving_with_the_wrong_number_of_classes_writes_nothing(tmp_path):
    with pytest.raises(ValueError, match="2 classes for a model with 3 outputs"):
        save_model(tmp_path / "m", PatchTSTClassifier(ModelConfig(), 3), ("a", "b"), ExperimentConfig())
    assert not (tmp_path / "m").exists()


def test_saving_replaces_an_older_model_whole(folder):
    newer = PatchTSTClassifier(ModelConfig(d_model=32), 3)
    save_model(folder, newer, CLASSES, ExperimentConfig(model=ModelConfig(d_model=32)))
    loaded, _, config = load_model(folder)
    assert config.model.d_model == 32
    assert torch.equal(loaded.head.project.weight, newer.head.project.weight)
