"""The fused attention as operators of torch, ``patchtst_har::rope_attention`` and its gradient.

float32 only, on the CPU by the compiled kernels, on CUDA by Triton. The gradient is not differentiable again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from patchtst_har import _core
from patchtst_har.models.attention_plain import check_shapes

RANDOM_LEVELS = 65536
"""Dropout compares 16 random bits of each attention weight with a threshold."""

_FORWARD = "patchtst_har::rope_attention"
_BACKWARD = "patchtst_har::rope_attention_backward"

_tags = (torch.Tag.pt2_compliant_tag,)
torch.library.define(
    _FORWARD,
    "(Tensor qkv, Tensor cos, Tensor sin, Tensor? seed, float dropout_p) -> (Tensor out, Tensor lse)",
    tags=_tags,
)
torch.library.define(
    _BACKWARD,
    "(Tensor grad_out, Tensor qkv, Tensor cos, Tensor sin, Tensor out, Tensor lse, Tensor? seed, "
    "float dropout_p) -> Tensor",
    tags=_tags,
)


def dropout_threshold(dropout_p: float) -> int:
    """Return below which of its 65536 values a weight's random number drops it: p to the nearest step."""
    return min(round(dropout_p * RANDOM_LEVELS), RANDOM_LEVELS - 1)


def _check(qkv: Tensor, cos: Tensor, sin: Tensor, seed: Tensor | None, dropout_p: float) -> None:
    check_shapes(qkv, cos, sin)
    for name, tensor in (("qkv", qkv), ("cos", cos), ("sin", sin)):
        if tensor.dtype is not torch.float32:
            raise ValueError(f"{name} must be float32 for the fused attention, got {tensor.dtype}")
        if tensor.device != qkv.device:
            raise ValueError(f"{name} is on {tensor.device}, qkv on {qkv.device}")
    if not 0.0 <= dropout_p < 1.0:
        raise ValueError(f"dropout_p must be at least 0 and below 1, got {dropout_p}")
    if dropout_p > 0.0 and seed is None:
        raise ValueError(f"dropout_p is {dropout_p}: a seed is needed")
    if seed is not None and (seed.dtype is not torch.int64 or seed.numel() != 1):
        raise ValueError(f"seed must be one int64 number, got {seed.dtype} {tuple(seed.shape)}")
    if seed is not None and seed.device != qkv.device:
        raise ValueError(f"seed is on {seed.device}, qkv on {qkv.device}")


def _check_backward(
    grad_out: Tensor, qkv: Tensor, cos: Tensor, sin: Tensor, out: Tensor, lse: Tensor, *dropout: Any
) -> None:
    _check(qkv, cos, sin, *dropout)
    n, n_tokens, n_heads, width = _shape(qkv)
    expected = {
        "grad_out": (grad_out, (n, n_tokens, n_heads, width)),
        "out": (out, (n, n_tokens, n_heads, width)),
        "lse": (lse, (n, n_heads, n_tokens)),
    }
    for name, (tensor, shape) in expected.items():
        if tensor.shape != shape or tensor.dtype is not torch.float32 or tensor.device != qkv.device:
            raise ValueError(
                f"{name} must be float32 {shape} on {qkv.device}, "
                f"got {tensor.dtype} {tuple(tensor.shape)} on {tensor.device}"
            )


def _empty_outputs(qkv: Tensor) -> tuple[Tensor, Tensor]:
    n, n_tokens, n_heads, width = _shape(qkv)
    return qkv.new_empty((n, n_tokens, n_heads, width)), qkv.new_empty((n, n_heads, n_tokens))


def _shape(qkv: Tensor) -> tuple[int, int, int, int]:
    n, n_tokens, _, n_heads, width = qkv.shape
    return n, n_tokens, n_heads, width


def _pointers(*tensors: Tensor) -> Any:
    return tuple(tensor.data_ptr() for tensor in tensors)


def _random(seed: Tensor | None, dropout_p: float) -> tuple[int, int]:
    """Return the seed and the threshold; no seed is read without dropout."""
    threshold = dropout_threshold(dropout_p)
    if seed is None or threshold == 0:
        return 0, 0
    return int(seed.item()) % 2**64, threshold


@torch.library.impl(_FORWARD, "CPU")
def _forward_cpu(
    qkv: Tensor, cos: Tensor, sin: Tensor, seed: Tensor | None, dropout_p: float
) -> tuple[Tensor, Tensor]:
    _check(qkv, cos, sin, seed, dropout_p)
    qkv, cos, sin = qkv.contiguous(), cos.contiguous(), sin.contiguous()
    out, lse = _empty_outputs(qkv)
    inputs, random = _pointers(qkv, cos, sin), _random(seed, dropout_p)
    n_threads = torch.get_num_threads()
    _core.attention_forward(_shape(qkv), inputs, *random, out.data_ptr(), lse.data_ptr(), n_threads)
    return out, lse


