"""The part ``attention``: the Triton kernels against the CPU's operator, here and in Triton's interpreter."""

from __future__ import annotations

import itertools
from functools import partial

import torch
from torch import Tensor

from on_cuda import attention_on_device
from on_cuda.attention_cases import (
    Case,
    Where,
    agree,
    compare,
    make_case,
    misaligned,
    scattered,
)
from on_cuda.checks import Found, Planned
from on_cuda.sizes import DEFAULT_MODEL, INTERPRETED, ON_A_DEVICE, THIRD, Size, label
from patchtst_har.models.attention import rope_attention

# Dropout of one step of 65536, and of all but one.
_EXTREMES = (1 / 65536, 65535 / 65536)
_SEEDS = (0, 5, 2**62 + 12345, 2**63 - 2)
_PLACES = ("query", "key", "value")


def planned(where: Where) -> list[Planned]:
    """Return the checks, the default model's first."""
    few = where.interpreted
    sizes = INTERPRETED if few else ON_A_DEVICE
    checks = [
        Planned(f"float32, {label(size)}, dropout {p:.3g}", partial(_agree, where, size, p))
        for size, p in itertools.product(sizes, (0.0, THIRD))
    ]
    one: Size = (1, 12, 1, 28) if few else DEFAULT_MODEL
    checks += [
        Planned(f"float32, {label(one)}, dropout {p:.3g}", partial(_agree, where, one, p)) for p in _EXTREMES
    ]
    half_sizes: tuple[Size, ...] = (one,) if few else (DEFAULT_MODEL, (64, 33, 2, 34), (1, 257, 2, 128))
    checks += [
        Planned(f"{name}, {label(size)}", partial(_half, where, size, name))
        for size, name in itertools.product(half_sizes, ("float16", "bfloat16"))
    ]
    mask_sizes: tuple[Size, ...] = (
        ((1, 18, 1, 14),) if few else ((2, 12, 2, 28), (3, 33, 2, 34), (1, 100, 2, 64))
    )
    checks += [
        Planned(f"dropout masks, {label(size)}, seed {seed}", partial(_masks, where, size, seed))
        for size, seed in itertools.product(mask_sizes, _SEEDS[1:3] if few else _SEEDS)
    ]
    values = ("nan", "inf") if few else ("nan", "inf", "-inf")
    checks += [
        Planned(f"{value} in a {place}", partial(_not_finite, where, float(value), place))
        for value, place in itertools.product(values, _PLACES)
    ]
    checks += [
        Planned("NaN in the gradient of the output", partial(_nan_in_gradient, where)),
        Planned("scores of -inf only", partial(_only_infinite_scores, where)),
        Planned("large scores", partial(_large_scores, where)),
        Planned("repeats have the same bits", partial(_repeats, where)),
        Planned("strides of reversed axes", partial(_layout, where, "scattered")),
        Planned("addresses that are no multiple of 16 bytes", partial(_layout, where, "misaligned")),
        Planned("gradient that is one number expanded", partial(_expanded, where)),
    ]
    return checks if few else checks + attention_on_device.planned(where)


def _agree(where: Where, size: Size, p: float) -> Found:
    return agree(where, make_case(size, p))


def _half(where: Where, size: Size, dtype: str) -> Found:
    """What users call, in half precision; in the interpreter the casts that it makes."""
    case = make_case(size, dtype=getattr(torch, dtype))
    if where.interpreted:
        single = Case(case.qkv.float(), case.grad.float(), case.tables, case.seed, 0.0)
        out, _, grad = where.both(single)
        found = out.to(case.qkv.dtype), grad.to(case.qkv.dtype)
    else:
        found = _by_autograd(case, "triton", where.device)
    expected = _by_autograd(case, "cpu" if where.has_extension else "torch", torch.device("cpu"))
    return Found(figures=compare(found, expected, dtype))


def _by_autograd(case: Case, backend: str, device: torch.device) -> tuple[Tensor, Tensor]:
    qkv, grad, cos, sin = (tensor.to(device) for tensor in (case.qkv, case.grad, *case.tables))
    dtype = qkv.dtype
    if backend == "torch":
        qkv, grad = qkv.float(), grad.float()
    leaf = qkv.requires_grad_()
    out = rope_attention(leaf, cos, sin, backend=backend)
    (gradient,) = torch.autograd.grad(out, leaf, grad)
    return out.detach().to(dtype).cpu(), gradient.to(dtype).cpu()


