"""The parts ``model`` and ``compiler``: logits, gradients, training on a device; by torch.compile."""

from __future__ import annotations

from functools import partial

import torch

from on_cuda.attention_cases import Where, make_case
from on_cuda.checks import Found, Planned
from on_cuda.model_cases import (
    check_logits,
    compiled,
    gradients,
    logits_in_double,
    make_inputs,
    make_model,
    training_step,
)
from patchtst_har.models.attention import Backend, rope_attention, use_attention_backend

_N_STEPS = 40


def planned_eager(where: Where) -> list[Planned]:
    checks = [
        Planned(f"logits, batch {batch}, attention by {backend}", partial(_logits, batch, backend))
        for batch in (1, 7, 256)
        for backend in ("triton", "torch")
    ]
    checks += [Planned(f"gradients, batch {batch}", partial(_gradients, batch)) for batch in (1, 32, 256)]
    checks += [
        Planned(f"{_N_STEPS} training steps, {name}", partial(_training, mixed))
        for name, mixed in (("float32", False), ("bfloat16 autocast", True))
    ]
    return checks


def planned_compiled(where: Where) -> list[Planned]:
    return [
        Planned("attention: both passes drop the same", _compiled_dropout),
        Planned("logits of several batches equal the eager ones", _compiled_logits),
        Planned("gradients equal the eager ones", _compiled_gradients),
    ]


@torch.inference_mode()
def _logits(batch: int, backend: Backend) -> Found:
    model, inputs = make_model(0.0).eval(), make_inputs(batch)
    with use_attention_backend(backend):
        logits = model(*inputs)
    return Found(figures={"largest_error": check_logits(logits, logits_in_double(model, inputs))})


def _gradients(batch: int) -> Found:
    """Against plain torch on the CPU in float64, relative to the largest of each parameter."""
    model, inputs = make_model(0.0).train(), make_inputs(batch)
    doubled = make_model(0.0, "cpu").double().train()
    expected = gradients(doubled, tuple(tensor.cpu().double() for tensor in inputs), "torch")
    figures = {}
    for backend in ("triton", "torch"):
        worst = 0.0
        for got, right in zip(gradients(model, inputs, backend), expected, strict=True):
            scale = float(right.abs().max()) + 1e-6
            worst = max(worst, float((got.cpu().double() - right).abs().max()) / scale)
        figures[f"largest_error_{backend}"] = worst
    if not max(figures.values()) < 1e-3:
        raise AssertionError(f"gradients differ from those in float64: {figures}")
    return Found(figures=figures)


def _training(mixed: bool) -> Found:
    """Random labels can be learned by heart: the loss falls, with the fused attention and its dropout."""
    step = training_step(make_model(0.1).train(), make_inputs(64), "triton", mixed=mixed)
    losses = [float(step()) for _ in range(_N_STEPS)]
    first, last = sum(losses[:5]) / 5, sum(losses[-5:]) / 5
    if not last < first:
        raise AssertionError(f"the loss went from {first:.3f} to {last:.3f}")
    return Found(figures={"loss_first": first, "loss_last": last})


def _compiled_dropout() -> Found:
    """The output is linear in the values: their product with their gradient is the weighted output."""
    case = make_case((4, 12, 2, 28))
    qkv, grad, cos, sin = (tensor.cuda() for tensor in (case.qkv, case.grad, *case.tables))

    def doubled(leaf: torch.Tensor) -> torch.Tensor:
        return 2 * rope_attention(leaf, cos, sin, dropout_p=0.4, training=True)

    call = torch.compile(doubled, fullgraph=True)
    outs = []
    for _ in range(2):
        leaf = qkv.clone().requires_grad_()
        out = call(leaf)
        total = (out * grad).sum()
        (gradient,) = torch.autograd.grad(total, leaf)
        torch.testing.assert_close((gradient[:, :, 2] * leaf[:, :, 2]).sum(), total, rtol=1e-4, atol=1e-2)
        outs.append(out.detach())
    if torch.allclose(*outs):
        raise AssertionError("two calls drop the same weights")
    return Found()


@torch.inference_mode()
def _compiled_logits() -> Found:
    model, worst = make_model(0.0).eval(), 0.0
    with compiled(model) as fast:
        for batch in (32, 7, 256):
            inputs = make_inputs(batch)
            worst = max(worst, check_logits(fast(*inputs), logits_in_double(model, inputs)))
    return Found("one graph, without a break", figures={"largest_error": worst})


def _compiled_gradients() -> Found:
    model, inputs = make_model(0.0).train(), make_inputs(32)
    eager = gradients(model, inputs)
    with compiled(model) as fast:
        # The compiled module shares the parameters.
        found = gradients(fast, inputs)
    for got, right in zip(found, eager, strict=True):
        torch.testing.assert_close(got, right, rtol=1e-3, atol=1e-5 + 1e-3 * float(right.abs().max()))
    return Found("one graph, without a break")
