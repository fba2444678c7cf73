"""The fused attention on CUDA, by Triton. Importing this module imports Triton.

It computes what the compiled CPU kernels compute, with the same dropout pattern for the same seed. Triton
launches on the current device, which need not be that of the tensors: hence `torch.cuda.device_of`.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
from torch import Tensor

from patchtst_har.models.attention_triton_kernels import (
    backward_keys_kernel,
    backward_queries_kernel,
    forward_kernel,
)

_SMALLEST_PRODUCT = 16  # tensor cores multiply matrices of at least 16 x 16


def launch_options(kernel: Any, n_tokens: int, head_dim: int, *, drops: bool) -> dict[str, Any]:
    """Return the compile-time arguments of one of the three kernels for a size.

    Blocks of 32 tokens where nothing spills out of the registers of sm_80 and sm_90, otherwise of 16; more
    warps where they keep a wide head in the registers. Products are in full float32 unless torch is allowed
    less (`torch.backends.cuda.matmul.fp32_precision`, `torch.set_float32_matmul_precision`).
    """
    pairs_padded = max(_SMALLEST_PRODUCT, triton.next_power_of_2(head_dim // 2))
    large = kernel is forward_kernel and n_tokens > _SMALLEST_PRODUCT and pairs_padded <= 32
    wide = pairs_padded == 32 if large else kernel is backward_keys_kernel and pairs_padded > 32
    return {
        "n_pairs": head_dim // 2,
        "pairs_padded": pairs_padded,
        "block": 2 * _SMALLEST_PRODUCT if large else _SMALLEST_PRODUCT,
        "drops": drops,
        "precision": "tf32" if _may_round_products() else "ieee",
        "num_warps": 8 if wide else 4,
    }


def forward(
    qkv: Tensor, cos: Tensor, sin: Tensor, seed: Tensor | None, threshold: int
) -> tuple[Tensor, Tensor]:
    """Return out (B, N, H, d) and lse (B, H, N) of checked float32 tensors; see the operator."""
    qkv, cos, sin = qkv.contiguous(), cos.contiguous(), sin.contiguous()
    n, n_tokens, _, n_heads, width = qkv.shape
    out, lse = qkv.new_empty((n, n_tokens, n_heads, width)), qkv.new_empty((n, n_heads, n_tokens))
    if qkv.numel():
        options = launch_options(forward_kernel, n_tokens, width, drops=threshold > 0)
        with torch.cuda.device_of(qkv):
            forward_kernel[_grid(qkv, options)](
                qkv, cos, sin, seed, out, lse, 1 / math.sqrt(width), threshold, n_tokens, n_heads, **options
            )
    return out, lse


def backward(
    grad_out: Tensor,
    qkv: Tensor,
    cos: Tensor,
    sin: Tensor,
    out: Tensor,
    lse: Tensor,
    seed: Tensor | None,
    threshold: int,
) -> Tensor:
    """Return the gradient for qkv of checked float32 tensors; see the operator."""
    qkv, cos, sin = qkv.contiguous(), cos.contiguous(), sin.contiguous()
    grad_out, lse = grad_out.contiguous(), lse.contiguous()
    _, n_tokens, _, n_heads, width = qkv.shape
    grad_qkv = torch.empty_like(qkv)
    if qkv.numel():
        products = (grad_out * out).sum(dim=-1).transpose(1, 2).contiguous()
        tensors = (qkv, cos, sin, seed, grad_out, lse, products, grad_qkv)
        numbers = (1 / math.sqrt(width), threshold, n_tokens, n_heads)
        for kernel in (backward_queries_kernel, backward_keys_kernel):
            options = launch_options(kernel, n_tokens, width, drops=threshold > 0)
            with torch.cuda.device_of(qkv):
                kernel[_grid(qkv, options)](*tensors, *numbers, **options)
    return grad_qkv


def _may_round_products() -> bool:
    """Whether torch may round float32 factors to TF32 on CUDA, by either of its two ways to allow it."""
    matmul = torch.backends.cuda.matmul
    if hasattr(matmul, "fp32_precision"):
        # Since torch 2.9, where reading the older setting fails after the newer one was used.
        return bool(matmul.fp32_precision == "tf32")
    return torch.get_float32_matmul_precision() != "highest"


def _grid(qkv: Tensor, options: dict[str, Any]) -> tuple[int]:
    """One program a block of tokens of each head."""
    n, n_tokens, _, n_heads, _ = qkv.shape
    return (n * n_heads * -(-n_tokens // int(options["block"])),)
