"""Triton kernels of rotary attention; `attention_triton` launches them. Importing this module imports Triton.

Each program handles one block of queries (or of keys, for their gradients) of one head, and goes through the
keys (or queries) in tiles, with the online softmax of Milakov and Gimelshein 2018 (arXiv:1805.02867). The
members of RoPE's pairs are loaded apart, as even and odd columns: a score is the sum of two products. Scores
are in units of log2.
"""

from __future__ import annotations

import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)
LN_2 = tl.constexpr(0.6931471805599453)
# Triton compiles the value 1 into the code as a constant, which has no methods of a tensor, and again for
# every multiple of 16.
UNSPECIALISED = ("threshold",)


@triton.jit
def _mask(tokens, columns, n_tokens, n_columns):
    return (tokens[:, None] < n_tokens) & (columns[None, :] < n_columns)


@triton.jit
def _load_rows(base, tokens, row, columns, n_tokens, n_columns):
    at = base + tokens[:, None] * row + columns[None, :]
    return tl.load(at, mask=_mask(tokens, columns, n_tokens, n_columns), other=0.0)


@triton.jit
def _load_rotated(base, cos, sin, tokens, row, pairs, n_tokens, n_pairs):
    """Return even and odd columns of the rotated rows."""
    inside = _mask(tokens, pairs, n_tokens, n_pairs)
    at = base + tokens[:, None] * row + 2 * pairs[None, :]
    even, odd = tl.load(at, mask=inside, other=0.0), tl.load(at + 1, mask=inside, other=0.0)
    c = _load_rows(cos, tokens, n_pairs, pairs, n_tokens, n_pairs)
    s = _load_rows(sin, tokens, n_pairs, pairs, n_tokens, n_pairs)
    return even * c - odd * s, even * s + odd * c


@triton.jit
def _store_rotated_back(base, cos, sin, even, odd, tokens, row, pairs, n_tokens, n_pairs):
    inside = _mask(tokens, pairs, n_tokens, n_pairs)
    at = base + tokens[:, None] * row + 2 * pairs[None, :]
    c = _load_rows(cos, tokens, n_pairs, pairs, n_tokens, n_pairs)
    s = _load_rows(sin, tokens, n_pairs, pairs, n_tokens, n_pairs)
    tl.store(at, even * c + odd * s, mask=inside)
    tl.store(at + 1, odd * c - even * s, mask=inside)


