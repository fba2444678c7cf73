"""Rotary attention in plain torch: the oracle of the fused kernels, and the way for what they do not do."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the adjacent pairs (2i, 2i+1) of `x` (..., N, H, d) by the tables (N, d / 2)."""
    even, odd = x[..., 0::2], x[..., 1::2]
    cos, sin = cos[:, None, :], sin[:, None, :]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


def plain_attention(qkv: Tensor, cos: Tensor, sin: Tensor, dropout_p: float = 0.0) -> Tensor:
    """Rotate, transpose, `scaled_dot_product_attention`, transpose back: (B, N, 3, H, d) to (B, N, H, d)."""
    q, k, v = _rotated(qkv, cos, sin)
    return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout_p).transpose(1, 2)


def rope_attention_weights(qkv: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Return the attention weights (B, H, N, N) that `rope_attention` applies (no dropout)."""
    check_shapes(qkv, cos, sin)
    q, k, _ = _rotated(qkv, cos, sin)
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    weights: Tensor = scores.softmax(dim=-1)
    return weights


def check_shapes(qkv: Tensor, cos: Tensor, sin: Tensor) -> None:
    """Raise ValueError, with the shapes, unless they fit."""
    shape = qkv.shape
    if len(shape) != 5 or shape[2] != 3 or shape[4] % 2:
        raise ValueError(f"qkv must be (B, N, 3, H, d) with d even, got {tuple(shape)}")
    tables = (shape[1], shape[4] // 2)
    if cos.shape != tables or sin.shape != tables:
        raise ValueError(
            f"cos {tuple(cos.shape)} and sin {tuple(sin.shape)} must be {tables} for qkv {tuple(shape)}"
        )


def _rotated(qkv: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return q, k rotated and v, each (B, H, N, d)."""
    q, k, v = qkv.unbind(2)
    q, k = rotate(q, cos, sin), rotate(k, cos, sin)
    if q.dtype is not v.dtype:
        # Half precision turned by float32 tables; torch attends in one dtype only.
        q, k = q.to(v.dtype), k.to(v.dtype)
    return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
