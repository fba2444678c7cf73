"""The Triton kernels without a GPU: code by Triton's compiler, choices by torch's stand-ins for tensors.

Their numerics, in Triton's interpreter or on a device, are checked by `benches/cuda_check.py`.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import subprocess

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from forking import python
from on_cuda.sizes import ON_A_DEVICE, THIRD
from patchtst_har.models import precompute_freqs_cis

triton = pytest.importorskip("triton", reason="the extra cuda is not installed")


class Device:
    """Stands in for Triton's driver of a GPU that need not be there: what a launch compiles for it."""

    def __init__(self, capability):
        self.capability = capability

    def get_current_target(self):
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", self.capability, 32)

    def get_current_device(self):
        return self.capability

    def get_current_stream(self, _device):
        return 0


@pytest.fixture
def launches(tmp_path, monkeypatch):
    """Return ``launches(capability)``: from then on a launch compiles its kernel, and adds it to the list."""
    from triton.runtime import driver
    from triton.runtime.jit import JITFunction

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))
    run = JITFunction.run

    def use(capability):
        compiled = []

        def compile_only(kernel, *arguments, grid, warmup, **options):
            compiled.append(run(kernel, *arguments, grid=grid, warmup=True, **options))

        monkeypatch.setattr(JITFunction, "run", compile_only)
        monkeypatch.setattr(driver, "_active", Device(capability))
        return compiled

    return use


def launch(size, p):
    """Launch the three kernels as the operators do, on tensors of the CPU."""
    from patchtst_har.models import attention_triton
    from patchtst_har.models.attention_op import dropout_threshold

    n, n_tokens, n_heads, width = size
    qkv, grad = torch.empty(n, n_tokens, 3, n_heads, width), torch.empty(size)
    tables = precompute_freqs_cis(width, n_tokens)
    seed, threshold = torch.zeros(1, dtype=torch.int64), dropout_threshold(p)
    out, lse = attention_triton.forward(qkv, *tables, seed, threshold)
    attention_triton.backward(grad, qkv, *tables, out, lse, seed, threshold)


def resources(cubin, folder):
    file = folder / "kernel.cubin"
    file.write_bytes(cubin)
    command = [triton.knobs.nvidia.cuobjdump.path, "--dump-resource-usage", file]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"REG:(\d+) STACK:(\d+) .*LOCAL:(\d+)", listing)
    assert found, listing
    return tuple(int(number) for number in found.groups())


def check_code(tmp_path, launches, capability, cases, allowed_stack=0):
    for size, p in cases:
        compiled = launches(capability)
        launch(size, p)
        assert len(compiled) == 3
        for kernel in compiled:
            registers, stack, local = resources(kernel.asm["cubin"], tmp_path)
            what = (kernel.name, capability, size, p)
            assert 0 < registers <= 255, what
            # Spilled registers lie on the stack, in local memory.
            assert stack <= allowed_stack, what
            assert local == 0, what


@pytest.mark.compiles
@pytest.mark.parametrize("capability", [80, 90])
def test_code_for_the_default_model_keeps_everything_in_registers(tmp_path, launches, capability):
    check_code(tmp_path, launches, capability, [((2, 12, 2, 28), 0.3)])


@pytest.mark.compiles
@pytest.mark.study
@pytest.mark.parametrize("capability", [80, 90])
def test_code_for_every_size_of_the_check_keeps_nearly_everything_in_registers(
    tmp_path, launches, capability
):
    """What `benches/cuda_check.py` launches; sizes that differ in the batch alone launch the same code.

    For d = 64 on sm_90 the compiler gives away 8 bytes in the gradient of keys, to stay at 128 registers.
    """
    sizes = dict.fromkeys((min(n, 2), *rest) for n, *rest in ON_A_DEVICE if n and rest[0])
    check_code(tmp_path, launches, capability, itertools.product(sizes, (0.0, THIRD)), allowed_stack=8)


@pytest.mark.compiles
def test_dropout_of_one_step_compiles(launches):
    """Triton would make a constant of an argument that is 1; so it does of one token and of one head."""
    compiled = launches(90)
    launch((1, 1, 1, 2), 1 / 65536)
    assert len(compiled) == 3


def test_kernels_are_launched_on_the_device_of_their_tensors(monkeypatch):
    """Triton launches on the current one."""
    from patchtst_har.models import attention_triton

    entered, launched = [], []

    @contextlib.contextmanager
    def device_of(tensor):
        entered.append(tensor)
        yield
        entered.pop()

    class Kernel:
        def __getitem__(self, _grid):
            return lambda qkv, *_, **__: launched.append(bool(entered) and entered[0] is qkv)

    monkeypatch.setattr(torch.cuda, "device_of", device_of)
    for name in ("forward_kernel", "backward_queries_kernel", "backward_keys_kernel"):
        monkeypatch.setattr(attention_triton, name, Kernel())
    launch((2, 12, 2, 28), 0.3)
    assert launched == [True] * 3


PRECISIONS = """
import torch
from patchtst_har.models import attention_triton

def precision():
    return attention_triton.launch_options(attention_triton.forward_kernel, 12, 28, drops=False)["precision"]

assert precision() == "ieee"
for allowed, wanted in (("high", "tf32"), ("highest", "ieee")):
    torch.set_float32_matmul_precision(allowed)
    assert precision() == wanted
# Of torch 2.9 and later: after it the older setting cannot be read any more.
torch.backends.cuda.matmul.fp32_precision = "tf32"
assert precision() == "tf32"
torch.backends.cuda.matmul.fp32_precision = "ieee"
assert precision() == "ieee"
"""


@pytest.mark.spawns
def test_products_are_rounded_only_where_torch_allows_it():
    """In a process of its own: torch does not let the two settings be mixed."""
    subprocess.run([*python(), "-c", PRECISIONS], check=True, timeout=120)


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


@pytest.mark.compiles
def test_compiler_traces_tensors_of_cuda_in_one_graph():
    """Without a warning, which is an error in these tests."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    from patchtst_har.models.attention import rope_attention

    graphs = []

    def keep(graph, _example):
        graphs.append(graph)
        return graph

    with FakeTensorMode():
        qkv, cos, sin = (
            torch.empty(shape, device="cuda") for shape in ((2, 12, 3, 2, 28), (12, 14), (12, 14))
        )
        call = torch.compile(rope_attention, backend=keep, fullgraph=True)
        assert call(qkv, cos, sin, dropout_p=0.3, training=True).device.type == "cuda"
    assert graphs[0].code.count("patchtst_har.rope_attention.default") == 1


@pytest.mark.cuda
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
