"""Programs of torch.export: with torch alone, and with the fused operator of this package."""

import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

from architectures import ARCHITECTURES, random_inputs, randomise
from patchtst_har.architecture import INPUT_NAMES
from patchtst_har.config import ModelConfig
from patchtst_har.inference.export import pt2_file
from patchtst_har.inference.export.program import trace, used_inputs
from patchtst_har.models import PatchTSTClassifier

pytestmark = pytest.mark.compiles

CONFIG = ModelConfig(**ARCHITECTURES["everything"])


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return randomise(PatchTSTClassifier(CONFIG, 4)).eval()


@pytest.fixture(scope="module")
def written(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "model.pt2"
    pt2_file.write(model, path, {"classes": ["a", "b"]}, probabilities=True)
    return path


def inputs_of(config, n):
    named = zip(INPUT_NAMES, random_inputs(config, n), strict=True)
    return {name: tensor for name, tensor in named if name in used_inputs(config)}


@pytest.mark.parametrize("n", [1, 2, 33])
def test_the_file_computes_what_the_model_does(model, written, n):
    got = pt2_file.load(written)({name: tensor.numpy() for name, tensor in inputs_of(CONFIG, n).items()})
    with torch.no_grad():
        expected = model(*random_inputs(CONFIG, n))
    np.testing.assert_allclose(got["logits"], expected.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got["probabilities"], expected.softmax(1).numpy(), atol=1e-6)


@pytest.mark.spawns
def test_it_loads_where_this_package_does_not_exist(model, written, tmp_path):
    inputs = inputs_of(CONFIG, 3)
    np.savez(tmp_path / "inputs.npz", **{name: tensor.numpy() for name, tensor in inputs.items()})
    code = f"""
import sys
sys.modules["patchtst_har"] = None
import json, numpy, torch
files = {{"patchtst_har.json": ""}}
module = torch.export.load({str(written)!r}, extra_files=files).module()
assert json.loads(files["patchtst_har.json"]) == {{"classes": ["a", "b"]}}
with numpy.load({str(tmp_path / "inputs.npz")!r}) as arrays:
    outputs = module(**{{name: torch.from_numpy(arrays[name]) for name in arrays.files}})
numpy.save({str(tmp_path / "logits.npy")!r}, outputs["logits"].detach().numpy())
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    with torch.no_grad():
        expected = model(*random_inputs(CONFIG, 3)).numpy()
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), expected, rtol=1e-5, atol=1e-6)


def test_nothing_in_it_is_pickled_and_no_path_of_this_machine_is_in_it(written):
    with zipfile.ZipFile(written) as archive:
        members = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    for name in ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json"):
        entries = json.loads(members[name])["config"].values()
        assert entries
        assert not any(entry["use_pickle"] for entry in entries)
    # Empty: of the members that torch would unpickle, there is none.
    assert members["data/sample_inputs/model.pt"] == b""
    assert json.loads(members["extra/patchtst_har.json"]) == {"classes": ["a", "b"]}
    for name, content in members.items():
        assert not content.startswith((b"PK", b"\x80")) or "weight_" in name or "tensor_" in name, name
        assert b".py" not in content, name


def test_the_fused_operator_survives_a_file_where_this_package_is(model):
    program = trace(model, attention="cpu")
    targets = [str(node.target) for node in program.graph.nodes]
    assert targets.count("patchtst_har.rope_attention.default") == CONFIG.n_layers
    assert not any("scaled_dot_product" in target for target in targets)
    archive = io.BytesIO()
    torch.export.save(program, archive)
    archive.seek(0)
    again = torch.export.load(archive).module()
    for n in (1, 5):
        with torch.no_grad():
            got, expected = again(**inputs_of(CONFIG, n))["logits"], model(*random_inputs(CONFIG, n))
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)
