"""Checks of the fused attention that take a device: streams, graphs, large tensors, torch's tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from on_cuda.attention_cases import OP, OP_BACKWARD, Case, Where, compare, make_case
from on_cuda.checks import Found, NotRunError, Planned
from on_cuda.sizes import DEFAULT_MODEL, THIRD
from patchtst_har.models.attention import attention_backend, precompute_freqs_cis, rope_attention

_GIB = 2**30


def planned(where: Where) -> list[Planned]:
    checks: dict[str, Callable[[Where], Found | None]] = {
        "auto takes Triton, and its gradient is the CPU's": _public_function,
        "autocast": _autocast,
        "torch.library.opcheck": _opcheck,
        "a stream that is not the default one": _stream,
        "captured in a CUDA graph, another seed at each replay": _graph,
        "no wait for the device": _no_synchronisation,
        "offsets beyond 2^31": _large_offsets,
        "a device that is not the current one": _other_device,
        # Last: torch does not let its two settings be mixed, and some of its own code reads the older one.
        "TF32 only where torch allows it": _tf32,
    }
    return [Planned(name, partial(check, where)) for name, check in checks.items()]


def _on_device(case: Case) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    qkv, grad, cos, sin, seed = (t.cuda() for t in (case.qkv, case.grad, *case.tables, case.seed))
    return qkv, grad, cos, sin, seed


def _public_function(where: Where) -> Found:
    case = make_case((8, 12, 2, 28))
    qkv, grad, cos, sin, _ = _on_device(case)
    if attention_backend(qkv, cos, sin) != "triton":
        raise AssertionError("auto does not take Triton for float32 tensors of CUDA")
    leaf = qkv.requires_grad_()
    out = rope_attention(leaf, cos, sin)
    (gradient,) = torch.autograd.grad(out, leaf, grad)
    expected_out, _, expected_grad = where.expected(case)
    return Found(
        figures=compare((out.detach().cpu(), gradient.cpu()), (expected_out, expected_grad), "float32")
    )


def _tf32(where: Where) -> Found:
    """Exact by default; allowed to round, by either setting, the result is another and near."""
    case = make_case((2, 64, 2, 64))
    exact = where.both(case)
    compare(exact, where.expected(case), "float32")
    figures = {}
    for name, setting in (("older", _older_setting), ("newer", _newer_setting)):
        with setting():
            rounded = where.both(case)
        compare(rounded, exact, "tf32")
        figures[f"largest_change_{name}_setting"] = float((rounded[0] - exact[0]).abs().max())
    return Found(figures=figures)


@contextmanager
def _older_setting() -> Iterator[None]:
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")


@contextmanager
def _newer_setting() -> Iterator[None]:
    matmul = torch.backends.cuda.matmul
    if not hasattr(matmul, "fp32_precision"):
        with _older_setting():
            yield
        return
    before = matmul.fp32_precision
    matmul.fp32_precision = "tf32"
    try:
        yield
    finally:
        matmul.fp32_precision = before


def _autocast(where: Where) -> Found:
    """The operator computes in float32 under autocast, whatever it is given."""
    case = make_case(DEFAULT_MODEL)
    qkv, _, cos, sin, _ = _on_device(case)
    expected = where.expected(case)[0]
    for dtype in (torch.float16, torch.bfloat16):
        with torch.autocast("cuda", dtype=dtype):
            direct, _ = OP(qkv.to(dtype), cos, sin, None, 0.0)
            public = rope_attention(qkv.to(dtype), cos, sin)
        if (direct.dtype, public.dtype) != (torch.float32, dtype):
            raise AssertionError(f"under {dtype}: {direct.dtype} and {public.dtype}")
        torch.testing.assert_close(public.float().cpu(), expected, rtol=0.05, atol=0.05)
    return Found()


def _opcheck(where: Where) -> Found:
    case = make_case((2, 5, 2, 4), THIRD)
    qkv, grad, cos, sin, seed = _on_device(case)
    torch.library.opcheck(OP, (qkv.detach().clone().requires_grad_(), cos, sin, seed, case.p))
    out, lse = OP(qkv, cos, sin, seed, case.p)
    # The gradient has none of its own: all checks but those that would differentiate it.
    checks = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")
    torch.library.opcheck(OP_BACKWARD, (grad, qkv, cos, sin, out, lse, seed, case.p), test_utils=checks)
    return Found()


def _stream(where: Where) -> Found:
    """The inputs are made on the stream just before: a launch on another one reads them too early."""
    case = make_case((64, 33, 2, 28), THIRD if where.has_extension else 0.0)
    qkv, _, cos, sin, seed = _on_device(case)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    late = torch.zeros_like(qkv)
    with torch.cuda.stream(stream):
        torch.cuda._sleep(20_000_000)
        late.copy_(qkv)
        out, lse = OP(late, cos, sin, seed, case.p)
    stream.synchronize()
    return Found(figures=compare((out.cpu(), lse.cpu()), where.expected(case)[:2], "float32"))


def _graph(where: Where) -> Found:
    where.needs_extension()
    case = make_case((8, 12, 2, 28), THIRD)
    qkv, grad, cos, sin, seed = _on_device(case)

    def call() -> tuple[Tensor, Tensor, Tensor]:
        out, lse = OP(qkv, cos, sin, seed, case.p)
        return out, lse, OP_BACKWARD(grad, qkv, cos, sin, out, lse, seed, case.p)

    replay, results = captured(call)
    for number in (1, 2**40 + 7):
        seed.fill_(number)
        replay()
        torch.cuda.synchronize()
        case.seed = torch.tensor([number])
        compare(tuple(result.cpu() for result in results), where.expected(case), "float32")
    return Found("two replays, each with the CPU's masks for its seed")


def captured(call: Callable[[], tuple[Tensor, ...]]) -> tuple[Callable[[], None], tuple[Tensor, ...]]:
    """Capture a call in a CUDA graph; return what replays it, and the tensors that each replay fills."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = call()
    return graph.replay, results


