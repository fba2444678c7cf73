"""ONNX files of many architectures, run by ONNX Runtime."""

import json

import numpy as np
import onnx
import pytest
import torch

import patchtst_har
from architectures import ARCHITECTURES, random_inputs, randomise
from patchtst_har.architecture import INPUT_NAMES
from patchtst_har.config import N_STATISTICAL_FEATURES, ModelConfig
from patchtst_har.inference import NativeClassifier
from patchtst_har.inference.export import onnx_file
from patchtst_har.inference.export.program import used_inputs
from patchtst_har.models import PatchTSTClassifier

pytestmark = pytest.mark.compiles

# Between them: every choice of every option. An export takes seconds, so some are in one.
ONNX_ARCHITECTURES = {
    **ARCHITECTURES,
    "one patch, wide heads, attention pooling post-norm relu, no features": {
        **ARCHITECTURES["one patch"],
        **ARCHITECTURES["wide heads"],
        **ARCHITECTURES["attention pooling post-norm relu"],
        **ARCHITECTURES["no features"],
    },
}
CHOSEN = (
    "everything",
    pytest.param(
        "one patch, wide heads, attention pooling post-norm relu, no features", marks=pytest.mark.long
    ),
    pytest.param("window stem, branch, mean and maximum", marks=pytest.mark.long),
    pytest.param("branch of one vector, cls", marks=pytest.mark.long),
)


def model_of(config, num_classes=5):
    torch.manual_seed(0)
    return randomise(PatchTSTClassifier(config, num_classes)).eval()


def named_inputs(config, n, seed=0):
    arrays = [tensor.numpy() for tensor in random_inputs(config, n, seed)]
    return arrays, {
        name: array for name, array in zip(INPUT_NAMES, arrays, strict=True) if name in used_inputs(config)
    }


@pytest.mark.parametrize("name", CHOSEN)
def test_every_option_gives_equal_logits(name, tmp_path):
    # One layer where the number is not what is tried: exporting takes time by the layer.
    config = ModelConfig(**{"n_layers": 1, **ONNX_ARCHITECTURES[name]})
    model = model_of(config)
    onnx_file.write(model, tmp_path / "model.onnx", {})
    run, native = onnx_file.load(tmp_path / "model.onnx"), NativeClassifier.from_torch(model)
    for n in (1, 2, 33):
        arrays, inputs = named_inputs(config, n, seed=n)
        got = run(inputs)
        assert list(got) == ["logits"]
        with torch.no_grad():
            expected = model(*map(torch.from_numpy, arrays)).numpy()
        np.testing.assert_allclose(got["logits"], expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(got["logits"], native.logits(*arrays), rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    onnx_file.write(model_of(ModelConfig()), path, {"classes": ["a", "ü"]}, probabilities=True)
    return path


def test_the_graph_is_plain_and_names_what_goes_in_and_out(written):
    proto = onnx.load(written)
    assert [(used.domain, used.version) for used in proto.opset_import] == [("", 20)]
    assert {node.domain for node in proto.graph.node} == {""}
    assert len(proto.functions) == 0
    shapes = {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*proto.graph.input, *proto.graph.output)
    }
    assert shapes == {
        "patches": ["batch", 3, 10, 100],
        "times": ["batch", 5],
        "stats": ["batch", N_STATISTICAL_FEATURES],
        "topo": ["batch", 24],
        "logits": ["batch", 5],
        "probabilities": ["batch", 5],
    }


def test_the_file_says_what_it_is_and_nothing_of_this_machine(written):
    proto = onnx.load(written)
    (described,) = proto.metadata_props
    assert described.key == "patchtst_har"
    assert json.loads(described.value) == {"classes": ["a", "ü"]}
    assert (proto.producer_name, proto.producer_version) == ("patchtst-har", patchtst_har.__version__)
    content = written.read_bytes()
    for trace in (b"/patchtst", b"site-packages", b".py"):
        assert trace not in content


def test_probabilities_are_the_softmax(written):
    _, inputs = named_inputs(ModelConfig(), 7)
    got = onnx_file.load(written)(inputs)
    expected = torch.from_numpy(got["logits"]).double().softmax(1).numpy()
    np.testing.assert_allclose(got["probabilities"], expected, atol=1e-6)
