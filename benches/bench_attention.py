"""Rotary attention and the training step around it: the fused operator beside plain torch.

Plain torch is rotation, transposes and `scaled_dot_product_attention`. Outputs and gradients are compared
before anything is timed. `torch_to_fused_p50` in `extra_info` is the median of ratios of
calls in turn.
"""

from __future__ import annotations

import statistics
import time

import pytest
import torch

from patchtst_har import _core
from patchtst_har.config import ModelConfig
from patchtst_har.models import PatchTSTClassifier, precompute_freqs_cis, rope_attention
from patchtst_har.models.attention import use_attention_backend

N_HEADS, HEAD_DIM = 2, 28
SHAPES = [(1, 12), (32, 8), (32, 12), (256, 12), (1024, 12), (8, 32), (8, 128), (8, 512)]
BATCHES = [1, 32, 256, 1024]
DEVICES = ["cpu", "cuda"]


@pytest.fixture(params=[1, 2])
def n_threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture(params=DEVICES)
def device(request):
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("CUDA: no device")
    return torch.device(request.param)


def finish(device):
    """Wait for what was started: CUDA returns before it is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def seconds(function, device):
    """On CUDA between two events of the device, so that the host's waiting is not counted."""
    finish(device)
    if device.type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        function()
        end.record()
        finish(device)
        return start.elapsed_time(end) / 1e3
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def compare(functions, benchmark, device, rounds):
    """Time two functions in turn; put the median of the ratios, first to second, into `extra_info`."""
    n = 0 if benchmark.disabled else rounds
    ratios = [seconds(functions[1], device) / seconds(functions[0], device) for _ in range(n)]
    if ratios:
        benchmark.extra_info["torch_to_fused_p50"] = round(statistics.median(ratios), 2)
        print(f"\n{benchmark.name}: plain torch takes {statistics.median(ratios):.2f} times as long")


def attention_calls(batch, n_tokens, dropout_p, backward, device):
    generator = torch.Generator().manual_seed(0)
    qkv = torch.randn(batch, n_tokens, 3, N_HEADS, HEAD_DIM, generator=generator).to(device)
    grad = torch.randn(batch, n_tokens, N_HEADS, HEAD_DIM, generator=generator).to(device)
    tables = [table.to(device) for table in precompute_freqs_cis(HEAD_DIM, n_tokens)]
    qkv.requires_grad_(backward)

    def call(backend, p=dropout_p):
        out = rope_attention(qkv, *tables, dropout_p=p, training=True, backend=backend)
        return (out, *torch.autograd.grad(out, qkv, grad)) if backward else (out,)

    for fused, plain in zip(call("auto", 0.0), call("torch", 0.0), strict=True):
        torch.testing.assert_close(fused, plain, rtol=1e-4, atol=1e-5)
    return [lambda: call("auto"), lambda: call("torch")]


@pytest.mark.parametrize("dropout_p", [0.0, 0.3])
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "forward_backward"])
@pytest.mark.parametrize(("batch", "n_tokens"), SHAPES)
def test_attention(batch, n_tokens, backward, dropout_p, n_threads, device, benchmark, measure):
    calls = attention_calls(batch, n_tokens, dropout_p, backward, device)
    rounds = 20 if n_tokens > 128 or batch > 256 else 100
    compare(calls, benchmark, device, rounds)

    def run(_):
        calls[0]()
        finish(device)

    measure(run, [None], rounds=rounds)


@pytest.mark.parametrize("isa", _core.available_isas())
def test_attention_per_instruction_set(isa, benchmark, measure):
    active, before = _core.active_isa(), torch.get_num_threads()
    _core.select_isa(isa)
    torch.set_num_threads(1)
    try:
        calls = attention_calls(32, 12, 0.0, True, torch.device("cpu"))
        measure(lambda _: calls[0](), [None], rounds=200)
    finally:
        _core.select_isa(active)
        torch.set_num_threads(before)


def training_calls(batch, device):
    """Return steps of the default model, fused and plain, on models of the same weights."""
    config, generator = ModelConfig(), torch.Generator().manual_seed(0)
    shapes = ((3, config.n_patches, config.patch_len), (5,), (56,), (24,))
    data = [torch.randn(batch, *shape, generator=generator).to(device) for shape in shapes]
    labels = torch.arange(batch, device=device) % 6

    def make(backend):
        torch.manual_seed(0)
        model = PatchTSTClassifier(config, 6).to(device).train()
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)

        def step():
            optimizer.zero_grad(set_to_none=True)
            with use_attention_backend(backend):
                loss = torch.nn.functional.cross_entropy(model(*data), labels)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

        return model, step

    (fused, fused_step), (plain, plain_step) = make("auto"), make("torch")
    with torch.no_grad():
        with use_attention_backend("torch"):
            wanted = plain.eval()(*data)
        torch.testing.assert_close(fused.eval()(*data), wanted, rtol=1e-4, atol=1e-4)
    fused.train()
    plain.train()
    return [fused_step, plain_step]


@pytest.mark.parametrize("batch", BATCHES)
def test_training_step(batch, n_threads, device, benchmark, measure):
    steps = training_calls(batch, device)
    rounds = 20 if batch > 256 else 60
    compare(steps, benchmark, device, rounds)

    def run(_):
        steps[0]()
        finish(device)

    measure(run, [None], rounds=rounds)
