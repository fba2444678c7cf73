"""Shared by the benchmarks: windows, devices, the fixture that measures, and the table at the end."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from measuring import Contestant, Measure, summary, times_in_turn
from patchtst_har import _core, synthetic
from patchtst_har.reproducibility import threads
from patchtst_har.support.host import host_facts, package_versions
from recorded_windows import windows_of_all
from results_table import Line, table_lines, without_device
from selection import LONG, is_chosen

_LINES: pytest.StashKey[dict[tuple[str, str], Line]] = pytest.StashKey()
_COMPARED: pytest.StashKey[dict[str, dict[str, dict[str, float]]]] = pytest.StashKey()
_ON_CUDA: pytest.StashKey[set[str]] = pytest.StashKey()
RECORDINGS = os.environ.get("PATCHTST_HAR_RECORDINGS")
"""A folder of annotated NPZ recordings at 100 Hz, whose windows are one more kind."""
_PACKAGES = ("scipy", "numba", "hmmlearn", "ripser", "torch")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("benches")
    group.addoption("--long", action="store_true", help="run the benchmarks marked bench_long, too")
    group.addoption(
        "--rounds-factor", type=float, default=1.0, help="multiplies the rounds of every benchmark"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.option.rounds_factor <= 0:
        raise pytest.UsageError("--rounds-factor must be positive")
    # Its table has means; ours has percentiles. --benchmark-verbose brings it back.
    config.option.benchmark_quiet = True
    config.stash[_LINES], config.stash[_COMPARED], config.stash[_ON_CUDA] = {}, {}, set()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the long benchmarks unless they are wanted; note which lines the table will have."""
    option = config.option
    long = [
        item
        for item in items
        if item.get_closest_marker(LONG)
        and not is_chosen(item.nodeid, config.args, option.markexpr, long=option.long)
    ]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in set(long)]
    for item in items:
        if "measure" in getattr(item, "fixturenames", ()):
            _line(item).results.setdefault(_device(item), None)
            if _device(item) == "cuda":
                config.stash[_ON_CUDA].add(item.nodeid)


def _device(item: pytest.Item) -> str:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("device", "cpu") if callspec else "cpu"


def _line(item: pytest.Item) -> Line:
    """Return the line of a benchmark: the same for its CPU and its CUDA variant."""
    part, name = without_device(item.nodeid, _device(item))
    lines = item.config.stash[_LINES]
    return lines.setdefault((part, name), Line(part, name))


@pytest.fixture(params=[*synthetic.KINDS, *(["recorded"] if RECORDINGS else [])])
def windows(request: pytest.FixtureRequest) -> np.ndarray:
    """Return (64, 1000, 3) float32 windows of one kind, the same in every run."""
    if request.param == "recorded":
        return windows_of_all(Path(RECORDINGS), 64)
    return synthetic.windows(request.param, 64)


@pytest.fixture
def isa(request: pytest.FixtureRequest) -> Any:
    """Use the instruction set of the parameter; afterwards the active one again."""
    active = _core.active_isa()
    _core.select_isa(request.param)
    yield request.param
    _core.select_isa(active)


@pytest.fixture
def n_threads(request: pytest.FixtureRequest) -> Any:
    """Return the parameter; skip on a machine with fewer cores."""
    if request.param > (os.cpu_count() or 1):
        pytest.skip(f"fewer than {request.param} cores")
    return request.param


@pytest.fixture
def one_thread() -> Any:
    """Keep torch to one thread."""
    with threads(1):
        yield


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> Any:
    """Return the device as torch knows it; skip what has none."""
    import torch

    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("CUDA: no device")
    return torch.device(request.param)


@pytest.fixture
def measure(request: pytest.FixtureRequest, benchmark: Any) -> Measure:
    """Return the `Measure` of this benchmark."""
    measure = Measure(benchmark, request.config.option.rounds_factor, _device(request.node))
    # Filled while the benchmark runs.
    _line(request.node).results[_device(request.node)] = benchmark.extra_info
    return measure


@pytest.fixture
def compare(request: pytest.FixtureRequest, benchmark: Any) -> Callable[..., None]:
    """Return ``compare(contestants, rounds)``, which calls them in turn, in one process.

    p50 and p95 of each, and how many times the first one's they are, go to `extra_info`: by the clock and in
    processor time of the thread.
    """

    def run(contestants: Sequence[Contestant], rounds: int) -> None:
        times_in_turn(contestants, 1)
        given = (contestants, Measure(benchmark, request.config.option.rounds_factor).rounds(rounds))
        taken = benchmark.pedantic(times_in_turn, args=given, rounds=1, iterations=1)
        if benchmark.disabled:
            return
        rows = summary(contestants, taken)
        benchmark.extra_info.update(rows)
        request.config.stash[_COMPARED][benchmark.name] = rows

    return run


def _host() -> dict[str, Any]:
    return (
        host_facts() | package_versions(_PACKAGES) | {"compiler": _compiler(), "cuda_device": _cuda_device()}
    )


def _compiler() -> str | None:
    """Return what the compiled kernels were made by, as it left its name in them; None if it did not."""
    content = Path(_core.__file__).read_bytes()
    found = re.search(rb"GCC: \([^)]*\) [\d.]+|clang version [\d.]+", content)
    return found[0].decode() if found else None


def _cuda_device() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    machine_info["host"] = _host()
    machine_info["rounds_factor"] = config.option.rounds_factor
    machine_info["no_device"] = [] if _cuda_device() else sorted(config.stash[_ON_CUDA])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the percentiles of every benchmark, and the comparisons."""
    lines = config.stash[_LINES].values()
    if any(found and "p50_us" in found for line in lines for found in line.results.values()):
        terminalreporter.section("microseconds an item")
        facts = {name: "not readable" if value is None else value for name, value in _host().items()}
        host = ", ".join(f"{name} {value}" for name, value in facts.items())
        terminalreporter.line(textwrap.fill(host, width=120))
        for text in table_lines(lines, has_cuda=_cuda_device() is not None):
            terminalreporter.line(text)
    for name, rows in config.stash[_COMPARED].items():
        width = max(map(len, rows))
        terminalreporter.section(f"{name}, in turn: microseconds an item and times the first")
        terminalreporter.line(" " * width + "".join(f"{key:>21}" for key in next(iter(rows.values()))))
        for contestant, row in rows.items():
            terminalreporter.line(f"{contestant:<{width}}" + "".join(f"{one:>21.2f}" for one in row.values()))
