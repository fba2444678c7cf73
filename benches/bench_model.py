"""The forward pass of the reference configuration: compiled engine, torch eager and compiled, ONNX Runtime.

Every result is compared with torch in float64 before it is timed; one thread. ``-k native`` takes one engine.
Compiling takes torch a minute.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from architectures import randomise
from measuring import instruction_sets
from patchtst_har import _core
from patchtst_har.config import ModelConfig
from patchtst_har.evaluation.complexity import expected_complexity
from patchtst_har.inference.inputs import cut_patches
from patchtst_har.inference.native import NativeClassifier
from patchtst_har.models import PatchTSTClassifier
from patchtst_har.models.attention import use_attention_backend

CONFIG, N_CLASSES = ModelConfig(), 6
N_ROUNDS = {1: 3000, 32: 300, 256: 60, 1024: 20}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return randomise(PatchTSTClassifier(CONFIG, N_CLASSES)).eval()


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=N_ROUNDS, ids=lambda n: f"batch{n}")
def batches(request, model):
    """Return a few batches of inputs, walking-like windows, and the logits of the first."""
    n = request.param
    rng = np.random.default_rng(0)
    time_s = np.arange(1000) / 100
    phase = 2 * np.pi * rng.uniform(1, 2.5, (n, 1, 1)) * time_s[:, None] + rng.uniform(0, 6, (n, 1, 3))
    windows = (0.5 + 0.4 * np.sin(phase) + rng.normal(0, 0.05, phase.shape)).astype(np.float32)
    widths = (CONFIG.n_time_features, CONFIG.n_stat_features, CONFIG.n_topo_features)
    patches = cut_patches(windows, CONFIG.patch_len, CONFIG.patch_hop)
    inputs = [
        (patches + np.float32(shift), *(rng.normal(size=(n, width)).astype(np.float32) for width in widths))
        for shift in (0.0, 0.1, 0.2)
    ]
    with torch.inference_mode():
        doubles = (torch.from_numpy(array).double() for array in inputs[0])
        expected = model.double()(*doubles).numpy()
    model.float()
    return inputs, expected


@pytest.fixture
def compare(batches, measure, benchmark):
    """Return ``compare(classify)``: check one batch against float64, then time every batch."""
    inputs, expected = batches
    n = len(expected)

    def run(classify):
        np.testing.assert_allclose(np.asarray(classify(inputs[0])), expected, rtol=0, atol=1e-4)
        measure(classify, inputs, rounds=N_ROUNDS[n], per_round=n)
        if not benchmark.disabled:
            flops = expected_complexity(CONFIG, N_CLASSES)["flops"]
            benchmark.extra_info["gflops_at_p50"] = round(flops / benchmark.extra_info["p50_us"] / 1e3, 1)

    return run


@pytest.mark.parametrize("isa", instruction_sets())
def test_native(compare, model, isa):
    active = _core.active_isa()
    _core.select_isa(isa)
    native = NativeClassifier.from_torch(model)
    _core.select_isa(active)
    compare(lambda inputs: native.logits(*inputs))


def test_eager(compare, model):
    compare(torch.inference_mode()(lambda inputs: model(*map(torch.from_numpy, inputs))))


@pytest.mark.bench_long
def test_compiled(batches, compare, model):
    with warnings.catch_warnings():
        # torch's compiler imports parts of torch that announce their own removal.
        warnings.simplefilter("ignore", DeprecationWarning)
        compiled = torch.compile(model, dynamic=False)
        classify = torch.inference_mode()(lambda inputs: compiled(*map(torch.from_numpy, inputs)))
        classify(batches[0][0])
    compare(classify)


def test_onnx_runtime(compare, model, tmp_path):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    names = ["patches", "times", "stats", "topo"]
    widths = (CONFIG.n_time_features, CONFIG.n_stat_features, CONFIG.n_topo_features)
    shapes = ((3, CONFIG.n_patches, CONFIG.patch_len), *((width,) for width in widths))
    with warnings.catch_warnings(), use_attention_backend("torch"):
        # The tracing exporter announces its successor, and that it fixes shapes, which the checks only read.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            tuple(torch.zeros(2, *shape) for shape in shapes),
            tmp_path / "model.onnx",
            input_names=names,
            dynamic_axes={name: {0: "n"} for name in names},
            opset_version=17,
            dynamo=False,
        )
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(tmp_path / "model.onnx", options, providers=["CPUExecutionProvider"])
    compare(lambda inputs: session.run(None, dict(zip(names, inputs, strict=True)))[0])


def test_matrix_product(measure, benchmark):
    """A large product on one thread: what this machine reaches at best."""
    matrices = [torch.randn(768, 768) for _ in range(3)]
    exact = matrices[0].double() @ matrices[0].double()
    torch.testing.assert_close((matrices[0] @ matrices[0]).double(), exact, rtol=1e-4, atol=1e-3)
    measure(lambda a: a @ a, matrices, rounds=100)
    if not benchmark.disabled:
        benchmark.extra_info["gflops_at_p50"] = round(2 * 768**3 / benchmark.extra_info["p50_us"] / 1e3, 1)
