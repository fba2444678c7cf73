"""The fused attention by Triton, on a device or in Triton's interpreter, and what it is compared with."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from on_cuda.checks import Found, NotRunError
from on_cuda.sizes import TOLERANCES, Size
from patchtst_har.models.attention import precompute_freqs_cis, rope_attention

OP = torch.ops.patchtst_har.rope_attention.default
OP_BACKWARD = torch.ops.patchtst_har.rope_attention_backward.default


@dataclass(frozen=True)
class Where:
    """Where the kernels run, and whether there is the compiled extension to compare them with."""

    interpreted: bool
    has_extension: bool

    @property
    def device(self) -> torch.device:
        return torch.device("cpu" if self.interpreted else "cuda")

    def forward(self, qkv: Tensor, tables: Tables, seed: Tensor, p: float) -> tuple[Tensor, Tensor]:
        """Return out and lse as tensors of the CPU."""
        arguments = (*self._moved(qkv, *tables, seed), p)
        out, lse = OP.redispatch(_CUDA, *arguments) if self.interpreted else OP(*arguments)
        return out.cpu(), lse.cpu()

    def backward(
        self, grad: Tensor, qkv: Tensor, tables: Tables, saved: tuple[Tensor, Tensor], seed: Tensor, p: float
    ) -> Tensor:
        """Return the gradient for qkv as a tensor of the CPU."""
        arguments = (*self._moved(grad, qkv, *tables, *saved, seed), p)
        if self.interpreted:
            return OP_BACKWARD.redispatch(_CUDA, *arguments)
        return OP_BACKWARD(*arguments).cpu()

    def both(self, case: Case) -> tuple[Tensor, Tensor, Tensor]:
        """Return out, lse and the gradient for qkv."""
        saved = self.forward(case.qkv, case.tables, case.seed, case.p)
        return *saved, self.backward(case.grad, case.qkv, case.tables, saved, case.seed, case.p)

    def _moved(self, *tensors: Tensor) -> list[Tensor]:
        return [tensor.to(self.device) for tensor in tensors]

    def needs_extension(self) -> None:
        if not self.has_extension:
            raise NotRunError("needs the compiled extension, the operator on the CPU")

    def expected(self, case: Case) -> tuple[Tensor, Tensor, Tensor]:
        """Return out, lse and gradient by the CPU's operator; without it, by plain torch without dropout."""
        if not self.has_extension:
            if case.p:
                self.needs_extension()
            return plain_in_double(case)
        saved = OP(case.qkv, *case.tables, case.seed, case.p)
        return *saved, OP_BACKWARD(case.grad, case.qkv, *case.tables, *saved, case.seed, case.p)


Tables = tuple[Tensor, Tensor]
_MOST_IN_DOUBLE = 256
# What the operators do with tensors of CUDA, done with those of the CPU in the interpreter.
_CUDA = torch._C.DispatchKeySet(torch._C.DispatchKey.CUDA)


@dataclass
class Case:
    """Inputs of one comparison, on the CPU."""

    qkv: Tensor
    grad: Tensor
    tables: Tables
    seed: Tensor
    p: float


def make_case(
    size: Size, p: float = 0.0, seed: int = 2**62 + 12345, dtype: torch.dtype = torch.float32
) -> Case:
    """Draw inputs of unit variance; the same for the same size."""
    n, n_tokens, n_heads, width = size
    generator = torch.Generator().manual_seed(sum(size))
    qkv = torch.randn(n, n_tokens, 3, n_heads, width, generator=generator).to(dtype)
    grad = torch.randn(size, generator=generator).to(dtype)
    return Case(qkv, grad, precompute_freqs_cis(width, n_tokens), torch.tensor([seed]), p)


def plain_in_double(case: Case) -> tuple[Tensor, Tensor, Tensor]:
    """Return out, lse and gradient of rotation and softmax in float64, in the dtype of the inputs."""
    from patchtst_har.models.attention_plain import rotate

    leaf = case.qkv.double().requires_grad_()
    cos, sin = (table.double() for table in case.tables)
    out = rope_attention(leaf, cos, sin, backend="torch")
    (grad,) = torch.autograd.grad(out, leaf, case.grad.double())
    q, k, _ = leaf.detach().unbind(2)
    q, k = rotate(q, cos, sin).transpose(1, 2), rotate(k, cos, sin).transpose(1, 2)
    lse = torch.logsumexp(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), dim=-1)
    dtype = case.qkv.dtype
    return out.detach().to(dtype), lse.to(dtype), grad.to(dtype)


def compare(
    found: tuple[Tensor, ...], expected: tuple[Tensor, ...], tolerance: str, of: str = ""
) -> dict[str, float]:
    """Raise AssertionError unless all agree; return the largest errors.

    Where the expected value is not finite, so must be the other: which of NaN and infinity it is may depend
    on the order of the sums.
    """
    rtol, atol = TOLERANCES[tolerance]
    figures = {}
    for name, got, wanted in zip(("out", "lse", "grad"), found, expected, strict=False):
        if got.shape != wanted.shape or got.dtype != wanted.dtype:
            raise AssertionError(
                f"{name}: {got.dtype} {tuple(got.shape)}, not {wanted.dtype} {tuple(wanted.shape)}"
            )
        finite = wanted.isfinite()
        if not torch.equal(got.isfinite(), finite):
            raise AssertionError(f"{name}: finite at other places{of}")
        got, wanted = got[finite].double(), wanted[finite].double()
        error = (got - wanted).abs()
        if not bool((error <= atol + rtol * wanted.abs()).all()):
            at = int((error - rtol * wanted.abs()).argmax())
            raise AssertionError(
                f"{name}: {float(got[at]):.7g}, not {float(wanted[at]):.7g}{of} "
                f"(allowed {rtol:g} of it and {atol:g}); {int((error > atol + rtol * wanted.abs()).sum())} "
                f"of {error.numel()} values differ by more"
            )
        figures[f"largest_error_{name}"] = float(error.max()) if error.numel() else 0.0
    return figures


def agree(where: Where, case: Case) -> Found:
    """Compare out, lse and gradient with the CPU's operator; without dropout with float64 too."""
    tolerance = "interpreted" if where.interpreted else "float32"
    expected = where.expected(case)
    found = where.both(case)
    figures = compare(found, expected, tolerance)
    if not case.p and len(case.qkv) <= _MOST_IN_DOUBLE:
        compare(found, plain_in_double(case), tolerance, " in float64")
    return Found(figures=figures)


def scattered(tensor: Tensor) -> Tensor:
    """Return the same values with the strides of the reversed axes."""
    axes = tuple(reversed(range(tensor.ndim)))
    return tensor.permute(axes).contiguous().permute(axes)


def misaligned(tensor: Tensor) -> Tensor:
    """Return the same values, contiguous, from an address that is not a multiple of 16 bytes."""
    longer = torch.empty(tensor.numel() + 1, dtype=tensor.dtype, device=tensor.device)
    longer[1:] = tensor.flatten()
    return longer[1:].view(tensor.shape)
