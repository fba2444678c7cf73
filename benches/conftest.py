"""Shared by the benchmarks: realistic windows, and percentiles of every single round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from in_turn import Contestant, summary, times_in_turn

WINDOW_SAMPLES = 1000
SAMPLE_RATE_HZ = 100.0
PERCENTILES = (50, 95, 99)

_measured: list[tuple[str, dict[str, float]]] = []
_compared: list[tuple[str, dict[str, dict[str, float]]]] = []


def _walking(rng: np.random.Generator, time_s: np.ndarray) -> np.ndarray:
    step_hz = rng.uniform(1.5, 2.3)
    phase = 2 * np.pi * step_hz * time_s + rng.uniform(0, 2 * np.pi)
    arm = np.sin(phase / 2)[:, np.newaxis] * [0.25, 0.15, 0.05]
    heel = np.exp(4 * (np.cos(phase) - 1))[:, np.newaxis] * [0.5, 0.1, 0.3]
    return np.array([-0.8, 0.3, 0.5]) + arm + heel + rng.normal(0, 0.05, (len(time_s), 3))


def _still(rng: np.random.Generator, time_s: np.ndarray) -> np.ndarray:
    """Rest as a device with steps of 1/64 g records it: few values, long plateaus."""
    signal = np.array([0.1, 0.2, 0.97]) + rng.normal(0, 0.006, (len(time_s), 3))
    return np.round(signal * 64) / 64


def _noise(rng: np.random.Generator, time_s: np.ndarray) -> np.ndarray:
    return np.array([0.3, 0.5, 0.8]) + rng.normal(0, 0.3, (len(time_s), 3))


@pytest.fixture(params=["walking", "still", "noise"])
def windows(request: pytest.FixtureRequest) -> np.ndarray:
    """Return (64, 1000, 3) float32 windows of one kind, the same in every run."""
    make = {"walking": _walking, "still": _still, "noise": _noise}[request.param]
    rng = np.random.default_rng(0)
    time_s = np.arange(WINDOW_SAMPLES) / SAMPLE_RATE_HZ
    return np.stack([make(rng, time_s) for _ in range(64)]).astype(np.float32)


@pytest.fixture
def measure(benchmark: Any) -> Callable[..., None]:
    """Return ``measure(function, inputs, rounds, per_round=1)``.

    Every round is one call, with the inputs in turn; p50, p95 and p99 in microseconds (divided by
    `per_round` items) go to `extra_info`.
    """

    def run(function: Callable[[Any], Any], inputs: Any, rounds: int, per_round: int = 1) -> None:
        position = iter(range(10**9))

        def setup() -> tuple[tuple[Any], dict[str, Any]]:
            return (inputs[next(position) % len(inputs)],), {}

        benchmark.pedantic(function, setup=setup, iterations=1, rounds=rounds, warmup_rounds=min(rounds, 5))
        if benchmark.disabled:
            return
        for percentile in PERCENTILES:
            seconds = float(np.percentile(benchmark.stats.stats.data, percentile))
            benchmark.extra_info[f"p{percentile}_us"] = round(seconds * 1e6 / per_round, 2)
        _measured.append((benchmark.name, dict(benchmark.extra_info)))

    return run


@pytest.fixture
def compare(benchmark: Any) -> Callable[..., None]:
    """Return ``compare(contestants, rounds)``, which calls them in turn, in one process.

    p50 and p95 of each, and how many times the first one's they are, go to `extra_info`: by the clock and in
    processor time of the thread.
    """

    def run(contestants: Sequence[Contestant], rounds: int) -> None:
        times_in_turn(contestants, 1)
        taken = benchmark.pedantic(times_in_turn, args=(contestants, rounds), rounds=1, iterations=1)
        if benchmark.disabled:
            return
        rows = summary(contestants, taken)
        benchmark.extra_info.update(rows)
        _compared.append((benchmark.name, rows))

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the percentiles of every benchmark, in microseconds an item, and the comparisons."""
    if _measured:
        width = max(len(name) for name, _ in _measured)
        terminalreporter.section("microseconds an item")
        terminalreporter.line(" " * width + "".join(f"{f'p{percentile}':>12}" for percentile in PERCENTILES))
        for name, info in _measured:
            columns = "".join(f"{info[f'p{percentile}_us']:>12.2f}" for percentile in PERCENTILES)
            terminalreporter.line(f"{name:<{width}}{columns}")
    for name, rows in _compared:
        width = max(map(len, rows))
        terminalreporter.section(f"{name}, in turn: microseconds an item and times the first")
        terminalreporter.line(" " * width + "".join(f"{key:>21}" for key in next(iter(rows.values()))))
        for contestant, row in rows.items():
            terminalreporter.line(f"{contestant:<{width}}" + "".join(f"{one:>21.2f}" for one in row.values()))
