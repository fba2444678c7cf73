"""`patchtst_har::rope_attention` as a citizen of torch, with the plain torch path as its oracle."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from patchtst_har.config import N_STATISTICAL_FEATURES, ModelConfig
from patchtst_har.models import PatchTSTClassifier, RoPETransformerEncoderLayer, precompute_freqs_cis
from patchtst_har.models.attention import attention_backend, rope_attention, use_attention_backend
from patchtst_har.reproducibility import threads

OP = torch.ops.patchtst_har.rope_attention.default
OP_BACKWARD = torch.ops.patchtst_har.rope_attention_backward.default


def inputs(n=3, n_tokens=12, n_heads=2, width=28, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    qkv = torch.randn(n, n_tokens, 3, n_heads, width, generator=generator, dtype=dtype)
    return qkv, *precompute_freqs_cis(width, n_tokens)


def both(call, qkv, cos, sin, **options):
    """Run the fused and the plain path; return (output, gradient) of each."""
    results = []
    for backend in ("cpu", "torch"):
        leaf = qkv.detach().clone(memory_format=torch.preserve_format).requires_grad_()
        out = call(leaf, cos, sin, backend=backend, **options)
        weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out.dtype)
        (out * weight).sum().backward()
        results.append((out.detach(), leaf.grad))
    return results


@pytest.mark.parametrize(
    "shape",
    [
        *[(1, 1, 1, 2), (3, 12, 2, 28), (2, 17, 3, 6), (1, 200, 1, 64), (0, 4, 2, 4)],
        pytest.param((1, 4096, 1, 4), marks=pytest.mark.slow),
    ],
)
def test_output_and_gradient_equal_plain_torch(shape):
    (out, grad), (plain_out, plain_grad) = both(rope_attention, *inputs(*shape))
    torch.testing.assert_close(out, plain_out, rtol=1e-5, atol=3e-6)
    torch.testing.assert_close(grad, plain_grad, rtol=1e-5, atol=3e-6)


def test_the_number_of_torchs_threads_changes_no_bit():
    qkv, cos, sin = inputs(33, 40, 3, 28)
    results = []
    for n in (1, 2, 3):
        leaf = qkv.clone().requires_grad_()
        torch.manual_seed(0)
        with threads(n):
            out = rope_attention(leaf, cos, sin, dropout_p=0.3, training=True, backend="cpu")
            out.backward(torch.ones_like(out))
        results.append((out.detach(), leaf.grad))
    for out, grad in results[1:]:
        assert torch.equal(out, results[0][0])
        assert torch.equal(grad, results[0][1])


def test_input_that_is_not_contiguous():
    qkv, cos, sin = inputs()
    strided = qkv.permute(4, 3, 2, 1, 0).contiguous().permute(4, 3, 2, 1, 0)
    assert not strided.is_contiguous()
    wide = torch.stack((cos, cos), dim=-1)[..., 0]
    torch.testing.assert_close(
        rope_attention(strided, wide, sin, backend="cpu"), rope_attention(qkv, cos, sin), rtol=0, atol=0
    )
    (out, grad), (plain_out, plain_grad) = both(rope_attention, strided, wide, sin)
    torch.testing.assert_close(out, plain_out)
    torch.testing.assert_close(grad, plain_grad, rtol=1e-5, atol=3e-6)


def test_gradient_of_the_output_that_is_not_contiguous():
    qkv, cos, sin = inputs()
    leaves = [qkv.clone().requires_grad_() for _ in range(2)]
    for leaf, backend in zip(leaves, ("cpu", "torch"), strict=True):
        out = rope_attention(leaf, cos, sin, backend=backend)
        out.transpose(1, 2).contiguous().cumsum(-1).sum().backward()
    torch.testing.assert_close(leaves[0].grad, leaves[1].grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dropout_p", [0.0, 0.3])
@pytest.mark.slow
def test_opcheck(dropout_p):
    qkv, cos, sin = inputs(2, 5, 2, 4)
    seed = torch.tensor([5]) if dropout_p else None
    torch.library.opcheck(OP, (qkv.requires_grad_(), cos, sin, seed, dropout_p))
    out, lse = (result.detach() for result in OP(qkv, cos, sin, seed, dropout_p))
    # The gradient has none of its own: all checks but those that would differentiate it.
    checks = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")
    arguments = (torch.ones_like(out), qkv.detach(), cos, sin, out, lse, seed, dropout_p)
    torch.library.opcheck(OP_BACKWARD, arguments, test_utils=checks)


def test_backends_are_chosen_as_documented():
    qkv, cos, sin = inputs()
    assert attention_backend(qkv, cos, sin) == "cpu"
    assert attention_backend(qkv.bfloat16(), cos, sin) == "cpu"
    assert attention_backend(qkv.double(), cos.double(), sin.double()) == "torch"
    assert attention_backend(qkv, cos.clone().requires_grad_(), sin) == "torch"
    assert attention_backend(*(tensor.to("meta") for tensor in (qkv, cos, sin))) == "torch"


def test_override_is_in_force_inside_only():
    def ops(backend=None):
        leaf, cos, sin = inputs()
        with FlopCounterMode(display=False) as counter:
            rope_attention(leaf, cos, sin) if backend is None else rope_attention(
                leaf, cos, sin, backend=backend
            )
        return {str(op) for op in counter.get_flop_counts().get("Global", {})}

    fused = {"patchtst_har.rope_attention"}
    assert ops() == ops("cpu") == fused
    with use_attention_backend("torch"):
        assert not ops() & fused
        assert ops("cpu") == fused
    assert ops() == fused
    message = "backend must be one of auto, torch, cpu, triton, got 'cuda'"
    with pytest.raises(ValueError, match=message), use_attention_backend("cuda"):
        pass


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda qkv, cos, sin: (qkv.double(), cos, sin), r"backend is 'cpu', but qkv is torch.float64"),
        (lambda qkv, cos, sin: (qkv, cos.requires_grad_(), sin), "the tables need a gradient"),
        (lambda qkv, cos, sin: (qkv.to("meta"), cos, sin), "but qkv is on meta"),
        (lambda qkv, cos, sin: (qkv[:, :, :2], cos, sin), r"qkv must be .* got \(3, 12, 2, 2, 28\)"),
        (lambda qkv, cos, sin: (qkv, cos[1:], sin), r"cos \(11, 14\) .* must be \(12, 14\)"),
    ],
)
def test_what_the_fused_kernels_do_not_do_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        rope_attention(*change(*inputs()), backend="cpu")


def test_other_bad_arguments_are_refused_by_name():
    qkv, cos, sin = inputs()
    for p in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match="dropout_p must be at least 0 and below 1"):
            rope_attention(qkv, cos, sin, dropout_p=p, training=True)
    with pytest.raises(ValueError, match="backend must be one of"):
        rope_attention(qkv, cos, sin, backend="flash")
    with pytest.raises(ValueError, match=r"backend is 'triton', but"):
        rope_attention(qkv, cos, sin, backend="triton")
    with pytest.raises(ValueError, match="a seed is needed"):
        OP(qkv, cos, sin, None, 0.5)
    with pytest.raises(ValueError, match="seed must be one int64 number"):
        OP(qkv, cos, sin, torch.zeros(2, dtype=torch.int64), 0.5)
    with pytest.raises(ValueError, match="seed is on meta, qkv on cpu"):
        OP(qkv, cos, sin, torch.zeros(1, dtype=torch.int64, device="meta"), 0.5)
    with pytest.raises(ValueError, match="cos must be float32"):
        OP(qkv, cos.double(), sin, None, 0.0)
    out, lse = OP(qkv, cos, sin, None, 0.0)
    with pytest.raises(ValueError, match=r"lse must be float32 \(3, 2, 12\)"):
        OP_BACKWARD(out, qkv, cos, sin, out, lse[:1], None, 0.0)


def test_tables_that_need_a_gradient_do_not_go_without_in_silence():
    qkv, cos, sin = inputs(1, 3, 1, 2)
    for tables in ((cos.clone().requires_grad_(), sin), (cos, sin.clone().requires_grad_())):
        out, _ = OP(qkv, *tables, None, 0.0)
        with pytest.raises(NotImplementedError, match="no gradient for cos and sin"):
            out.sum().backward()


def test_second_derivative_says_how_to_get_one():
    qkv, cos, sin = inputs(1, 3, 1, 2)
    qkv.requires_grad_()
    (grad,) = torch.autograd.grad(rope_attention(qkv, cos, sin).square().sum(), qkv, create_graph=True)
    with pytest.raises(NotImplementedError, match="use_attention_backend\\('torch'\\)"):
        grad.sum().backward()


def test_flops_equal_the_closed_form():
    n, n_tokens, n_heads, width = 3, 12, 2, 28
    qkv, cos, sin = inputs(n, n_tokens, n_heads, width)
    product = 2 * n * n_heads * n_tokens**2 * width
    with FlopCounterMode(display=False) as counter:
        rope_attention(qkv.requires_grad_(), cos, sin).sum().backward()
    counts = {str(op): count for op, count in counter.get_flop_counts()["Global"].items()}
    assert counts == {
        "patchtst_har.rope_attention": 2 * product,
        "patchtst_har.rope_attention_backward": 5 * product,
    }


def dropped_output(seed):
    qkv, cos, sin = inputs()
    torch.manual_seed(seed)
    leaf = qkv.requires_grad_()
    out = rope_attention(leaf, cos, sin, dropout_p=0.4, training=True)
    out.square().sum().backward()
    return out.detach(), leaf.grad


def test_dropout_follows_torchs_generator():
    (out, grad), (again, grad_again), (other, _) = (dropped_output(seed) for seed in (1, 1, 2))
    assert torch.equal(out, again)
    assert torch.equal(grad, grad_again)
    assert not torch.allclose(out, other)


def test_dropout_keeps_the_mean():
    qkv, cos, sin = inputs(1, 12, 1, 4)
    many = qkv.expand(20000, -1, -1, -1, -1)
    torch.manual_seed(0)
    mean = rope_attention(many, cos, sin, dropout_p=0.3, training=True).mean(dim=0)
    torch.testing.assert_close(mean, rope_attention(qkv, cos, sin)[0], rtol=0, atol=0.02)


def test_no_random_number_is_drawn_without_dropout():
    state = torch.get_rng_state()
    rope_attention(*inputs(), dropout_p=0.5)
    rope_attention(*inputs(), training=True)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype):
    qkv, cos, sin = inputs(dtype=dtype)
    out = rope_attention(qkv, cos, sin)
    assert out.dtype == dtype
    torch.testing.assert_close(out, rope_attention(qkv.float(), cos, sin).to(dtype), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_plain_torch_takes_half_precision_with_tables_in_float32(dtype):
    qkv, cos, sin = inputs(dtype=dtype)
    out = rope_attention(qkv, cos, sin, backend="torch")
    assert out.dtype == dtype
    torch.testing.assert_close(out.float(), rope_attention(qkv.float(), cos, sin), rtol=0.05, atol=0.05)


def test_autocast():
    layer = RoPETransformerEncoderLayer(56, 2, 0.0).eval()
    tables, x = precompute_freqs_cis(28, 12), torch.randn(4, 12, 56)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = layer(x, tables)
        direct, _ = OP(*inputs(dtype=torch.bfloat16), None, 0.0)
    assert direct.dtype == torch.float32
    torch.testing.assert_close(mixed.float(), layer(x, tables), rtol=0.05, atol=0.05)
    mixed.float().square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())


def test_gradient_checkpointing_meets_the_same_dropout():
    qkv, cos, sin = inputs()
    results = []
    for run in (lambda f, *a: f(*a), lambda f, *a: checkpoint(f, *a, use_reentrant=False)):
        leaf = qkv.clone().requires_grad_()
        torch.manual_seed(3)
        run(
            lambda x: rope_attention(x, cos, sin, dropout_p=0.5, training=True), leaf
        ).square().sum().backward()
        results.append(leaf.grad)
    assert torch.equal(*results)


@pytest.mark.compiles
def test_compiled_model_equals_eager():
    """Traced forward and backward with the fused operator in the graph, dropout included."""
    model = PatchTSTClassifier(ModelConfig(dropout=0.2, n_layers=1), 4).train()
    graphs = []

    def keep(graph, _example):
        graphs.append(graph)
        return graph

    data = (
        torch.randn(5, 3, 10, 100),
        torch.randn(5, 5),
        torch.randn(5, N_STATISTICAL_FEATURES),
        torch.randn(5, 24),
    )
    results = []
    for call in (model, torch.compile(model, backend=keep, fullgraph=True)):
        model.zero_grad()
        torch.manual_seed(0)
        logits = call(*data)
        logits.square().sum().backward()
        results.append((logits.detach(), [parameter.grad.clone() for parameter in model.parameters()]))
    torch.testing.assert_close(results[0], results[1])
    assert "patchtst_har.rope_attention" in graphs[0].code


@pytest.mark.compiles
def test_compiled_through_autograd():
    qkv, cos, sin = inputs()
    compiled = torch.compile(rope_attention, backend="aot_eager", fullgraph=True)
    results = []
    for call in (rope_attention, compiled):
        leaf = qkv.clone().requires_grad_()
        call(leaf, cos, sin).square().sum().backward()
        results.append(leaf.grad)
    torch.testing.assert_close(results[0], results[1])


def check_that_forward_and_backward_drop_the_same(compiler):
    """The output is linear in the values, so their product with their gradient is the weighted output."""
    _, cos, sin = inputs()

    def doubled(qkv):
        return 2 * rope_attention(qkv, cos, sin, dropout_p=0.4, training=True)

    compiled = torch.compile(doubled, backend=compiler, fullgraph=True)
    outs = []
    for _ in range(2):
        leaf = inputs()[0].requires_grad_()
        out = compiled(leaf)
        weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
        total = (out * weight).sum()
        total.backward()
        torch.testing.assert_close((leaf.grad[:, :, 2] * leaf[:, :, 2]).sum(), total, rtol=1e-4, atol=1e-3)
        outs.append(out.detach())
    assert not torch.allclose(*outs), "each call drops others"


# What torch's code generator imports uses what torch deprecates.
imports_inductor = pytest.mark.filterwarnings(
    "ignore:.torch.jit.script_method. is deprecated:DeprecationWarning"
)


@pytest.mark.compiles
@imports_inductor
def test_compiled_dropout_is_the_same_in_the_backward_pass():
    """Through the partitioner, which may compute cheap values again in the backward pass."""
    check_that_forward_and_backward_drop_the_same("aot_eager_decomp_partition")


@pytest.mark.study
@imports_inductor
def test_inductor_compiles_forward_and_backward(tmp_path, monkeypatch):
    """With the code generator too, which takes a C++ compiler and the better part of a minute."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    check_that_forward_and_backward_drop_the_same("inductor")
    layer = RoPETransformerEncoderLayer(8, 2, 0.0)
    tables = precompute_freqs_cis(4, 6)
    compiled = torch.compile(layer, fullgraph=True, dynamic=True)
    for n in (3, 5):
        x = torch.randn(n, 6, 8)
        results = []
        for call in (layer, compiled):
            layer.zero_grad()
            call(x, tables).square().sum().backward()
            results.append([parameter.grad.clone() for parameter in layer.parameters()])
        torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)


