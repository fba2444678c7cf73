"""Presets: whole experiments by name."""

from __future__ import annotations

import pytest

from patchtst_har.architecture import expected_complexity
from patchtst_har.cli.console import configure
from patchtst_har.config import ExperimentConfig, ModelConfig
from patchtst_har.errors import ConfigError
from patchtst_har.presets import PRESETS


def test_seed_is_the_reference_configuration() -> None:
    assert ExperimentConfig.preset("seed") == ExperimentConfig()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid_and_survives_a_file(name, tmp_path) -> None:
    config = ExperimentConfig.preset(name)
    config.save(tmp_path / "config.yaml")
    assert ExperimentConfig.load(tmp_path / "config.yaml") == config


def test_base_reads_statistical_and_movement_features_and_no_topology() -> None:
    model = ExperimentConfig.preset("base").model
    assert (model.n_stat_features, model.n_topo_features, model.n_time_features) == (227, 0, 0)
    assert (model.n_tokens, model.embedding_width) == (32, 2 * 64 + 96)
    assert expected_complexity(model, 9)["parameters"] < 120_000


def test_small_costs_less_than_a_third_of_base() -> None:
    small, base = (
        expected_complexity(ExperimentConfig.preset(name).model, 9)["flops"] for name in ("small", "base")
    )
    assert small < base / 3


def test_sections_and_overrides_come_before_the_preset() -> None:
    config = ExperimentConfig.preset("base", model={"dropout": 0.1}, training={"epochs": 3})
    assert (config.model.dropout, config.training.epochs) == (0.1, 3)
    assert config.model.stem_over == "window"
    assert config.training.batch_size == ExperimentConfig.preset("base").training.batch_size
    section = ExperimentConfig.preset("base", model=ModelConfig(dropout=0.1))
    assert section.model == config.model
    named = ExperimentConfig.from_mapping({"preset": "small"}, ["training.epochs=3"])
    assert named.training.epochs == 3
    assert named.model == ExperimentConfig.preset("small").model


@pytest.mark.parametrize("name", ["large", ["base"], {"base": 1}, None, 3])
def test_an_unknown_preset_is_named(name) -> None:
    with pytest.raises(ConfigError) as caught:
        ExperimentConfig.from_mapping({"preset": name})
    assert caught.value.problems == [f"preset: must be one of seed, small, base, is {name!r}"]


def test_the_windows_length_reaches_the_stem() -> None:
    config = ExperimentConfig.preset(
        "base", data={"window_size": 500, "hop_size": 500}, model={"window_size": 500}
    )
    assert config.model.patch_len == 500


@pytest.mark.parametrize(
    ("text", "overrides", "expected"),
    [
        ("", [], "base"),
        ("training: {epochs: 3}", [], "base"),
        ("model: {n_layers: 3}", [], "seed"),
        ("", ["model.n_layers=3"], "seed"),
        ("preset: small", [], "small"),
        ("", ["preset=small"], "small"),
    ],
)
def test_train_takes_base_unless_a_model_is_described(text, overrides, expected, tmp_path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    model = configure(path, overrides, None, "base")[0].model
    assert (model.stem_over, model.d_model) == {
        "base": ("window", 64),
        "small": ("window", 32),
        "seed": ("patch", 56),
    }[expected]
    assert configure(path, [], "small")[0].model.stem_over == "window"
