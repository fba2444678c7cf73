"""Rotary attention against an independent implementation with complex numbers and explicit loops."""

import math

import numpy as np
import pytest
import torch

from patchtst_har.models import precompute_freqs_cis, rope_attention
from patchtst_har.models.attention_plain import rope_attention_weights, rotate


def rotate_complex(x: np.ndarray, base: float = 10000.0) -> np.ndarray:
    """x (N, d) float64: adjacent pairs as complex numbers, multiplied by exp(i * position * frequency)."""
    n_tokens, width = x.shape
    out = np.empty_like(x)
    for position in range(n_tokens):
        for pair in range(width // 2):
            z = complex(x[position, 2 * pair], x[position, 2 * pair + 1])
            z *= complex(math.cos(position * base ** (-2 * pair / width)), 0) + 1j * math.sin(
                position * base ** (-2 * pair / width)
            )
            out[position, 2 * pair], out[position, 2 * pair + 1] = z.real, z.imag
    return out


def attention_loops(qkv: np.ndarray) -> np.ndarray:
    """qkv (B, N, 3, H, d) float64 -> (B, N, H, d), one batch row and head at a time."""
    n_batch, n_tokens, _, n_heads, width = qkv.shape
    out = np.empty((n_batch, n_tokens, n_heads, width))
    for b in range(n_batch):
        for h in range(n_heads):
            q, k = rotate_complex(qkv[b, :, 0, h]), rotate_complex(qkv[b, :, 1, h])
            for i in range(n_tokens):
                scores = np.array([q[i] @ k[j] / math.sqrt(width) for j in range(n_tokens)])
                weights = np.exp(scores - scores.max())
                out[b, i, h] = (weights / weights.sum()) @ qkv[b, :, 2, h]
    return out


def random_qkv(n_batch: int, n_tokens: int, n_heads: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_batch, n_tokens, 3, n_heads, width))


@pytest.mark.parametrize(("n_tokens", "n_heads", "width"), [(1, 1, 2), (2, 3, 4), (12, 2, 28), (17, 1, 6)])
def test_equals_the_independent_implementation(n_tokens, n_heads, width):
    qkv = random_qkv(2, n_tokens, n_heads, width)
    cos, sin = precompute_freqs_cis(width, n_tokens)
    got = rope_attention(torch.from_numpy(qkv), cos.double(), sin.double()).numpy()
    # The tables are float32, so agreement is to float32.
    np.testing.assert_allclose(got, attention_loops(qkv), rtol=1e-5, atol=1e-6)


def test_rotation_equals_complex_multiplication_on_full_tensors():
    x = np.random.default_rng(1).normal(size=(3, 40, 2, 28))
    cos, sin = precompute_freqs_cis(28, 40)
    got = rotate(torch.from_numpy(x), cos.double(), sin.double()).numpy()
    for b in range(3):
        for h in range(2):
            np.testing.assert_allclose(got[b, :, h], rotate_complex(x[b, :, h]), rtol=1e-5, atol=1e-5)


def test_scores_depend_on_the_relative_shift_only():
    rng = np.random.default_rng(2)
    q, k = (torch.from_numpy(rng.normal(size=28)) for _ in range(2))
    cos, sin = (table.double() for table in precompute_freqs_cis(28, 64))

    def score(i: int, j: int) -> float:
        tokens = torch.zeros(64, 1, 28, dtype=torch.float64)
        tokens[i, 0], tokens[j, 0] = q, k
        rotated_q = rotate(q.expand(64, 1, 28), cos, sin)[i, 0]
        rotated_k = rotate(k.expand(64, 1, 28), cos, sin)[j, 0]
        return float(rotated_q @ rotated_k)

    for shift in (0, 1, 5, 20):
        scores = [score(i, i + shift) for i in (0, 3, 11, 40)]
        np.testing.assert_allclose(scores, scores[0], rtol=1e-5)
    assert abs(score(0, 5) - score(0, 6)) > 1e-3


def test_rotation_keeps_lengths():
    x = torch.randn(2, 33, 2, 8, dtype=torch.float64)
    cos, sin = (table.double() for table in precompute_freqs_cis(8, 33))
    torch.testing.assert_close(rotate(x, cos, sin).norm(dim=-1), x.norm(dim=-1), rtol=1e-6, atol=0)


def test_weights_are_those_that_the_attention_applies():
    qkv = torch.from_numpy(random_qkv(2, 12, 2, 28))
    cos, sin = (table.double() for table in precompute_freqs_cis(28, 12))
    weights = rope_attention_weights(qkv, cos, sin)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 12, dtype=torch.float64))
    mixed = torch.einsum("bhij,bjhd->bihd", weights, qkv[:, :, 2])
    torch.testing.assert_close(rope_attention(qkv, cos, sin), mixed)


@pytest.mark.slow
def test_gradients_match_finite_differences():
    qkv = torch.from_numpy(random_qkv(1, 5, 2, 4)).requires_grad_()
    cos, sin = (table.double() for table in precompute_freqs_cis(4, 5))
    assert torch.autograd.gradcheck(lambda x: rope_attention(x, cos, sin), (qkv,))


def test_accepts_input_that_is_not_contiguous():
    qkv = torch.from_numpy(random_qkv(2, 6, 2, 4)).permute(0, 1, 2, 4, 3).contiguous().permute(0, 1, 2, 4, 3)
    assert not qkv.is_contiguous()
    cos, sin = (table.double() for table in precompute_freqs_cis(4, 6))
    torch.testing.assert_close(rope_attention(qkv, cos, sin), rope_attention(qkv.contiguous(), cos, sin))


def test_dropout_acts_in_training_only():
    qkv = torch.randn(2, 12, 3, 2, 28)
    cos, sin = precompute_freqs_cis(28, 12)
    torch.testing.assert_close(rope_attention(qkv, cos, sin, dropout_p=0.9), rope_attention(qkv, cos, sin))
    torch.manual_seed(0)
    dropped = rope_attention(qkv, cos, sin, dropout_p=0.9, training=True)
    assert not torch.allclose(dropped, rope_attention(qkv, cos, sin))


@pytest.mark.parametrize(
    ("qkv", "tables", "message"),
    [
        ((2, 12, 2, 2, 28), (12, 14), r"qkv must be \(B, N, 3, H, d\) with d even, got \(2, 12, 2, 2, 28\)"),
        ((2, 12, 3, 2, 27), (12, 13), "d even"),
        ((2, 12, 3, 56), (12, 14), "qkv must be"),
        ((2, 12, 3, 2, 28), (11, 14), r"cos \(11, 14\) .* must be \(12, 14\)"),
        ((2, 12, 3, 2, 28), (12, 28), r"must be \(12, 14\)"),
    ],
)
def test_wrong_shapes_are_named(qkv, tables, message):
    with pytest.raises(ValueError, match=message):
        rope_attention(torch.zeros(qkv), torch.zeros(tables), torch.zeros(tables))


@pytest.mark.parametrize(("width", "n_tokens"), [(3, 5), (0, 5), (-2, 5), (4, -1)])
def test_impossible_tables_are_refused(width, n_tokens):
    with pytest.raises(ValueError, match="must"):
        precompute_freqs_cis(width, n_tokens)


def test_tables_are_real_float32_and_start_at_no_rotation():
    cos, sin = precompute_freqs_cis(28, 12)
    assert cos.shape == sin.shape == (12, 14)
    assert cos.dtype == sin.dtype == torch.float32
    assert (cos[0] == 1).all()
    assert (sin[0] == 0).all()
