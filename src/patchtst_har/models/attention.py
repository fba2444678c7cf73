"""Self-attention with rotary position embeddings (RoPE; Su et al. 2021, arXiv:2104.09864)."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor

import patchtst_har.models.attention_op  # noqa: F401 - registers the operators
from patchtst_har.architecture import rotation_tables
from patchtst_har.models.attention_plain import check_shapes, plain_attention

Backend = Literal["auto", "torch", "cpu", "triton"]
_BACKENDS = ("auto", "torch", "cpu", "triton")
# Looked up once, and not in a cached function: torch's compiler would trace into it, and warn.
_HAS_TRITON = importlib.util.find_spec("triton") is not None
_FUSED_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
TRITON_MAX_HEAD_DIM = 128
"""Above it a block of the Triton kernels does not fit in the registers."""

_override: Backend = "auto"


def precompute_freqs_cis(head_dim: int, n_tokens: int, base: float = 10000.0) -> tuple[Tensor, Tensor]:
    """Return cosines and sines of RoPE, tensors (n_tokens, head_dim / 2); parameters as `rotation_tables`."""
    cos, sin = rotation_tables(head_dim, n_tokens, base)
    # Not from_numpy: that would ignore torch's default device.
    return torch.tensor(cos), torch.tensor(sin)


def rope_attention(
    qkv: Tensor,
    cos: Tensor,
    sin: Tensor,
    *,
    dropout_p: float = 0.0,
    training: bool = False,
    backend: Backend = "auto",
) -> Tensor:
    """Rotate queries and keys, then attend: softmax(q kᵀ / √d) v, without a mask.

    Parameters
    ----------
    qkv : Tensor, shape (B, N, 3, H, d)
        Queries, keys and values as the linear layer leaves them. The fused kernels compute bfloat16 and
        float16 in float32 and return the dtype they were given.
    cos, sin : Tensor, shape (N, d / 2)
        Tables of `precompute_freqs_cis`.
    dropout_p : float
        Dropout probability of the attention weights, at least 0 and below 1; in force only if `training`.
        The fused kernels take it to the nearest of 65536 steps, and their pattern depends on one number
        drawn from torch's generator, not on device, instruction set or number of threads.
    training : bool
        Whether dropout is in force.
    backend : {"auto", "torch", "cpu", "triton"}
        ``auto`` takes what `attention_backend` says. ``torch`` is plain torch; ``cpu`` and ``triton`` are
        the fused operator ``patchtst_har::rope_attention`` on tensors of the CPU and of CUDA.

    Returns
    -------
    Tensor, shape (B, N, H, d)

    Raises
    ------
    ValueError
        If the shapes do not fit, the probability is out of range, or a fused backend is asked for what it
        does not do; the message names it.
    """
    if not 0.0 <= dropout_p < 1.0:
        raise ValueError(f"dropout_p must be at least 0 and below 1, got {dropout_p}")
    dropped = dropout_p if training else 0.0
    if backend == "auto":
        backend = _override
    if backend == "auto":
        backend = attention_backend(qkv, cos, sin)
    elif backend != "torch":
        _check_backend(backend, qkv, cos, sin)
    if backend == "torch":
        check_shapes(qkv, cos, sin)
        return plain_attention(qkv, cos, sin, dropped)
    seed = torch.randint(2**63 - 1, (1,), device=qkv.device) if dropped else None
    out: Tensor
    if qkv.dtype is torch.float32 and cos.dtype is torch.float32 and sin.dtype is torch.float32:
        out, _ = torch.ops.patchtst_har.rope_attention.default(qkv, cos, sin, seed, dropped)
        return out
    out, _ = torch.ops.patchtst_har.rope_attention.default(
        qkv.float(), cos.float(), sin.float(), seed, dropped
    )
    return out.to(qkv.dtype)


def attention_backend(qkv: Tensor, cos: Tensor, sin: Tensor) -> Literal["torch", "cpu", "triton"]:
    """Return which backend ``auto`` takes for these tensors.

    ``cpu`` for tensors of the CPU and ``triton`` for tensors of CUDA, if they are float32, bfloat16 or
    float16 and the tables need no gradient; for CUDA also only if Triton is installed and d is at most 128.
    ``torch`` for everything else: float64, trainable tables, other devices.
    """
    fused = _fused_backend(qkv.device.type)
    if fused is None or _obstacle(fused, qkv, cos, sin) is not None:
        return "torch"
    return fused


@contextmanager
def use_attention_backend(backend: Backend) -> Iterator[None]:
    """Take `backend` wherever ``auto`` is asked for, in this process, while inside.

    For comparisons, for second derivatives, and for exporters that do not know the fused operator.
    """
    global _override
    if backend not in _BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(_BACKENDS)}, got {backend!r}")
    before = _override
    _override = backend
    try:
        yield
    finally:
        _override = before


def _fused_backend(device_type: str) -> Literal["cpu", "triton"] | None:
    if device_type == "cpu":
        return "cpu"
    return "triton" if device_type == "cuda" and _HAS_TRITON else None


def _obstacle(fused: str, qkv: Tensor, cos: Tensor, sin: Tensor) -> str | None:
    """Return what stands in the way of a fused kernel, None if nothing does."""
    if qkv.dtype not in _FUSED_DTYPES:
        return f"qkv is {qkv.dtype}"
    if cos.requires_grad or sin.requires_grad:
        return "the tables need a gradient"
    if fused == "triton" and qkv.shape[-1] > TRITON_MAX_HEAD_DIM:
        return f"d is {qkv.shape[-1]}, above {TRITON_MAX_HEAD_DIM}"
    return None


def _check_backend(backend: str, qkv: Tensor, cos: Tensor, sin: Tensor) -> None:
    if backend not in _BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(_BACKENDS)}, got {backend!r}")
    if backend == "triton" and not _HAS_TRITON:
        raise ValueError("backend is 'triton', but the package triton is not installed")
    if _fused_backend(qkv.device.type) != backend:
        raise ValueError(f"backend is {backend!r}, but qkv is on {qkv.device}")
    obstacle = _obstacle(backend, qkv, cos, sin)
    if obstacle is not None:
        raise ValueError(f"backend is {backend!r}, but {obstacle}")