@triton.jit
def _dropout_factors(seed, head, keys, queries, threshold):
    """Return the factors of the weights of keys and queries that broadcast to a matrix.

    The numbers are those of csrc/attention/kernel/random.hpp, where their order is described.
    """
    r = 16 * (keys % 4) + queries % 16
    counter = 8 * (queries // 16) + r % 32 // 4
    block = keys // 4 + tl.zeros_like(counter)
    of_head = head.to(tl.int32) + tl.zeros_like(counter)
    w0, w1, w2, w3 = tl.philox(seed, counter, block, of_head, tl.zeros_like(counter), n_rounds=10)
    first, second = tl.where(r % 4 < 2, w0, w1), tl.where(r % 4 < 2, w2, w3)
    word = tl.where(r < 32, first, second)
    number = ((word >> (16 * (r % 2)).to(tl.uint32)) & 0xFFFF).to(tl.int32)
    return tl.where(number >= threshold, 65536.0 / (65536 - threshold).to(tl.float32), 0.0)


@triton.jit
def _head_offsets(head, n_tokens, n_heads, n_columns):
    """Return where a head begins in qkv, in out and in lse."""
    batch, of_row = (head // n_heads).to(tl.int64), head % n_heads
    in_row = of_row * n_columns
    out_row = n_heads * n_columns
    return (
        batch * n_tokens * 3 * out_row + in_row,
        batch * n_tokens * out_row + in_row,
        head.to(tl.int64) * n_tokens,
    )


@triton.jit(do_not_specialize=UNSPECIALISED)
def forward_kernel(
    qkv,
    cos,
    sin,
    seed,
    out,
    lse,
    scale,
    threshold,
    n_tokens,
    n_heads,
    n_pairs: tl.constexpr,
    pairs_padded: tl.constexpr,
    block: tl.constexpr,
    drops: tl.constexpr,
    precision: tl.constexpr,
):
    """Write out and lse of one block of queries."""
    n_blocks = tl.cdiv(n_tokens, block)
    head = tl.program_id(0) // n_blocks
    queries = tl.program_id(0) % n_blocks * block + tl.arange(0, block)
    in_qkv, in_out, in_lse = _head_offsets(head, n_tokens, n_heads, 2 * n_pairs)
    pairs, columns = tl.arange(0, pairs_padded), tl.arange(0, 2 * pairs_padded)
    out_row = n_heads * 2 * n_pairs
    row = 3 * out_row
    q_even, q_odd = _load_rotated(qkv + in_qkv, cos, sin, queries, row, pairs, n_tokens, n_pairs)
    q_even, q_odd = q_even * (scale * LOG2_E), q_odd * (scale * LOG2_E)
    largest = tl.full((block,), float("-inf"), tl.float32)
    total = tl.zeros((block,), tl.float32)
    sums = tl.zeros((block, 2 * pairs_padded), tl.float32)
    for start in range(0, n_tokens, block):
        keys = start + tl.arange(0, block)
        k_even, k_odd = _load_rotated(qkv + in_qkv + out_row, cos, sin, keys, row, pairs, n_tokens, n_pairs)
        scores = tl.dot(q_even, tl.trans(k_even), input_precision=precision)
        scores = tl.dot(q_odd, tl.trans(k_odd), scores, input_precision=precision)
        scores = tl.where(keys[None, :] < n_tokens, scores, float("-inf"))
        highest = tl.maximum(largest, tl.max(scores, axis=1))
        # While every score is -inf, so is the largest, and -inf - -inf is NaN.
        reference = tl.where(highest == float("-inf"), 0.0, highest)
        weights = tl.exp2(scores - reference[:, None])
        earlier = tl.exp2(largest - reference)
        total = total * earlier + tl.sum(weights, axis=1)
        if drops:
            weights *= _dropout_factors(tl.load(seed), head, keys[None, :], queries[:, None], threshold)
        values = _load_rows(qkv + in_qkv + 2 * out_row, keys, row, columns, n_tokens, 2 * n_pairs)
        sums = tl.dot(weights, values, sums * earlier[:, None], input_precision=precision)
        largest = highest
    at = out + in_out + queries[:, None] * out_row + columns[None, :]
    tl.store(at, sums / total[:, None], mask=_mask(queries, columns, n_tokens, 2 * n_pairs))
    tl.store(lse + in_lse + queries, (largest + tl.log2(total)) * LN_2, mask=queries < n_tokens)


@triton.jit(do_not_specialize=UNSPECIALISED)
def backward_queries_kernel(
    qkv,
    cos,
    sin,
    seed,
    grad_out,
    lse,
    products,
    grad_qkv,
    scale,
    threshold,
    n_tokens,
    n_heads,
    n_pairs: tl.constexpr,
    pairs_padded: tl.constexpr,
    block: tl.constexpr,
    drops: tl.constexpr,
    precision: tl.constexpr,
):
    """Write the gradient of one block of queries."""
    n_blocks = tl.cdiv(n_tokens, block)
    head = tl.program_id(0) // n_blocks
    queries = tl.program_id(0) % n_blocks * block + tl.arange(0, block)
    in_qkv, in_out, in_lse = _head_offsets(head, n_tokens, n_heads, 2 * n_pairs)
    pairs, columns = tl.arange(0, pairs_padded), tl.arange(0, 2 * pairs_padded)
    out_row = n_heads * 2 * n_pairs
    row = 3 * out_row
    q_even, q_odd = _load_rotated(qkv + in_qkv, cos, sin, queries, row, pairs, n_tokens, n_pairs)
    q_even, q_odd = q_even * (scale * LOG2_E), q_odd * (scale * LOG2_E)
    grads = _load_rows(grad_out + in_out, queries, out_row, columns, n_tokens, 2 * n_pairs)
    log_sums = tl.load(lse + in_lse + queries, mask=queries < n_tokens, other=0.0) * LOG2_E
    product = tl.load(products + in_lse + queries, mask=queries < n_tokens, other=0.0)
    grad_even = tl.zeros((block, pairs_padded), tl.float32)
    grad_odd = tl.zeros((block, pairs_padded), tl.float32)
    for start in range(0, n_tokens, block):
        keys = start + tl.arange(0, block)
        k_even, k_odd = _load_rotated(qkv + in_qkv + out_row, cos, sin, keys, row, pairs, n_tokens, n_pairs)
        scores = tl.dot(q_even, tl.trans(k_even), input_precision=precision)
        scores = tl.dot(q_odd, tl.trans(k_odd), scores, input_precision=precision)
        weights = tl.where(keys[None, :] < n_tokens, tl.exp2(scores - log_sums[:, None]), 0.0)
        values = _load_rows(qkv + in_qkv + 2 * out_row, keys, row, columns, n_tokens, 2 * n_pairs)
        grad_weights = tl.dot(grads, tl.trans(values), input_precision=precision)
        if drops:
            grad_weights *= _dropout_factors(tl.load(seed), head, keys[None, :], queries[:, None], threshold)
        grad_scores = weights * (grad_weights - product[:, None])
        grad_even = tl.dot(grad_scores, k_even, grad_even, input_precision=precision)
        grad_odd = tl.dot(grad_scores, k_odd, grad_odd, input_precision=precision)
    grad_even, grad_odd = scale * grad_even, scale * grad_odd
    to = grad_qkv + in_qkv
    _store_rotated_back(to, cos, sin, grad_even, grad_odd, queries, row, pairs, n_tokens, n_pairs)


@triton.jit(do_not_specialize=UNSPECIALISED)
def backward_keys_kernel(
    qkv,
    cos,
    sin,
    seed,
    grad_out,
    lse,
    products,
    grad_qkv,
    scale,
    threshold,
    n_tokens,
    n_heads,
    n_pairs: tl.constexpr,
    pairs_padded: tl.constexpr,
    block: tl.constexpr,
    drops: tl.constexpr,
    precision: tl.constexpr,
):
    """Write the gradients of one block of keys and of their values."""
    n_blocks = tl.cdiv(n_tokens, block)
    head = tl.program_id(0) // n_blocks
    keys = tl.program_id(0) % n_blocks * block + tl.arange(0, block)
    in_qkv, in_out, in_lse = _head_offsets(head, n_tokens, n_heads, 2 * n_pairs)
    pairs, columns = tl.arange(0, pairs_padded), tl.arange(0, 2 * pairs_padded)
    out_row = n_heads * 2 * n_pairs
    row = 3 * out_row
    k_even, k_odd = _load_rotated(qkv + in_qkv + out_row, cos, sin, keys, row, pairs, n_tokens, n_pairs)
    k_even, k_odd = k_even * (scale * LOG2_E), k_odd * (scale * LOG2_E)
    values = _load_rows(qkv + in_qkv + 2 * out_row, keys, row, columns, n_tokens, 2 * n_pairs)
    grad_even = tl.zeros((block, pairs_padded), tl.float32)
    grad_odd = tl.zeros((block, pairs_padded), tl.float32)
    grad_values = tl.zeros((block, 2 * pairs_padded), tl.float32)
    for start in range(0, n_tokens, block):
        queries = start + tl.arange(0, block)
        q_even, q_odd = _load_rotated(qkv + in_qkv, cos, sin, queries, row, pairs, n_tokens, n_pairs)
        grads = _load_rows(grad_out + in_out, queries, out_row, columns, n_tokens, 2 * n_pairs)
        log_sums = tl.load(lse + in_lse + queries, mask=queries < n_tokens, other=0.0) * LOG2_E
        product = tl.load(products + in_lse + queries, mask=queries < n_tokens, other=0.0)
        scores = tl.dot(k_even, tl.trans(q_even), input_precision=precision)
        scores = tl.dot(k_odd, tl.trans(q_odd), scores, input_precision=precision)
        weights = tl.where(queries[None, :] < n_tokens, tl.exp2(scores - log_sums[None, :]), 0.0)
        kept = weights
        grad_weights = tl.dot(values, tl.trans(grads), input_precision=precision)
        if drops:
            factors = _dropout_factors(tl.load(seed), head, keys[:, None], queries[None, :], threshold)
            kept *= factors
            grad_weights *= factors
        grad_values = tl.dot(kept, grads, grad_values, input_precision=precision)
        grad_scores = weights * (grad_weights - product[None, :])
        grad_even = tl.dot(grad_scores, q_even, grad_even, input_precision=precision)
        grad_odd = tl.dot(grad_scores, q_odd, grad_odd, input_precision=precision)
    grad_even, grad_odd = scale * grad_even, scale * grad_odd
    to = grad_qkv + in_qkv + out_row
    _store_rotated_back(to, cos, sin, grad_even, grad_odd, keys, row, pairs, n_tokens, n_pairs)
    at = to + out_row + keys[:, None] * row + columns[None, :]
    tl.store(at, grad_values, mask=_mask(keys, columns, n_tokens, 2 * n_pairs))
