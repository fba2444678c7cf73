"""The forward pass of the reference configuration: compiled engine, torch, ONNX Runtime, OpenVINO, CUDA.

Every result is compared with torch in float64 before it is timed; one thread. ``-k native`` takes one engine.
Compiling takes torch a minute. ``-k cuda`` needs a device.
"""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch

from architectures import randomise
from measuring import instruction_sets, percentiles_us
from patchtst_har import _core, synthetic
from patchtst_har.architecture import INPUT_NAMES, expected_complexity
from patchtst_har.config import ModelConfig
from patchtst_har.errors import PrecisionError
from patchtst_har.inference.export import onnx_file
from patchtst_har.inference.inputs import cut_patches
from patchtst_har.inference.native import NativeClassifier
from patchtst_har.models import PatchTSTClassifier
from patchtst_har.models.attention import use_attention_backend

pytestmark = pytest.mark.usefixtures("one_thread")
CONFIG, N_CLASSES = ModelConfig(), 6
N_ROUNDS = {1: 3000, 32: 300, 256: 60, 1024: 20}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return randomise(PatchTSTClassifier(CONFIG, N_CLASSES)).eval()


@pytest.fixture(params=N_ROUNDS, ids=lambda n: f"batch{n}")
def batches(request, model):
    """Return a few batches of inputs, windows of walking, and the logits of the first."""
    n = request.param
    rng = np.random.default_rng(0)
    windows = synthetic.windows("walking", n)
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
def check_and_measure(batches, measure, benchmark):
    """Return ``check_and_measure(classify)``: check one batch against float64, then time every batch."""
    inputs, expected = batches
    n = len(expected)

    def run(classify):
        np.testing.assert_allclose(np.asarray(classify(inputs[0])), expected, rtol=0, atol=1e-4)
        measure(classify, inputs, rounds=N_ROUNDS[n], per_round=n)
        note_gflops(benchmark, expected_complexity(CONFIG, N_CLASSES)["flops"])

    return run


def note_gflops(benchmark, flops):
    if not benchmark.disabled:
        benchmark.extra_info["gflops_at_p50"] = round(flops / benchmark.extra_info["p50_us"] / 1e3, 1)


@pytest.mark.parametrize("isa", instruction_sets())
def test_native(check_and_measure, model, isa):
    active = _core.active_isa()
    _core.select_isa(isa)
    native = NativeClassifier.from_torch(model)
    _core.select_isa(active)
    check_and_measure(lambda inputs: native.logits(*inputs))


def test_native_bfloat16(batches, model, measure):
    """Compared with float32, the two in turn: `float32_to_bfloat16_p50`."""
    try:
        rounded = NativeClassifier.from_torch(model, precision="bfloat16")
    except PrecisionError as error:
        pytest.skip(str(error))
    single = NativeClassifier.from_torch(model)
    inputs, expected = batches
    n = len(expected)
    slow, fast = (lambda batch: single.logits(*batch)), (lambda batch: rounded.logits(*batch))
    np.testing.assert_allclose(fast(inputs[0]), expected, rtol=0, atol=0.03)
    measure(fast, inputs, rounds=N_ROUNDS[n], per_round=n)
    measure.ratio("float32_to_bfloat16_p50", slow, fast, inputs, rounds=N_ROUNDS[n])


def test_eager(check_and_measure, model):
    check_and_measure(torch.inference_mode()(lambda inputs: model(*map(torch.from_numpy, inputs))))


@pytest.mark.bench_long
def test_compiled(batches, check_and_measure, model):
    # torch's compiler imports parts of torch that announce their own removal.
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        compiled = torch.compile(model, dynamic=False)
        classify = torch.inference_mode()(lambda inputs: compiled(*map(torch.from_numpy, inputs)))
        classify(batches[0][0])
    check_and_measure(classify)


@pytest.fixture(scope="module")
def onnx_path(model, tmp_path_factory):
    """Return the exported model; skip without the packages that it takes."""
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package)
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    onnx_file.write(model, path, {})
    return path


def test_onnx_runtime(check_and_measure, onnx_path):
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(onnx_path, options, providers=["CPUExecutionProvider"])
    check_and_measure(lambda inputs: session.run(None, dict(zip(INPUT_NAMES, inputs, strict=True)))[0])


def test_openvino(batches, check_and_measure, onnx_path):
    openvino = pytest.importorskip("openvino")
    model = openvino.Core().read_model(onnx_path)
    # As large as they will be: it optimises for the sizes it knows.
    model.reshape({name: array.shape for name, array in zip(INPUT_NAMES, batches[0][0], strict=True)})
    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    settings["INFERENCE_PRECISION_HINT"] = "f32"
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    check_and_measure(
        lambda inputs: request.infer(dict(zip(INPUT_NAMES, inputs, strict=True)), share_inputs=True)[0]
    )


@pytest.mark.parametrize("attention", ["torch", "triton"])
@pytest.mark.parametrize("device", ["cuda"])
def test_device(batches, model, measure, benchmark, device, attention):
    """The inputs are there already. Every call is waited for; ``device_p50_us`` is between two events."""
    if not torch.cuda.is_available():
        pytest.skip("CUDA: no device")
    if attention == "triton":
        pytest.importorskip("triton")
    inputs, expected = batches
    n = len(expected)
    on_device = copy.deepcopy(model).to(device)
    inputs = [tuple(torch.from_numpy(array).to(device) for array in batch) for batch in inputs]
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    device_ms = []

    def classify(batch):
        begin.record()
        logits = on_device(*batch)
        end.record()
        end.synchronize()
        device_ms.append(begin.elapsed_time(end))
        return logits

    assert torch.get_float32_matmul_precision() == "highest"
    with use_attention_backend(attention), torch.inference_mode():
        np.testing.assert_allclose(classify(inputs[0]).cpu().numpy(), expected, rtol=0, atol=1e-4)
        measure(classify, inputs, rounds=N_ROUNDS[n], per_round=n)
    # Without the check and the warm-up, which come first.
    seconds = [ms / 1e3 for ms in device_ms[-measure.rounds(N_ROUNDS[n]) :]]
    of_device = {f"device_{name}": value for name, value in percentiles_us(seconds, n).items()}
    benchmark.extra_info.update(of_device)


def test_matrix_product(measure, benchmark):
    """A large product on one thread: what this machine reaches at best."""
    matrices = [torch.randn(768, 768) for _ in range(3)]
    exact = matrices[0].double() @ matrices[0].double()
    torch.testing.assert_close((matrices[0] @ matrices[0]).double(), exact, rtol=1e-4, atol=1e-3)
    measure(lambda a: a @ a, matrices, rounds=100)
    note_gflops(benchmark, 2 * 768**3)
