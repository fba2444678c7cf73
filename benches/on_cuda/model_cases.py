"""The default model on a device: its inputs, its calls and what they are compared with."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from patchtst_har.config import ModelConfig
from patchtst_har.models import PatchTSTClassifier
from patchtst_har.models.attention import Backend, use_attention_backend

N_CLASSES = 6
BATCHES = (1, 32, 256, 1024, 4096)
Inputs = tuple[Tensor, ...]


def make_model(dropout: float, device: str = "cuda") -> PatchTSTClassifier:
    """Return the default model with the same weights each time."""
    torch.manual_seed(0)
    model = PatchTSTClassifier(ModelConfig(dropout=dropout), N_CLASSES)
    # Biases and scales begin as zeros and ones, which hide mistakes.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.to(device)


def make_inputs(batch: int, device: str = "cuda") -> Inputs:
    """Return patches, times, stats and topo."""
    config, generator = ModelConfig(), torch.Generator().manual_seed(1)
    shapes = (
        (batch, config.channels, config.n_patches, config.patch_len),
        (batch, config.n_time_features),
        (batch, config.n_stat_features),
        (batch, config.n_topo_features),
    )
    return tuple(torch.randn(shape, generator=generator).to(device) for shape in shapes)


@torch.inference_mode()
def logits_in_double(model: nn.Module, inputs: Inputs) -> Tensor:
    """Return the logits by plain torch in float64 on the CPU."""
    doubled = copy.deepcopy(model).cpu().double().eval()
    result: Tensor = doubled(*(tensor.cpu().double() for tensor in inputs))
    return result


def check_logits(logits: Tensor, expected: Tensor) -> float:
    """Raise AssertionError unless they agree; return the largest difference."""
    torch.testing.assert_close(logits.double().cpu(), expected, rtol=1e-4, atol=1e-4)
    return float((logits.double().cpu() - expected).abs().max())


def gradients(model: nn.Module, inputs: Inputs, backend: Backend = "auto") -> list[Tensor]:
    """Return the gradient of each parameter."""
    model.zero_grad(set_to_none=True)
    with use_attention_backend(backend):
        loss_of(model, inputs).backward()
    return [parameter.grad.detach().clone() for parameter in model.parameters() if parameter.grad is not None]


def loss_of(model: nn.Module, inputs: Inputs) -> Tensor:
    labels = torch.arange(inputs[0].shape[0], device=inputs[0].device) % N_CLASSES
    return nn.functional.cross_entropy(model(*inputs).float(), labels)


def training_step(
    model: nn.Module, inputs: Inputs, backend: Backend, *, mixed: bool = False
) -> Callable[[], Tensor]:
    """Return a step as the trainer makes it: loss, gradient, clipping, AdamW; it returns the loss."""
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    precision = torch.autocast("cuda", dtype=torch.bfloat16) if mixed else nullcontext()

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        with use_attention_backend(backend), precision:
            loss = loss_of(model, inputs)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.detach()

    return step


@contextmanager
def compiled(model: nn.Module) -> Iterator[nn.Module]:
    """Give the model compiled in one graph for any batch; what the compiler kept is dropped afterwards."""
    torch.compiler.reset()
    try:
        yield torch.compile(model, fullgraph=True, dynamic=True)
    finally:
        torch.compiler.reset()
