"""Rotary attention and the training step around it: the fused operator compared with plain torch.

Plain torch is rotation, transposes and `scaled_dot_product_attention`. Outputs and gradients are compared
before anything is timed. `torch_to_fused_p50` in `extra_info` is the ratio of their
medians, called in turn.
"""

from __future__ import annotations

import pytest
import torch

from measuring import instruction_sets
from patchtst_har.config import N_STATISTICAL_FEATURES, ModelConfig
from patchtst_har.models import PatchTSTClassifier, precompute_freqs_cis, rope_attention
from patchtst_har.models.attention import use_attention_backend
from patchtst_har.reproducibility import threads

N_HEADS, HEAD_DIM = 2, 28
LONG = pytest.mark.bench_long
# A parameter marked long makes every combination with it long.
LONG_SHAPES = ((1, 12), (32, 8), (1024, 12), (8, 32), (8, 128), (8, 512))
SHAPES = [(32, 12), (256, 12), *(pytest.param(*shape, marks=LONG) for shape in LONG_SHAPES)]
BATCHES = [32, 256, *(pytest.param(batch, marks=LONG) for batch in (1, 1024))]


@pytest.fixture(params=[1, pytest.param(2, marks=LONG)])
def n_threads(request):
    with threads(request.param):
        yield request.param


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
    return [lambda _: call("auto"), lambda _: call("torch")]


@pytest.mark.parametrize("dropout_p", [pytest.param(0.0, marks=LONG), 0.3])
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "forward_backward"])
@pytest.mark.parametrize(("batch", "n_tokens"), SHAPES)
def test_attention(batch, n_tokens, backward, dropout_p, n_threads, device, measure):
    fused, plain = attention_calls(batch, n_tokens, dropout_p, backward, device)
    slow = n_tokens > 128 or batch > 256
    measure(fused, [None], rounds=40 if slow else 700)
    measure.ratio("torch_to_fused_p50", plain, fused, [None], rounds=20 if slow else 100)


@LONG
@pytest.mark.parametrize("isa", instruction_sets(), indirect=True)
def test_attention_per_instruction_set(isa, measure):
    with threads(1):
        fused, _ = attention_calls(32, 12, 0.0, True, torch.device("cpu"))
        measure(fused, [None], rounds=700)


def training_calls(batch, device):
    """Return steps of the default model, fused and plain, on models of the same weights."""
    config, generator = ModelConfig(), torch.Generator().manual_seed(0)
    shapes = ((3, config.n_patches, config.patch_len), (5,), (N_STATISTICAL_FEATURES,), (24,))
    data = [torch.randn(batch, *shape, generator=generator).to(device) for shape in shapes]
    labels = torch.arange(batch, device=device) % 6

    def make(backend):
        torch.manual_seed(0)
        model = PatchTSTClassifier(config, 6).to(device).train()
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)

        def step(_):
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
def test_training_step(batch, n_threads, device, measure):
    fused, plain = training_calls(batch, device)
    measure(fused, [None], rounds=20 if batch > 32 else 130)
    measure.ratio("torch_to_fused_p50", plain, fused, [None], rounds=10 if batch > 32 else 40)