@torch.library.impl(_BACKWARD, "CPU")
def _backward_cpu(
    grad_out: Tensor,
    qkv: Tensor,
    cos: Tensor,
    sin: Tensor,
    out: Tensor,
    lse: Tensor,
    seed: Tensor | None,
    dropout_p: float,
) -> Tensor:
    _check_backward(grad_out, qkv, cos, sin, out, lse, seed, dropout_p)
    qkv, cos, sin = qkv.contiguous(), cos.contiguous(), sin.contiguous()
    grad_out, out, lse = grad_out.contiguous(), out.contiguous(), lse.contiguous()
    grad_qkv = torch.empty_like(qkv)
    inputs, saved, random = _pointers(qkv, cos, sin), _pointers(grad_out, out, lse), _random(seed, dropout_p)
    n_threads = torch.get_num_threads()
    _core.attention_backward(_shape(qkv), inputs, *random, saved, grad_qkv.data_ptr(), n_threads)
    return grad_qkv


@torch.library.impl(_FORWARD, "CUDA")
def _forward_cuda(*inputs: Any) -> tuple[Tensor, Tensor]:
    from patchtst_har.models import attention_triton

    _check(*inputs)
    *tensors, dropout_p = inputs
    return attention_triton.forward(*[*tensors, dropout_threshold(dropout_p)])


@torch.library.impl(_BACKWARD, "CUDA")
def _backward_cuda(*inputs: Any) -> Tensor:
    from patchtst_har.models import attention_triton

    _check_backward(*inputs)
    *tensors, dropout_p = inputs
    return attention_triton.backward(*[*tensors, dropout_threshold(dropout_p)])


@torch.library.register_fake(_FORWARD)  # type: ignore[untyped-decorator]
def _forward_fake(qkv: Tensor, *others: Any) -> tuple[Tensor, Tensor]:
    _check(qkv, *others)
    return _empty_outputs(qkv)


@torch.library.register_fake(_BACKWARD)  # type: ignore[untyped-decorator]
def _backward_fake(grad_out: Tensor, qkv: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(qkv, memory_format=torch.contiguous_format)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    qkv, cos, sin, seed, ctx.dropout_p = inputs
    out, lse = output
    ctx.save_for_backward(qkv, cos, sin, out, lse, seed)
    ctx.mark_non_differentiable(lse)
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, grad_out: Tensor | None, _grad_lse: None) -> tuple[Tensor | None, ...]:
    if any(ctx.needs_input_grad[1:3]):
        raise NotImplementedError(
            "the fused attention has no gradient for cos and sin; call rope_attention with backend='torch'"
        )
    if grad_out is None or not ctx.needs_input_grad[0]:
        return (None,) * 5
    qkv, cos, sin, out, lse, seed = ctx.saved_tensors
    grad_qkv = torch.ops.patchtst_har.rope_attention_backward.default(
        grad_out, qkv, cos, sin, out, lse, seed, ctx.dropout_p
    )
    return grad_qkv, None, None, None, None


def _refuse_to_differentiate_again(_ctx: Any, _grad: Tensor) -> None:
    raise NotImplementedError(
        "the fused attention has no second derivative; "
        "call rope_attention with backend='torch', or inside use_attention_backend('torch')"
    )


torch.library.register_autograd(_FORWARD, _differentiate, setup_context=_keep)
torch.library.register_autograd(_BACKWARD, _refuse_to_differentiate_again)
for _device in ("cpu", "cuda"):
    torch.library.register_autocast(_FORWARD, _device, torch.float32)


@register_flop_formula(torch.ops.patchtst_har.rope_attention)
def _forward_flops(qkv_shape: tuple[int, ...], *_: Any, **_out: Any) -> int:
    """Two products of N x N x d a head, a multiply-add as two; rotation and softmax are element-wise."""
    n, n_tokens, _three, n_heads, width = qkv_shape
    return 4 * n * n_heads * n_tokens**2 * width


@register_flop_formula(torch.ops.patchtst_har.rope_attention_backward)
def _backward_flops(_grad_shape: tuple[int, ...], qkv_shape: tuple[int, ...], *_: Any, **_out: Any) -> int:
    """Five products: the scores again, and four gradients."""
    return _forward_flops(qkv_shape) // 2 * 5
