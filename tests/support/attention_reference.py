"""Rotary attention, its gradient and its dropout in float64 numpy. Nothing here is of the kernels' code."""

from __future__ import annotations

import numpy as np

MASK = 0xFFFFFFFF


def philox(counter: tuple[int, int, int, int], key: tuple[int, int]) -> list[int]:
    """Philox4x32-10 of Salmon et al. 2011, one counter, in Python's integers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        low, high = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(high >> 32) ^ c[1] ^ k[0], high & MASK, (low >> 32) ^ c[3] ^ k[1], low & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


def random_number(seed: int, head: int, key: int, query: int) -> int:
    """The 16 bits that decide on one attention weight."""
    r = 16 * (key % 4) + query % 16
    words = philox((8 * (query // 16) + r % 32 // 4, key // 4, head, 0), (seed & MASK, seed >> 32))
    return words[2 * (r // 32) + r % 4 // 2] >> 16 * (r % 2) & 0xFFFF


def dropout_factors(n_heads: int, n_tokens: int, seed: int, threshold: int) -> np.ndarray:
    """Factors (head, query, key) of the weights, as the operator orders its heads: batch rows first."""
    factors = np.zeros((n_heads, n_tokens, n_tokens))
    for head, query, key in np.ndindex(factors.shape):
        if random_number(seed, head, key, query) >= threshold:
            factors[head, query, key] = 65536 / (65536 - threshold)
    return factors


def rotated(x: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> np.ndarray:
    """Turn the pairs of the columns of `x` (B, H, N, d) by the angles of their tokens."""
    turned = np.empty_like(x)
    for i in range(cos.shape[1]):
        a, b = x[..., 2 * i], x[..., 2 * i + 1]
        turned[..., 2 * i] = a * cos[:, i] - b * sin[:, i]
        turned[..., 2 * i + 1] = a * sin[:, i] + b * cos[:, i]
    return turned


def attention(
    qkv: np.ndarray, cos: np.ndarray, sin: np.ndarray, grad_out: np.ndarray, factors: np.ndarray | float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return out (B, N, H, d), lse (B, H, N) and grad_qkv of float64 arrays; factors (B, H, N, N)."""
    q, k, v = qkv.transpose(2, 0, 3, 1, 4)
    q, k, grad = rotated(q, cos, sin), rotated(k, cos, sin), grad_out.transpose(0, 2, 1, 3)
    scale = 1 / np.sqrt(qkv.shape[-1])
    scores = q @ k.swapaxes(-1, -2) * scale
    largest = scores.max(axis=-1, keepdims=True)
    largest = np.where(np.isneginf(largest), 0, largest)
    weights = np.exp(scores - largest)
    total = weights.sum(axis=-1, keepdims=True)
    lse = (largest + np.log(total))[..., 0]
    weights /= total
    out = (weights * factors) @ v
    grad_v = (weights * factors).swapaxes(-1, -2) @ grad
    grad_weights = grad @ v.swapaxes(-1, -2) * factors
    grad_scores = weights * (grad_weights - (weights * grad_weights).sum(axis=-1, keepdims=True)) * scale
    # A rotation's gradient is the rotation back.
    grad_q = rotated(grad_scores @ k, cos, -sin)
    grad_k = rotated(grad_scores.swapaxes(-1, -2) @ q, cos, -sin)
    grad_qkv = np.stack((grad_q, grad_k, grad_v)).transpose(1, 3, 0, 2, 4)
    return out.transpose(0, 2, 1, 3), lse, grad_qkv