def _no_synchronisation(where: Where) -> Found:
    """A training step queues its work: nothing in the call may wait, dropout's seed included."""
    qkv, grad, cos, sin, _ = _on_device(make_case((8, 12, 2, 28)))
    leaf = qkv.requires_grad_()

    def call() -> None:
        out = rope_attention(leaf, cos, sin, dropout_p=0.3, training=True)
        torch.autograd.grad(out, leaf, grad)

    call()
    torch.cuda.set_sync_debug_mode("error")
    try:
        call()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return Found()


def _large_offsets(where: Where) -> Found:
    """The last windows of a batch that no 32-bit offset reaches."""
    n_tokens, n_heads, width = 128, 4, 64
    n = 2**31 // (n_tokens * 3 * n_heads * width) + 3
    size = (n, n_tokens, n_heads, width)
    needed = 4 * n * n_tokens * n_heads * width * (3 + 3 + 1 + 1 + 1) + 2 * _GIB
    free, _ = torch.cuda.mem_get_info()
    if free < needed:
        raise NotRunError(f"needs {needed / _GIB:.0f} GiB of free memory, there are {free / _GIB:.0f}")
    cos, sin = precompute_freqs_cis(width, n_tokens)
    qkv = torch.empty(n, n_tokens, 3, n_heads, width, device="cuda")
    grad = torch.empty(size, device="cuda")
    last = make_case((3, n_tokens, n_heads, width))
    qkv[:-3], grad[:-3] = 0.5, 0.5
    qkv[-3:], grad[-3:] = last.qkv.cuda(), last.grad.cuda()
    seed = torch.zeros(1, dtype=torch.int64, device="cuda")
    out, lse = OP(qkv, cos.cuda(), sin.cuda(), seed, 0.0)
    gradient = OP_BACKWARD(grad, qkv, cos.cuda(), sin.cuda(), out, lse, seed, 0.0)
    found = tuple(tensor[-3:].cpu() for tensor in (out, lse, gradient))
    return Found(f"{qkv.numel():,} values", figures=compare(found, where.expected(last), "float32"))


def _other_device(where: Where) -> Found:
    if torch.cuda.device_count() < 2:
        raise NotRunError("needs two devices")
    case = make_case((8, 12, 2, 28))
    qkv, grad, cos, sin, _ = (tensor.to("cuda:1") for tensor in _on_device(case))
    with torch.cuda.device(0):
        out, lse = OP(qkv, cos, sin, None, 0.0)
        gradient = OP_BACKWARD(grad, qkv, cos, sin, out, lse, None, 0.0)
    found = out.cpu(), lse.cpu(), gradient.cpu()
    return Found(figures=compare(found, where.expected(case), "float32"))
