"""The comparison that stands between a file and its name."""

import numpy as np
import pytest
import torch

from architectures import random_inputs, randomise
from patchtst_har.config import ModelConfig
from patchtst_har.datasets.inputs import ModelInputs
from patchtst_har.errors import ExportError
from patchtst_har.inference.export.check import check, example_windows
from patchtst_har.models import PatchTSTClassifier

CONFIG = ModelConfig(n_layers=1)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return randomise(PatchTSTClassifier(CONFIG, 4)).eval()


def window_inputs(n):
    _, times, stats, topo = (tensor.numpy() for tensor in random_inputs(CONFIG, n))
    return ModelInputs(example_windows(n, CONFIG.window_size, 100.0), times, stats, topo)


def run_of(model, change=lambda outputs: outputs, seen=None):
    """Return a file's stand-in: the model itself, its outputs changed."""

    def run(inputs):
        with torch.no_grad():
            logits = model(*map(torch.from_numpy, inputs.values()))
        if seen is not None:
            seen.append(len(logits))
        return change({"logits": logits.numpy(), "probabilities": logits.softmax(1).numpy()})

    return run


@pytest.mark.parametrize(("n", "batches"), [(1, [1, 1, 1]), (5, [1, 2, 5]), (600, [1, 2, 256, 256, 88])])
@pytest.mark.slow
def test_batches_of_several_sizes_cover_every_window(model, n, batches):
    seen = []
    assert check(run_of(model, seen=seen), model, window_inputs(n), "a.onnx") < 1e-5
    assert seen == batches


def changed(name, change):
    return lambda outputs: {**outputs, name: change(outputs[name].copy())}


def raise_one(values, by):
    values[-1, 0] += by
    return values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed("logits", lambda values: raise_one(values, 0.01)), "torch module: logits by 0\\.01"),
        (changed("logits", lambda values: raise_one(values, np.nan)), "logits by nan"),
        (changed("logits", lambda values: values[:, ::-1]), "logits by"),
        (changed("logits", lambda values: values[:, :3]), r"logits has shape \(1, 3\), not \(1, 4\)"),
        (changed("probabilities", lambda values: raise_one(values, 0.01)), "probabilities by 0.01"),
        (lambda outputs: {"probabilities": outputs["probabilities"]}, "has no output logits"),
    ],
)
def test_what_differs_is_refused(model, change, message):
    with pytest.raises(ExportError, match=r"a\.onnx: .*" + message):
        check(run_of(model, change), model, window_inputs(5), "a.onnx")


@pytest.mark.slow
def test_a_wrong_last_window_is_found(model):
    def spoil(outputs):
        return (
            changed("logits", lambda values: raise_one(values, 0.01))(outputs) if seen[-1] == 44 else outputs
        )

    seen = []
    with pytest.raises(ExportError, match=r"logits by 0\.01"):
        check(run_of(model, spoil, seen), model, window_inputs(300), "a.onnx")


def test_the_made_up_windows_are_of_several_kinds_and_always_the_same():
    windows = example_windows(33, 1000, 100.0)
    assert windows.dtype == np.float32
    np.testing.assert_array_equal(windows, example_windows(33, 1000, 100.0))
    magnitude = np.linalg.norm(windows.astype(float), axis=2)
    np.testing.assert_allclose(magnitude[::3].mean(axis=1), 1.0, atol=0.01)
    spread = magnitude.std(axis=1)
    assert (spread[::3] < 0.02).all()
    assert (spread[1::3] > 0.05).all()
    assert (spread[2::3] > 0.2).all()
