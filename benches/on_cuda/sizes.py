"""Sizes (B, N, H, d) of the attention that are compared, and tolerances. Needs no torch."""

from __future__ import annotations

Size = tuple[int, int, int, int]

DEFAULT_MODEL: Size = (2, 12, 2, 28)
THIRD = 21845 / 65536
"""A dropout probability that is a whole number of steps."""

# Tiles have 16 or 32 tokens; pairs of columns are padded to 16, 32 or 64.
_BLOCK_EDGES = (1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65)
_HEAD_DIMS = (2, 4, 14, 16, 30, 32, 34, 62, 64, 66, 96, 126, 128)

ON_A_DEVICE: tuple[Size, ...] = (
    DEFAULT_MODEL,
    (1, 12, 2, 28),
    (32, 12, 2, 28),
    (4096, 12, 2, 28),
    *((2, n_tokens, 2, 28) for n_tokens in _BLOCK_EDGES),
    *((2, n_tokens, 2, width) for width in _HEAD_DIMS for n_tokens in (12, 33)),
    (3, 17, 1, 6),
    (2, 12, 16, 8),
    (2, 257, 2, 28),
    (1, 512, 2, 64),
    (1, 1024, 2, 128),
    (1, 2048, 1, 64),
    (0, 4, 2, 4),
    (2, 0, 1, 4),
)
# One and several batch rows, heads and tiles; widths around the padded 16, 32 and 64 pairs.
INTERPRETED: tuple[Size, ...] = (
    DEFAULT_MODEL,
    (1, 1, 1, 2),
    (1, 17, 2, 6),
    (1, 40, 1, 34),
    (1, 18, 1, 66),
    (2, 0, 1, 4),
)

TOLERANCES = {
    "float32": (1e-4, 2e-5),
    "interpreted": (1e-5, 5e-6),
    "float16": (1e-3, 2e-5),
    "bfloat16": (8e-3, 2e-5),
    "tf32": (2e-2, 2e-2),
}
"""Relative and absolute, of inputs of unit variance. Half precision is computed in float32 and rounded once:
it may differ by one unit in the last place. ``interpreted`` is float32 in Triton's interpreter."""


def label(size: Size) -> str:
    n, n_tokens, n_heads, width = size
    return f"B={n} N={n_tokens} H={n_heads} d={width}"
