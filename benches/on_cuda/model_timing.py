"""The part ``model times``: inference and training step, plain, fused and by torch.compile."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from on_cuda.attention_cases import Where
from on_cuda.checks import Found, Planned
from on_cuda.machine import clocks
from on_cuda.model_cases import (
    BATCHES,
    check_logits,
    compiled,
    gradients,
    logits_in_double,
    make_inputs,
    make_model,
    training_step,
)
from on_cuda.timing import time_in_turn
from on_cuda.timing_names import FUSED, PLAIN
from patchtst_har.models.attention import use_attention_backend

_ROUNDS_S = 1.5


def planned(where: Where) -> list[Planned]:
    """Return eager before compiled: compiling takes a large part of the time."""
    checks = [Planned(f"inference, batch {batch}", partial(_inference, batch)) for batch in BATCHES]
    checks += [
        Planned(f"training step, {name}, batch {batch}", partial(_training, batch, mixed))
        for name, mixed in (("float32", False), ("bfloat16 autocast", True))
        for batch in BATCHES
    ]
    checks += [Planned("inference by torch.compile, every batch", _compiled_inference)]
    checks += [Planned("training step by torch.compile, every batch", _compiled_training)]
    return checks


def _checked(call: Callable[[], torch.Tensor], expected: torch.Tensor) -> Callable[[], torch.Tensor]:
    check_logits(call(), expected)
    return call


def _inference(batch: int) -> Found:
    model, inputs = make_model(0.0).eval(), make_inputs(batch)
    expected = logits_in_double(model, inputs)

    @torch.inference_mode()
    def call(backend: str) -> torch.Tensor:
        with use_attention_backend(backend):
            return model(*inputs)

    calls = {
        FUSED: _checked(lambda: call("triton"), expected),
        PLAIN: _checked(lambda: call("torch"), expected),
    }
    before = clocks()
    timings = time_in_turn("inference, float32", batch, calls, _ROUNDS_S)
    return Found(timings=timings, clocks=(before, clocks()))


def _training(batch: int, mixed: bool) -> Found:
    inputs = make_inputs(batch)
    _check_gradients(batch)
    calls = {
        FUSED: training_step(make_model(0.3).train(), inputs, "triton", mixed=mixed),
        PLAIN: training_step(make_model(0.3).train(), inputs, "torch", mixed=mixed),
    }
    what = f"training step, {'bfloat16 autocast' if mixed else 'float32'}"
    before = clocks()
    timings = time_in_turn(what, batch, calls, _ROUNDS_S)
    return Found(timings=timings, clocks=(before, clocks()))


def _check_gradients(batch: int, fast: torch.nn.Module | None = None) -> None:
    """Compare the gradients of fused attention (or of a compiled model) with those of plain attention."""
    model, inputs = make_model(0.0).train(), make_inputs(batch)
    expected = gradients(model, inputs, "torch")
    found = gradients(model if fast is None else fast, inputs, "triton")
    for got, right in zip(found, expected, strict=True):
        torch.testing.assert_close(got, right, rtol=1e-3, atol=1e-5 + 1e-3 * float(right.abs().max()))


def _compiled_inference() -> Found:
    model, timings, before = make_model(0.0).eval(), [], clocks()
    with compiled(model) as fast:
        for batch in _compiling_order():
            inputs = make_inputs(batch)
            call = torch.inference_mode()(partial(fast, *inputs))
            calls = {f"{FUSED}, torch.compile": _checked(call, logits_in_double(model, inputs))}
            timings += time_in_turn("inference, float32", batch, calls, _ROUNDS_S / 2)
    return Found(timings=timings, clocks=(before, clocks()))


def _compiled_training() -> Found:
    timings, before = [], clocks()
    with compiled(make_model(0.0).train()) as fast:
        for batch in _compiling_order():
            _check_gradients(batch, fast)
    with compiled(make_model(0.3).train()) as fast:
        for batch in _compiling_order():
            step = training_step(fast, make_inputs(batch), "triton")
            timings += time_in_turn(
                "training step, float32", batch, {f"{FUSED}, torch.compile": step}, _ROUNDS_S / 2
            )
    return Found(timings=timings, clocks=(before, clocks()))


def _compiling_order() -> tuple[int, ...]:
    """1 last: the compiler makes a graph of its own for it."""
    return (*BATCHES[1:], 1)
