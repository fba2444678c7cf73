"""Self-attention with rotary position embeddings (RoPE; Su et al. 2021, arXiv:2104.09864)."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor


def precompute_freqs_cis(head_dim: int, n_tokens: int, base: float = 10000.0) -> tuple[Tensor, Tensor]:
    """Return the rotation tables of RoPE as real numbers.

    Parameters
    ----------
    head_dim : int
        Width of one attention head; even.
    n_tokens : int
        Number of positions.
    base : float
        Base of the geometric series of frequencies.

    Returns
    -------
    cos, sin : Tensor, shape (n_tokens, head_dim / 2), float32
        Of the angle ``position * base ** (-2 i / head_dim)`` for pair i. Real tables rather than complex
        numbers, because exporters (ONNX, Core ML) have no complex tensors.

    Raises
    ------
    ValueError
        If `head_dim` is odd or below 2, or `n_tokens` is negative.
    """
    if head_dim < 2 or head_dim % 2:
        raise ValueError(f"head_dim must be even and at least 2, got {head_dim}")
    if n_tokens < 0:
        raise ValueError(f"n_tokens must not be negative, got {n_tokens}")
    pairs = torch.arange(0, head_dim, 2, dtype=torch.float64)
    positions = torch.arange(n_tokens, dtype=torch.float64)
    angles = torch.outer(positions, base ** (-pairs / head_dim))
    return angles.cos().float(), angles.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the adjacent pairs (2i, 2i+1) of `x` (..., N, H, d) by the tables (N, d / 2)."""
    even, odd = x[..., 0::2], x[..., 1::2]
    cos, sin = cos[:, None, :], sin[:, None, :]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


def rope_attention(
    qkv: Tensor, cos: Tensor, sin: Tensor, *, dropout_p: float = 0.0, training: bool = False
) -> Tensor:
    """Rotate queries and keys, then attend: softmax(q kᵀ / √d) v, without a mask.

    Parameters
    ----------
    qkv : Tensor, shape (B, N, 3, H, d)
        Queries, keys and values as the linear layer leaves them.
    cos, sin : Tensor, shape (N, d / 2)
        Tables of `precompute_freqs_cis`.
    dropout_p : float
        Dropout probability of the attention weights; in force only if `training`.
    training : bool
        Whether dropout is in force.

    Returns
    -------
    Tensor, shape (B, N, H, d)

    Raises
    ------
    ValueError
        If the shapes do not fit; the message gives them.
    """
    q, k, v = _rotated(qkv, cos, sin)
    out = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout_p if training else 0.0)
    return out.transpose(1, 2)


def rope_attention_weights(qkv: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Return the attention weights (B, H, N, N) that `rope_attention` applies (no dropout)."""
    q, k, _ = _rotated(qkv, cos, sin)
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    weights: Tensor = scores.softmax(dim=-1)
    return weights


def _rotated(qkv: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return q, k rotated and v, each (B, H, N, d)."""
    if qkv.ndim != 5 or qkv.shape[2] != 3 or qkv.shape[4] % 2:
        raise ValueError(f"qkv must be (B, N, 3, H, d) with d even, got {tuple(qkv.shape)}")
    tables = (qkv.shape[1], qkv.shape[4] // 2)
    if tuple(cos.shape) != tables or tuple(sin.shape) != tables:
        raise ValueError(
            f"cos {tuple(cos.shape)} and sin {tuple(sin.shape)} must be {tables} for qkv {tuple(qkv.shape)}"
        )
    q, k, v = qkv.unbind(2)
    q, k = rotate(q, cos, sin), rotate(k, cos, sin)
    return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
