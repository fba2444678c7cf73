"""Lowering to ExecuTorch: what it requires of the graph, and the program itself."""

import json

import numpy as np
import pytest
import torch

from architectures import ARCHITECTURES, random_inputs, randomise
from patchtst_har.architecture import INPUT_NAMES
from patchtst_har.config import ModelConfig
from patchtst_har.inference.export import pte_file
from patchtst_har.inference.export.program import trace, used_inputs, without_exporter_noise
from patchtst_har.models import PatchTSTClassifier

pytestmark = pytest.mark.compiles


def model_of(name):
    torch.manual_seed(0)
    return randomise(PatchTSTClassifier(ModelConfig(**{"n_layers": 1, **ARCHITECTURES[name]}), 4)).eval()


@pytest.mark.parametrize(
    "name", ["attention pooling post-norm relu", "window stem, branch, mean and maximum", "everything"]
)
def test_only_core_operators_remain(name):
    """ExecuTorch takes a graph of the core ATen operators and no other."""
    with without_exporter_noise():
        program = trace(model_of(name), batch=1).run_decompositions()
    operators = [node.target for node in program.graph.nodes if node.op == "call_function"]
    named = [target for target in operators if isinstance(target, torch._ops.OpOverload)]
    assert len(named) > 30
    assert [str(target) for target in named if torch.Tag.core not in target.tags] == []
    # The rest takes one of several results.
    assert {target.__name__ for target in operators if target not in named} <= {"getitem"}


@pytest.mark.long
def test_the_program_computes_what_the_model_does(tmp_path):
    pytest.importorskip("executorch")
    model = model_of("everything")
    config = model.config
    pte_file.write(model, tmp_path / "model.pte", {"classes": ["a", "b"]}, probabilities=True)
    named = zip(INPUT_NAMES, random_inputs(config, 5), strict=True)
    inputs = {name: tensor.numpy() for name, tensor in named if name in used_inputs(config)}
    got = pte_file.load(tmp_path / "model.pte")(inputs)
    with torch.no_grad():
        expected = model(*random_inputs(config, 5))
    np.testing.assert_allclose(got["logits"], expected.numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(got["probabilities"], expected.softmax(1).numpy(), atol=1e-6)

    from executorch.runtime import Runtime

    program = Runtime.get().load_program(tmp_path / "model.pte")
    assert program.method_names == {"forward", "patchtst_har"}
    (described,) = program.load_method("patchtst_har").execute([])
    assert json.loads(described) == {"classes": ["a", "b"]}
    content = (tmp_path / "model.pte").read_bytes()
    assert b"XnnpackBackend" in content
    assert b".py" not in content
