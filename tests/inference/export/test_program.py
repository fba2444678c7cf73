"""What every format is made from."""

import logging
import warnings

import pytest
import torch

from architectures import randomise
from patchtst_har.config import N_STATISTICAL_FEATURES, ModelConfig
from patchtst_har.inference.export.program import trace, used_inputs, without_exporter_noise
from patchtst_har.models import PatchTSTClassifier


@pytest.mark.slow
def test_the_model_is_not_changed():
    model = randomise(PatchTSTClassifier(ModelConfig(n_layers=1), 5)).double().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    program = trace(model, batch=1)
    assert {tensor.dtype for tensor in program.state_dict.values()} == {torch.float32}
    assert model.training
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == before[name].dtype
        assert torch.equal(tensor, before[name]), name


@pytest.mark.compiles
def test_only_used_inputs_are_asked_for():
    everything = used_inputs(ModelConfig())
    assert everything == {
        "patches": (3, 10, 100),
        "times": (5,),
        "stats": (N_STATISTICAL_FEATURES,),
        "topo": (24,),
    }
    config = ModelConfig(n_layers=1, n_time_features=0, n_topo_features=0)
    assert list(used_inputs(config)) == ["patches", "stats"]
    program = trace(PatchTSTClassifier(config, 2), batch=1)
    assert list(program.graph_signature.user_inputs) == ["patches", "stats"]


def test_noise_is_hidden_only_inside(caplog):
    logger = logging.getLogger("torch.onnx")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with without_exporter_noise():
            warnings.warn("inside", stacklevel=1)
            logger.warning("inside")
        warnings.warn("outside", stacklevel=1)
        logger.warning("outside")
    assert [str(one.message) for one in caught] == ["outside"]
    assert caplog.messages == ["outside"]
