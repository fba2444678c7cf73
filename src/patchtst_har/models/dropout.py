"""Dropout that draws one number a call and finds its pattern again in the backward pass.

torch's own draws every element from a serial generator: a third of a training step of the default model on
one core, measured with torch's profiler. It also keeps every mask until the backward pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from patchtst_har import _core
from patchtst_har.models.attention_op import dropout_threshold

_NAME = "patchtst_har::dropout"

torch.library.define(_NAME, "(Tensor x, Tensor seed, float p) -> Tensor", tags=(torch.Tag.pt2_compliant_tag,))


class Dropout(nn.Dropout):
    """`torch.nn.Dropout` by the operator ``patchtst_har::dropout`` for float32 on the CPU.

    There the probability is taken to the nearest of 65536 steps, and the pattern depends on one number drawn
    from torch's generator, not on instruction set or number of threads. Other dtypes and devices, and a
    probability of 1, go to torch's own.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Zero each element with probability `p` and scale the others, in training mode only."""
        if not self.training or self.p == 0.0:
            return input
        if input.device.type != "cpu" or input.dtype is not torch.float32 or self.p == 1.0 or self.inplace:
            return super().forward(input)
        seed = torch.randint(2**63 - 1, (1,))
        dropped: Tensor = torch.ops.patchtst_har.dropout.default(input, seed, self.p)
        return dropped


def _check(x: Tensor, seed: Tensor, p: float) -> None:
    if x.dtype is not torch.float32:
        raise ValueError(f"x must be float32, got {x.dtype}")
    if seed.dtype is not torch.int64 or seed.numel() != 1:
        raise ValueError(f"seed must be one int64 number, got {seed.dtype} {tuple(seed.shape)}")
    if not 0.0 <= p < 1.0:
        raise ValueError(f"p must be at least 0 and below 1, got {p}")


@torch.library.impl(_NAME, "CPU")
def _dropout_cpu(x: Tensor, seed: Tensor, p: float) -> Tensor:
    _check(x, seed, p)
    x = x.contiguous()
    result = torch.empty_like(x)
    random = (int(seed.item()) % 2**64, dropout_threshold(p))
    _core.drop_values(x.data_ptr(), x.numel(), *random, result.data_ptr(), torch.get_num_threads())
    return result


@torch.library.register_fake(_NAME)  # type: ignore[untyped-decorator]
def _dropout_fake(x: Tensor, seed: Tensor, p: float) -> Tensor:
    _check(x, seed, p)
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, seed, ctx.p = inputs
    ctx.save_for_backward(seed)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
    (seed,) = ctx.saved_tensors
    return torch.ops.patchtst_har.dropout.default(grad, seed, ctx.p), None, None


torch.library.register_autograd(_NAME, _differentiate, setup_context=_keep)
