"""Calls every function of the compiled extension with numbers that no honest caller passes.

Run in a process of its own, with bounded memory: a call that writes outside of its arrays ends it.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from patchtst_har import _core

COUNTS = (0, -1, 2**31, 2**33, 2**62, 2**63, 2**64 - 1, (2**64 + 2) // 6)
REALS = (0.0, -1.0, 5e-324, 1e308, float("nan"), float("inf"), -float("inf"), 2.0**62)
ARRAYS = (0.0, 1e38, float("nan"), float("inf"))
_REFUSALS = (ValueError, TypeError, OverflowError, MemoryError, IndexError, RuntimeError)
_MEMORY = 2**30

Arguments = dict[str, Any]


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def engine(**changes: Any) -> Any:
    """Return an engine of one product: 4 inputs to 16 outputs."""
    options = {"input_shapes": [(4,), (0,), (0,), (0,)], "n_block_windows": 2, **changes}
    made = _core.Engine(**options)
    assert made.add_buffer(16) == 4
    return made


def linear(made: Any, **changes: Any) -> None:
    arguments = {
        "weights": ones(16, 4),
        "bias": ones(16),
        "source": (0, 0, 1, 1),
        "target": (4, 0, 1, 1),
        "rows": (1, 1),
        "segments": (1, 4, 1),
        "activation": "none",
        "adds": False,
    }
    made.add_linear(**{**arguments, **changes})


def ran(made: Any) -> None:
    """Use what was built: what it accepted must run inside its memory."""
    out = np.full((5, 16), 7, np.float32)
    made.set_outputs((4, 0, 0, 0), 16)
    made.run(ones(3, 4), ones(3, 0), ones(3, 0), ones(3, 0), out[1:4])
    assert (out[[0, 4]] == 7).all(), "a neighbour of the result was written"


def add(name: str) -> Callable[..., None]:
    def call(**arguments: Any) -> None:
        made = _core.Engine([(4,), (0,), (0,), (0,)], 2)
        made.add_buffer(64)
        getattr(made, name)(**arguments)
        ran(made)

    return call


def add_linear(**changes: Any) -> None:
    made = engine()
    linear(made, **changes)
    ran(made)


def add_buffer(n_floats: int) -> None:
    made = engine()
    linear(made)
    ran(made)
    made.set_outputs((made.add_buffer(n_floats), 0, 0, 0), 1)
    made.run(ones(3, 4), ones(3, 0), ones(3, 0), ones(3, 0), ones(3, 1))


def set_outputs(source: tuple[int, ...], width: int) -> None:
    made = engine()
    linear(made)
    made.set_outputs(source, width)
    made.run(ones(3, 4), ones(3, 0), ones(3, 0), ones(3, 0), ones(3, min(width, 16)))


def set_embedding(source: tuple[int, ...], width: int) -> None:
    embed(out=ones(3, 16), embeddings=ones(3, min(width, 16)), source=source, width=width)


def embed(out: np.ndarray, embeddings: np.ndarray, source: Any = (4, 0, 0, 0), width: int = 16) -> None:
    made = engine()
    linear(made)
    made.set_outputs((4, 0, 0, 0), 16)
    made.set_embedding(source, width)
    made.embed((ones(3, 4), ones(3, 0), ones(3, 0), ones(3, 0)), out, embeddings)


def run(**inputs: np.ndarray) -> None:
    made = engine()
    linear(made)
    made.set_outputs((4, 0, 0, 0), 16)
    made.run(**inputs)


def new_engine(**options: Any) -> None:
    made = engine(**options)
    linear(made)
    ran(made)


def classifier(window: np.ndarray, times: np.ndarray, **options: Any) -> None:
    made = _core.Engine([(3, 2, 10), (0,), (0,), (24,)], 1)
    made.add_buffer(16)
    made.add_constant(ones(16), (4, 0, 1, 1))
    made.set_outputs((4, 0, 0, 0), 3)
    arguments = {"engine": made, "rate_hz": 100.0, "window_size": 20, "patch_len": 10, "patch_hop": 10}
    arguments |= {"uses_statistics": False, "uses_movement": False, "embedding": (1, 2, 3), **options}
    _core.WindowClassifier(**arguments).classify(window, times)


def familiarity(embeddings: np.ndarray, **arrays: Any) -> None:
    shapes = {"origin": (4,), "projection": (2, 4), "centres": (3, 2)}
    made = _core.Familiarity(**{name: ones(*shape) for name, shape in shapes.items()} | arrays)
    made.distances(embeddings)


def window_buffer(**options: Any) -> None:
    arguments = {"rate_hz": 100.0, "window_size": 20, "hop_size": 10, "max_gap_s": 1.0, **options}
    buffer = _core.WindowBuffer(**arguments)
    samples, stamps = ones(60, 3), np.arange(60, dtype=np.int64) * 10_000_000
    first = 0
    for _ in range(100):
        first = buffer.feed(samples, stamps, first)
        if buffer.ready:
            assert buffer.window().shape == (arguments["window_size"], 3)
            buffer.place()
        elif first == len(samples):
            break
    buffer.finish()
    buffer.counts()


def feed(first: int, samples: np.ndarray, stamps_ns: np.ndarray) -> None:
    _core.WindowBuffer(100.0, 20, 10, 1.0).feed(samples, stamps_ns, first)


def feed_sample(**changes: Any) -> None:
    buffer = _core.WindowBuffer(100.0, 20, 10, 1.0)
    for stamp in (0, 10_000_000):
        buffer.feed_sample(x=1.0, y=1.0, z=1.0, stamp_ns=stamp, first=0)
    buffer.feed_sample(**{"x": 1.0, "y": 1.0, "z": 1.0, "stamp_ns": 20_000_000, "first": 0, **changes})
    buffer.finish()


def fed_buffer() -> Any:
    buffer = _core.WindowBuffer(100.0, 20, 10, 1.0)
    buffer.feed(ones(15, 3), np.arange(15, dtype=np.int64) * 10_000_000, 0)
    return buffer


def restore_points(points: np.ndarray) -> None:
    _core.WindowBuffer(100.0, 20, 10, 1.0).restore(fed_buffer().state()[0], points)


def restore_buffer(position: int, number: int) -> None:
    numbers, points = fed_buffer().state()
    numbers[position] = number
    other = _core.WindowBuffer(100.0, 20, 10, 1.0)
    other.restore(numbers, points)
    first = 0
    for _ in range(100):
        first = other.feed(ones(9, 3), 150_000_000 + np.arange(9, dtype=np.int64) * 10_000_000, first)
        if not other.ready and first == 9:
            break


def smoother(back: int, probabilities: np.ndarray, filters: np.ndarray, **options: Any) -> None:
    made = _core.CausalSmoother(**options)
    for _ in range(3):
        made.observe(probabilities)
        made.skip()
    made.restore(made.state())
    if made.n_held:
        made.filtered()
    made.look_ahead(back)
    made.restart()
    made.restore(filters)


def topology(windows: np.ndarray, factor: int, dimension: int, delay: int) -> None:
    out = np.full((4, 24), 7, np.float32)
    _core.topological_features(windows, factor, dimension, delay, out[1:3])
    assert (out[[0, 3]] == 7).all()


def statistics(windows: np.ndarray, sr: float) -> None:
    n_features = len(_core.STATISTICAL_FEATURE_NAMES)
    out = np.full((4, n_features), 7, np.float32)
    _core.statistical_features(windows, sr, out[1:3])
    assert (out[[0, 3]] == 7).all()
    _core.window_statistics(windows[0], sr)


def movement(windows: np.ndarray, sr: float) -> None:
    out = np.full((4, len(_core.MOVEMENT_FEATURE_NAMES)), 7, np.float32)
    _core.movement_features(windows, sr, out[1:3])
    assert (out[[0, 3]] == 7).all()
    _core.window_movement(windows[0], sr)


def attention(shape: tuple[int, ...], seed: int, threshold: int, n_threads: int, address: int = 1) -> None:
    qkv, tables, result = ones(2, 4, 3, 2, 8), ones(4, 4), ones(2, 4, 3, 2, 8)
    lse = ones(2, 2, 4)
    at = [array.ctypes.data * address for array in (qkv, tables, tables)]
    _core.attention_forward(shape, at, seed, threshold, result.ctypes.data, lse.ctypes.data, n_threads)
    others = (qkv.ctypes.data, result.ctypes.data, lse.ctypes.data)
    grad = ones(2, 4, 3, 2, 8)
    _core.attention_backward(shape, at, seed, threshold, others, grad.ctypes.data, n_threads)


def drop_values(n: int, seed: int, threshold: int, n_threads: int, address: int = 1) -> None:
    if n == 2**31:
        return  # Allowed; that it is more than there is at the address, nobody can know.
    values = ones(100)
    result = ones(100)
    at = values.ctypes.data * address
    _core.drop_values(at, n, seed, threshold, result.ctypes.data, n_threads)


WINDOWS = np.random.default_rng(0).normal(size=(2, 50, 3)).astype(np.float32)
THIRDS = np.full((3, 3), 1 / 3)
STAMPS_NS = np.arange(30, dtype=np.int64) * 10_000_000
PLACE = {"source": (0, 0, 1, 1), "target": (4, 0, 1, 1)}
TARGETS: dict[str, tuple[Callable[..., Any], Arguments]] = {
    "topological_features": (topology, {"windows": WINDOWS, "factor": 2, "dimension": 2, "delay": 3}),
    "simplified_topological_features": (
        lambda windows: _core.simplified_topological_features(windows, ones(2, 24)),
        {"windows": WINDOWS},
    ),
    "statistical_features": (statistics, {"windows": WINDOWS, "sr": 100.0}),
    "movement_features": (movement, {"windows": WINDOWS, "sr": 100.0}),
    "magnitude": (_core.magnitude, {"window": WINDOWS[0]}),
    "rips_persistence": (_core.rips_persistence, {"points": WINDOWS[0], "max_edge": 1.0}),
    "rips_persistence_of_distances": (
        _core.rips_persistence_of_distances,
        {"distances": ones(9, 9), "max_edge": 1.0},
    ),
    "attention": (
        attention,
        {"shape": (2, 4, 2, 8), "seed": 1, "threshold": 9, "n_threads": 2, "address": 1},
    ),
    "drop_values": (drop_values, {"n": 100, "seed": 1, "threshold": 9, "n_threads": 2, "address": 1}),
    "softmax": (_core.softmax, {"rows": ones(2, 3)}),
    "probabilities": (_core.probabilities, {"logits": ones(2, 3)}),
    "exponential": (_core.exponential, {"values": ones(3)}),
    "error_function": (_core.error_function, {"values": ones(3)}),
    "Engine": (new_engine, {"n_block_windows": 2, "input_shapes": [(4,), (0,), (0,), (0,)]}),
    "Engine.run": (
        run,
        {"patches": ones(3, 4), "times": ones(3, 0), "stats": ones(3, 0), "topo": ones(3, 0)}
        | {"out": ones(3, 16)},
    ),
    "Engine.add_buffer": (add_buffer, {"n_floats": 16}),
    "Engine.set_outputs": (set_outputs, {"source": (4, 0, 0, 0), "width": 16}),
    "Engine.set_embedding": (set_embedding, {"source": (4, 0, 0, 0), "width": 16}),
    "Engine.embed": (embed, {"out": ones(3, 16), "embeddings": ones(3, 16)}),
    "Engine.add_linear": (
        add_linear,
        {**PLACE, "rows": (1, 1), "segments": (1, 4, 1), "weights": ones(16, 4)},
    ),
    "Engine.add_standardise": (
        add("add_standardise"),
        {**PLACE, "mean": ones(4), "inverse_std": ones(4), "limit": 5.0},
    ),
    "Engine.add_quantiles": (
        add("add_quantiles"),
        {**PLACE, "lower": ones(3, 4), "inverse_width": ones(3, 4), "limit": 2.5},
    ),
    "Engine.add_constant": (add("add_constant"), {"values": ones(16), "target": (4, 0, 1, 1)}),
    "Engine.add_normalise": (
        add("add_normalise"),
        {"gain": ones(9), "bias": ones(9), "epsilon": 1e-5, "n_rows": 1, "source": (4, 0, 16, 1)}
        | {"target": (4, 16, 16, 1)},
    ),
    "Engine.add_attention": (
        add("add_attention"),
        {"cos": ones(1, 2), "sin": ones(1, 2), "n_heads": 1, "qkv": (4, 0, 0, 1), "target": (4, 40, 0, 1)},
    ),
    "Engine.add_pool": (
        add("add_pool"),
        {
            "query": ones(9),
            "kind": "attention",
            "n_rows": 2,
            "source": (4, 0, 16, 1),
            "target": (4, 32, 1, 1),
        },
    ),
    "interpolate": (
        _core.interpolate,
        {"stamps_ns": STAMPS_NS, "samples": ones(30, 3), "grid_ns": STAMPS_NS + 5_000_000},
    ),
    "WindowBuffer": (window_buffer, {"rate_hz": 100.0, "window_size": 20, "hop_size": 10, "max_gap_s": 1.0}),
    "WindowBuffer.feed": (feed, {"first": 0, "samples": ones(30, 3), "stamps_ns": STAMPS_NS}),
    "WindowBuffer.restore": (restore_points, {"points": fed_buffer().state()[1]}),
    "WindowBuffer.feed_sample": (feed_sample, {"x": 1.0, "stamp_ns": 20_000_000, "first": 0}),
    "WindowClassifier": (
        classifier,
        {"rate_hz": 100.0, "window_size": 20, "patch_len": 10, "patch_hop": 10, "embedding": (1, 2, 3)}
        | {"window": ones(20, 3), "times": ones(1, 0)},
    ),
    "Familiarity": (
        familiarity,
        {"origin": ones(4), "projection": ones(2, 4), "centres": ones(3, 2), "embeddings": ones(5, 4)},
    ),
    "CausalSmoother": (
        smoother,
        {"exponent": 1.0, "lag": 2, "back": 1, "start": THIRDS[0], "transitions": THIRDS, "emissions": THIRDS}
        | {"probabilities": THIRDS[0], "filters": THIRDS},
    ),
} | {
    f"WindowBuffer.restore {position}": (
        lambda number, position=position: restore_buffer(position, number),
        {"number": number},
    )
    for position, number in enumerate(fed_buffer().state()[0].tolist())
}
# What is called by another name above, and what takes no number or array.
ALSO = {"attention_forward", "attention_backward", "window_statistics", "window_movement"}
ALSO |= {"CausalSmoother.look_ahead", "CausalSmoother.observe", "CausalSmoother.restore"}
ALSO |= {"WindowClassifier.classify", "Familiarity.distances"}
WITHOUT = {"active_isa", "available_isas", "cpu_features", "n_plans_made", "select_isa"}
WITHOUT |= {
    "CausalSmoother.filtered",
    "CausalSmoother.restart",
    "CausalSmoother.skip",
    "CausalSmoother.state",
}
WITHOUT |= {f"WindowBuffer.{name}" for name in ("counts", "finish", "place", "state", "window")}


def hostile(value: Any) -> Iterator[Any]:
    """Yield values of a kind, of which an honest one is given."""
    if isinstance(value, bool):
        return
    if isinstance(value, int):
        yield from COUNTS
        yield from REALS
    elif isinstance(value, float):
        yield from REALS
    elif isinstance(value, np.ndarray):
        for number in ARRAYS:
            yield np.full_like(value, number)
        yield value[:0]
        yield value[..., :0]
        yield value[..., ::2]
        yield value.astype(np.float16)
    elif isinstance(value, (tuple, list)):
        for position, element in enumerate(value):
            for number in hostile(element):
                changed = [*value[:position], number, *value[position + 1 :]]
                yield type(value)(changed)


def main(name: str) -> None:
    call, honest = TARGETS[name]
    call(**honest)
    for argument, value in honest.items():
        for number in hostile(value):
            print(argument, np.asarray(number, object).ravel()[:5], end=": ", flush=True)
            try:
                call(**{**honest, argument: number})
                print("accepted", flush=True)
            except _REFUSALS as error:
                print(type(error).__name__, flush=True)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + _MEMORY, taken + _MEMORY))
    for chosen in sys.argv[1:] or TARGETS:
        print(chosen, flush=True)
        main(chosen)
    print("done", flush=True)
