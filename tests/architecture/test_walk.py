"""The descriptions of layers against the torch module."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from architectures import ARCHITECTURES
from patchtst_har._core import Engine
from patchtst_har.architecture import expected_complexity, expected_tensors, walk_layers
from patchtst_har.architecture.layers import Layer, Linear, Rows
from patchtst_har.config import N_STATISTICAL_FEATURES, ModelConfig
from patchtst_har.inference import native_program
from patchtst_har.models import PatchTSTClassifier
from without_torch import run_without_torch


@pytest.mark.parametrize("options", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_expected_tensors_are_those_of_the_module(options):
    config = ModelConfig(**options)
    model = PatchTSTClassifier(config, 7)
    trained = dict(model.named_parameters())
    expected = {name: (tuple(tensor.shape), name in trained) for name, tensor in model.state_dict().items()}
    found = expected_tensors(config, 7)
    assert {name: (tensor.shape, tensor.trained) for name, tensor in found.items()} == expected


def test_the_reference_configuration_by_hand():
    patches = 10 * 300 * 56
    features = N_STATISTICAL_FEATURES * 56 + 56 * 56 + 24 * 56 + 56 * 56
    layer = 12 * (56 * 168 + 56 * 56 + 2 * 56 * 112) + 2 * 12 * 12 * 56
    products = patches + features + 2 * layer + 5 * 56 + 56 * 6
    assert expected_complexity(ModelConfig(), 6)["flops"] == 2 * products


@pytest.mark.spawns
def test_sizes_are_known_without_torch():
    """Nor pydantic: attention uses the rotation tables, and runs where only torch and numpy are installed."""
    run_without_torch(
        "from patchtst_har.architecture import expected_complexity\n"
        "assert 'pydantic' not in sys.modules\n"
        "from patchtst_har.config import ModelConfig\n"
        "assert expected_complexity(ModelConfig(), 6)['parameters'] > 0"
    )


@pytest.mark.parametrize("options", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_every_row_is_written_before_it_is_read(options):
    config = ModelConfig(**options)
    written = {"patches", "times", "stats", "topo"}
    for layer in walk_layers(config, 5):
        assert layer.name
        for rows in layer.rows():
            if rows.buffer not in written:
                assert rows in (layer.target, getattr(layer, "qkv", None)), layer
        written |= {rows.buffer for rows in layer.rows()}
    assert layer.target == Rows("logits", 1, 5)


def test_only_the_class_token_is_computed_after_the_last_attention():
    layers = list(walk_layers(ModelConfig(pooling="cls"), 5))
    outs = {layer.name: layer for layer in layers if isinstance(layer, Linear) and layer.name.endswith("out")}
    assert [layer.source.n_computed for layer in outs.values()] == [13, 1]
    assert outs["layers.1.out"].multiply_adds() == outs["layers.0.out"].multiply_adds() == 13 * 56 * 56


def test_a_kind_of_layer_without_a_step_is_refused():
    @dataclass(frozen=True)
    class Unknown(Layer):
        pass

    builder = native_program._Builder(Engine([(1,), (0,), (0,), (0,)], 1), [], {})
    with pytest.raises(TypeError, match="the engine has no step for Unknown"):
        builder.add(Unknown("x", Rows("y", 1, 1)))
