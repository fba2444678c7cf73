"""The part ``attention times``: the fused attention compared with rotation and torch's own attention."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from on_cuda.attention_cases import Where, make_case, plain_in_double
from on_cuda.attention_on_device import captured
from on_cuda.checks import Found, Planned
from on_cuda.machine import clocks
from on_cuda.sizes import TOLERANCES, Size, label
from on_cuda.timing import time_in_turn
from on_cuda.timing_names import FUSED, IN_A_GRAPH, PLAIN
from patchtst_har.models.attention import rope_attention

_ROUNDS_S = 1.5
_BATCHES = (1, 32, 256, 1024, 4096)
_LONG: tuple[Size, ...] = ((8, 128, 2, 28), (8, 512, 2, 64))


def planned(where: Where) -> list[Planned]:
    """Return float32 of the default model for every batch, then bfloat16 and long sequences."""
    sizes: list[Size] = [(batch, 12, 2, 28) for batch in _BATCHES]
    cases = [
        (size, torch.float32, p, backward)
        for backward, p, size in itertools.product((False, True), (0.0, 0.3), sizes)
    ]
    cases += [(size, torch.bfloat16, 0.3, True) for size in sizes]
    cases += [(size, torch.float32, 0.3, True) for size in _LONG]
    return [Planned(_name(*case), partial(_time, *case)) for case in cases]


def _name(size: Size, dtype: torch.dtype, p: float, backward: bool) -> str:
    what = "forward and backward" if backward else "forward"
    return f"{what}, {str(dtype).removeprefix('torch.')}, {label(size)}, dropout {p:g}"


def _time(size: Size, dtype: torch.dtype, p: float, backward: bool) -> Found:
    case = make_case(size, dtype=dtype)
    qkv, grad, cos, sin = (tensor.cuda() for tensor in (case.qkv, case.grad, *case.tables))
    qkv.requires_grad_(backward)

    def call(backend: str, dropout_p: float) -> tuple[Tensor, ...]:
        out = rope_attention(qkv, cos, sin, dropout_p=dropout_p, training=True, backend=backend)
        # Detached: results outlive the call, and a graph of autograd that is kept ties the leaf to the stream
        # of this call, while the next one is captured on another.
        gradient = torch.autograd.grad(out, qkv, grad) if backward else ()
        return (out.detach(), *gradient)

    _validate(lambda: call("triton", 0.0), lambda: call("torch", 0.0), plain_in_double(case), dtype)
    calls: dict[str, Callable[[], object]] = {
        FUSED: lambda: call("triton", p),
        PLAIN: lambda: call("torch", p),
    }
    for variant, eager in tuple(calls.items()):
        calls[variant + IN_A_GRAPH], _ = captured(eager)
    before = clocks()
    timings = time_in_turn(_name(size, dtype, p, backward), size[0], calls, _ROUNDS_S)
    return Found(_ratio(timings[0].p50_us, timings[1].p50_us), timings=timings, clocks=(before, clocks()))


def _validate(
    fused: Callable[[], tuple[Tensor, ...]],
    plain: Callable[[], tuple[Tensor, ...]],
    expected: tuple[Tensor, Tensor, Tensor],
    dtype: torch.dtype,
) -> None:
    rtol, atol = TOLERANCES[str(dtype).removeprefix("torch.")]
    wanted = (expected[0], expected[2])
    for got, right in zip(fused(), wanted, strict=False):
        torch.testing.assert_close(got.cpu(), right, rtol=rtol, atol=atol)
    # torch rotates and rounds in half precision along the way.
    loose = 1.0 if dtype is torch.float32 else 8.0
    for got, right in zip(plain(), wanted, strict=False):
        torch.testing.assert_close(got.cpu(), right, rtol=loose * rtol, atol=max(atol, (loose - 1) * 5e-3))


def _ratio(fused_us: float, plain_us: float) -> str:
    return f"fused takes {fused_us / plain_us:.2f} of the time of rotation and torch SDPA (medians)"
