"""Size and arithmetic of a torch module. Importing this module imports torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from patchtst_har.errors import DataError


def model_complexity(module: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, Any]:
    """Count parameters and floating-point operations of one forward pass of one window.

    Counted are matrix products, convolutions and attention, a multiply-add as two operations; element-wise
    work (norms, activations, softmax) is not. Counting runs in evaluation mode without gradients, and the
    module's mode is restored.

    Parameters
    ----------
    module : torch.nn.Module
        The model.
    inputs : tuple of Tensor
        Arguments of `forward` for one window: each has a first dimension of 1.

    Returns
    -------
    dict
        ``parameters, trainable_parameters, parameter_bytes_float32, buffer_bytes, flops``, and ``modules``:
        for the module and every submodule its name, type, own and inner parameters, and flops.

    Raises
    ------
    DataError
        If an input does not hold exactly one window.
    """
    for position, tensor in enumerate(inputs):
        if tensor.ndim < 1 or tensor.shape[0] != 1:
            raise DataError(f"inputs[{position}]: needs one window (1, ...), has {tuple(tensor.shape)}")
    flops = _count_flops(module, inputs)
    parameters = sum(p.numel() for p in module.parameters())
    return {
        "parameters": parameters,
        "trainable_parameters": sum(p.numel() for p in module.parameters() if p.requires_grad),
        "parameter_bytes_float32": 4 * parameters,
        "buffer_bytes": sum(b.numel() * b.element_size() for b in module.buffers()),
        "flops": flops[""],
        "modules": [
            {
                "name": name,
                "type": type(child).__name__,
                "parameters": sum(p.numel() for p in child.parameters()),
                "flops": flops.get(name, 0),
            }
            for name, child in module.named_modules()
        ],
    }


def _count_flops(module: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, int]:
    """Return the operations of the module (name "") and of its submodules."""
    modes = {child: child.training for child in module.modules()}
    module.eval()
    counter = FlopCounterMode(display=False, custom_mapping=_FORMULAS)
    try:
        with torch.no_grad(), counter:
            module(*inputs)
    finally:
        for child, training in modes.items():
            child.training = training
    counts = counter.get_flop_counts().items()
    inner = {name.partition(".")[2]: sum(operations.values()) for name, operations in counts}
    return inner | {"": counter.get_total_flops()}


def _cpu_attention_flops(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))


# torch counts attention on CUDA only.
_FORMULAS = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _cpu_attention_flops}
