"""The Triton kernels without a GPU: numerics in Triton's interpreter, code by its compiler."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

triton = pytest.importorskip("triton", reason="the extra cuda is not installed")

# One and several batch rows, heads and tiles; widths around the padded 16, 32 and 64 pairs.
SIZES = [(2, 12, 2, 28), (1, 1, 1, 2), (3, 17, 2, 6), (1, 40, 1, 34), (1, 18, 1, 66), (2, 0, 1, 4)]

IN_THE_INTERPRETER = """
import itertools
import torch
from patchtst_har.models import precompute_freqs_cis, rope_attention

fused = torch.ops.patchtst_har.rope_attention.default
fused_backward = torch.ops.patchtst_har.rope_attention_backward.default
# What the operators do with tensors of CUDA, done with those of the CPU.
cuda = torch._C.DispatchKeySet(torch._C.DispatchKey.CUDA)
seed = torch.tensor([2**62 + 12345])

def scattered(tensor):
    axes = tuple(reversed(range(tensor.ndim)))
    return tensor.permute(axes).contiguous().permute(axes)

for shape, threshold in itertools.product({sizes}, (0, 21845)):
    n, n_tokens, n_heads, width = shape
    torch.manual_seed(0)
    qkv, grad = torch.randn(n, n_tokens, 3, n_heads, width), torch.randn(shape)
    tables, p = precompute_freqs_cis(width, n_tokens), threshold / 65536
    out, lse = fused.redispatch(cuda, scattered(qkv), *tables, seed, p)
    saved = scattered(out), scattered(lse)
    grad_qkv = fused_backward.redispatch(cuda, scattered(grad), scattered(qkv), *tables, *saved, seed, p)
    wanted = fused(qkv, *tables, seed, p)
    wanted_grad = fused_backward(grad, qkv, *tables, *wanted, seed, p)
    torch.testing.assert_close((out, lse, grad_qkv), (*wanted, wanted_grad), rtol=1e-5, atol=5e-6)
    if not threshold:
        leaf = qkv.clone().requires_grad_()
        plain = rope_attention(leaf, *tables, backend="torch")
        plain.backward(grad)
        torch.testing.assert_close((out, grad_qkv), (plain.detach(), leaf.grad), rtol=1e-5, atol=1e-5)
    print(shape, threshold)
"""


@pytest.mark.spawns
def test_interpreted_kernels_equal_the_compiled_ones(tmp_path):
    """With dropout too: the pattern is the same. Without it they equal plain torch as well."""
    script = tmp_path / "interpret.py"
    script.write_text(IN_THE_INTERPRETER.format(sizes=SIZES))
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2 * len(SIZES)


def compiled(kernel, capability, options):
    """Compile for a GPU that need not be there; return (registers, bytes of stack, cubin)."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    scalars = {"seed": "*i64", "scale": "fp32", "threshold": "i32", "n_tokens": "i32", "n_heads": "i32"}
    constants = {name: value for name, value in options.items() if name != "num_warps"}
    kinds = {name: scalars.get(name, "*fp32") for name in kernel.arg_names}
    source = ASTSource(kernel, kinds | dict.fromkeys(constants, "constexpr"), constants)
    target = GPUTarget("cuda", capability, 32)
    return triton.compile(source, target=target, options={"num_warps": options["num_warps"]}).asm["cubin"]


def resources(cubin, folder):
    file = folder / "kernel.cubin"
    file.write_bytes(cubin)
    command = [triton.knobs.nvidia.cuobjdump.path, "--dump-resource-usage", file]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"REG:(\d+) STACK:(\d+) .*LOCAL:(\d+)", listing)
    assert found, listing
    return tuple(int(number) for number in found.groups())


def check_code(tmp_path, monkeypatch, capability, sizes, dropouts):
    from patchtst_har.models import attention_triton as attention

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernels = (attention.forward_kernel, attention.backward_queries_kernel, attention.backward_keys_kernel)
    for kernel, (n_tokens, width), drops in itertools.product(kernels, sizes, dropouts):
        options = attention.launch_options(kernel, n_tokens, width, drops=drops)
        registers, stack, local = resources(compiled(kernel, capability, options), tmp_path)
        what = (kernel.fn.__name__, capability, n_tokens, width, drops)
        assert 0 < registers <= 255, what
        # Spilled registers lie on the stack, in local memory.
        assert (stack, local) == (0, 0), what


@pytest.mark.compiles
@pytest.mark.parametrize("capability", [80, 90])
def test_code_for_the_default_model_keeps_everything_in_registers(tmp_path, monkeypatch, capability):
    check_code(tmp_path, monkeypatch, capability, [(12, 28)], [True])


@pytest.mark.compiles
@pytest.mark.study
@pytest.mark.parametrize("capability", [80, 90])
def test_code_for_every_kind_of_size_keeps_everything_in_registers(tmp_path, monkeypatch, capability):
    sizes = list(itertools.product((12, 512), (28, 64, 128)))
    check_code(tmp_path, monkeypatch, capability, sizes, [False, True])


def test_tensors_of_cuda_go_to_triton():
    """Stand-ins for them: shapes and devices without a device."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    from patchtst_har.models.attention import attention_backend, rope_attention

    with FakeTensorMode():
        qkv, cos, sin = (
            torch.empty(shape, device="cuda") for shape in ((2, 12, 3, 2, 28), (12, 14), (12, 14))
        )
        assert attention_backend(qkv, cos, sin) == "triton"
        assert attention_backend(qkv.bfloat16(), cos, sin) == "triton"
        assert attention_backend(qkv.double(), cos, sin) == "torch"
        wide = [torch.empty(shape, device="cuda") for shape in ((2, 12, 3, 1, 130), (12, 65), (12, 65))]
        assert attention_backend(*wide) == "torch"
        with FlopCounterMode(display=False) as counter:
            out = rope_attention(qkv, cos, sin, dropout_p=0.3, training=True)
        assert {str(op) for op in counter.get_flop_counts()["Global"]} == {"patchtst_har.rope_attention"}
        assert (out.shape, out.device.type) == ((2, 12, 2, 28), "cuda")
        with pytest.raises(ValueError, match="backend is 'triton', but d is 130, above 128"):
            rope_attention(*wide, backend="triton")
        with pytest.raises(ValueError, match="backend is 'cpu', but qkv is on cuda"):
            rope_attention(qkv, cos, sin, backend="cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA: no device")
def test_on_a_device():
    from patchtst_har.models.attention import attention_backend, precompute_freqs_cis, rope_attention

    qkv, tables = torch.randn(8, 12, 3, 2, 28), precompute_freqs_cis(28, 12)
    on_device = [tensor.cuda() for tensor in (qkv, *tables)]
    assert attention_backend(*on_device) == "triton"
    leaves = [qkv.requires_grad_(), on_device[0].requires_grad_()]
    for leaf, (cos, sin) in zip(leaves, (tables, on_device[1:]), strict=True):
        rope_attention(leaf, cos, sin).square().sum().backward()
    torch.testing.assert_close(leaves[1].grad.cpu(), leaves[0].grad, rtol=1e-4, atol=1e-5)
