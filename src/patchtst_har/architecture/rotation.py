"""Rotation tables of rotary position embeddings (RoPE; Su et al. 2021, arXiv:2104.09864)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def rotation_tables(
    head_dim: int, n_tokens: int, base: float = 10000.0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return cosine and sine of ``position * base ** (-2 i / head_dim)``, computed in float64.

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
    cos, sin : ndarray of float32, shape (n_tokens, head_dim / 2)
        One column for each pair i. Real tables rather than complex numbers, because exporters (ONNX, Core ML)
        have no complex tensors.

    Raises
    ------
    ValueError
        If `head_dim` is odd or below 2, or `n_tokens` is negative.
    """
    if head_dim < 2 or head_dim % 2:
        raise ValueError(f"head_dim must be even and at least 2, got {head_dim}")
    if n_tokens < 0:
        raise ValueError(f"n_tokens must not be negative, got {n_tokens}")
    pairs = np.arange(0, head_dim, 2, dtype=np.float64)
    angles = np.outer(np.arange(n_tokens, dtype=np.float64), base ** (-pairs / head_dim))
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