def _masks(where: Where, size: Size, seed: int) -> Found:
    """Equal queries and keys give equal weights; values that are rows of the identity show each of them."""
    where.needs_extension()
    n, n_tokens, n_heads, width = size
    qkv = torch.zeros(n, n_tokens, 3, n_heads, width)
    columns = torch.arange(n_tokens)
    identity = torch.zeros(n_tokens, width)
    # Tokens beyond the columns fold over with another weight, so that the sums tell which were kept.
    identity[columns, columns % width] = 1.0 + (columns // width)
    qkv[:, :, 2] = identity[:, None, :]
    grad = identity[None, :, None, :].expand(size).contiguous()
    tables = make_case(size).tables
    case = Case(qkv, grad, tables, torch.tensor([seed]), THIRD)
    found, expected = where.both(case), where.expected(case)
    scale = n_tokens * (1 - THIRD)
    ours, theirs = ((tensors[0] * scale).round().int() for tensors in (found, expected))
    if not torch.equal(ours, theirs):
        raise AssertionError(f"the masks of the forward pass differ in {int((ours != theirs).sum())} places")
    ours, theirs = ((tensors[2][:, :, 2] * scale).round().int() for tensors in (found, expected))
    if not torch.equal(ours, theirs):
        raise AssertionError(f"the masks of the gradient differ in {int((ours != theirs).sum())} places")
    kept = float((theirs > 0).float().mean())
    return Found(f"{theirs.numel()} sums of kept weights are equal in both passes", {"share_not_zero": kept})


def _odd_size(where: Where) -> Size:
    """Two tiles, the second one not full; narrow in the interpreter, which takes its time."""
    return (2, 18, 1, 4) if where.interpreted else (2, 18, 2, 28)


def _not_finite(where: Where, value: float, place: str) -> Found:
    case = make_case(_odd_size(where))
    case.qkv[1, 17, _PLACES.index(place), -1, 3] = value
    expected = where.expected(case)
    clean = expected[0].isfinite().flatten(1).all(1)
    if not bool(clean[0]):
        raise AssertionError("the reference itself lets the value into another window")
    return Found(figures=compare(where.both(case), expected, "float32"))


def _nan_in_gradient(where: Where) -> Found:
    case = make_case(_odd_size(where), THIRD if where.has_extension else 0.0)
    case.grad[1, 17, -1, 3] = float("nan")
    return Found(figures=compare(where.both(case), where.expected(case), "float32"))


def _only_infinite_scores(where: Where) -> Found:
    """Every score of a query is -inf: its output is NaN, the outputs next to it are finite."""
    case = make_case((1, 18, 1, 4))
    case.qkv[:, :, 1] = 1.0
    case.tables = (torch.ones(18, 2), torch.zeros(18, 2))
    case.qkv[0, 7, 0] = float("-inf")
    expected = where.expected(case)
    if bool(expected[0][0, 7].isfinite().any()) or not bool(expected[0][0, 8].isfinite().all()):
        raise AssertionError("the reference itself does not say so")
    return Found(figures=compare(where.both(case)[:2], expected[:2], "float32"))


def _large_scores(where: Where) -> Found:
    """Scores of some hundreds, at which exp without the largest subtracted is infinite."""
    case = make_case(DEFAULT_MODEL)
    case.qkv[:, :, :2] *= 12
    found, expected = where.both(case), where.expected(case)
    # A score of 600 has an error of some 600 units in the last place of 1, and so has the weight.
    return Found(figures=compare(found, expected, "tf32"))


def _repeats(where: Where) -> Found:
    case = make_case(_odd_size(where) if where.interpreted else (256, 33, 2, 28), THIRD)
    first = where.both(case)
    for _ in range(1 if where.interpreted else 20):
        for name, once, again in zip(("out", "lse", "grad"), first, where.both(case), strict=True):
            if not torch.equal(once, again):
                raise AssertionError(f"{name} differs between two calls")
    return Found()


def _layout(where: Where, kind: str) -> Found:
    case = make_case(_odd_size(where), THIRD if where.has_extension else 0.0)
    expected = where.expected(case)
    relaid = scattered if kind == "scattered" else misaligned
    qkv, grad, *tables = (relaid(t.to(where.device)) for t in (case.qkv, case.grad, *case.tables))
    if kind == "scattered" and qkv.is_contiguous():
        raise AssertionError("the copy to the device lost the strides")
    odd = Case(qkv, grad, (tables[0], tables[1]), case.seed, case.p)
    out, lse = where.forward(odd.qkv, odd.tables, odd.seed, odd.p)
    saved = relaid(out.to(where.device)), relaid(lse.to(where.device))
    gradient = where.backward(odd.grad, odd.qkv, odd.tables, saved, odd.seed, odd.p)
    return Found(figures=compare((out, lse, gradient), expected, "float32"))


def _expanded(where: Where) -> Found:
    """As ``out.sum().backward()`` gives it: every stride is 0."""
    case = make_case(_odd_size(where))
    case.grad = torch.ones(()).to(where.device).expand(case.grad.shape)
    found = where.both(case)
    case.grad = torch.ones(case.grad.shape)
    return Found(figures=compare(found, where.expected(case), "float32"))