@pytest.mark.compiles
def test_export_keeps_the_operator():
    layer = RoPETransformerEncoderLayer(8, 2, 0.0).eval()
    tables, x = precompute_freqs_cis(4, 6), torch.randn(3, 6, 8)
    program = torch.export.export(
        layer, (x, tables), dynamic_shapes=({0: torch.export.Dim.DYNAMIC}, (None, None))
    )
    assert "patchtst_har.rope_attention" in program.graph_module.code
    longer = torch.randn(7, 6, 8)
    torch.testing.assert_close(program.module()(longer, tables), layer(longer, tables))
    with use_attention_backend("torch"):
        plain = torch.export.export(layer, (x, tables))
    assert "patchtst_har" not in plain.graph_module.code


DDP = """
import sys
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel
from patchtst_har.config import N_STATISTICAL_FEATURES, ModelConfig
from patchtst_har.models import PatchTSTClassifier

def model(dropout):
    torch.manual_seed(0)
    return PatchTSTClassifier(
        ModelConfig(window_size=40, patch_len=10, d_model=8, n_layers=1, d_ff=8, dropout=dropout), 3
    )

def train(rank, store):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=2)
    make = torch.Generator().manual_seed(1)
    shapes = ((3, 4, 10), (5,), (N_STATISTICAL_FEATURES,), (24,))
    data = [torch.randn(4, *shape, generator=make) for shape in shapes]
    mine = [tensor[2 * rank : 2 * rank + 2] for tensor in data]
    shared, alone = DistributedDataParallel(model(0.0)), model(0.0)
    shared(*mine).square().mean().backward()
    alone(*data).square().mean().backward()
    for ours, own in zip(shared.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, own.grad)

    dropping = DistributedDataParallel(model(0.5))
    torch.manual_seed(rank)
    dropping(*mine).square().mean().backward()
    for parameter in dropping.parameters():
        both = [torch.empty_like(parameter.grad) for _ in range(2)]
        dist.all_gather(both, parameter.grad)
        assert torch.equal(*both)
    dist.destroy_process_group()

if __name__ == "__main__":
    mp.start_processes(train, (sys.argv[1],), 2, start_method="fork")
"""


@pytest.mark.spawns
def test_distributed_data_parallel(tmp_path):
    """Two processes: gradients of the halves of a batch average to the whole's, and agree under dropout."""
    script = tmp_path / "ddp.py"
    script.write_text(DDP)
    # Not a fork: there, torch's process group and its thread could wait for each other at the end.
    subprocess.run([sys.executable, script, tmp_path / "store"], check=True, timeout=120)
