"""Times of persistence and the topological features on real windows, compared with ripser.py, giotto-ph.

Run by name: `python benches/study_persistence.py RECORDINGS`, where the folder holds annotated NPZ recordings
at 100 Hz (see `recorded_windows`). Prints tables in Markdown. Activities come stillest first. Every result is
compared before it is timed; the engines are called in turn in one process and one thread, and a ratio is that
of calls on the same window, one right after the other. giotto-ph is measured where it is installed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from other_engines import OTHERS, check_bars, prototype_cloud, prototype_diagrams
from patchtst_har import cpu_info
from patchtst_har.config import TopologyConfig
from patchtst_har.features import compute_topological_features, rips_persistence
from patchtst_har.features.ripser_engine import pairwise_distances
from recorded_windows import show, show_head, windows_by_activity

SIZES = (100, 200, 490)
RIPSER_CONFIG = TopologyConfig(engine="ripser")
PASSES = 3
WORST_OF = 100
"""Windows of an activity among which the native engine's worst is looked for."""

Windows = dict[str, np.ndarray]


Spent = np.ndarray
"""Seconds (n, 2) of n calls, by the processor's clock and by the wall's.

The processor's counts all threads: giotto-ph starts one of its own even where it may use only one.
"""


def timed(function: Callable[[Any], Any], argument: Any) -> tuple[float, float]:
    """Call once."""
    wall, cpu = time.perf_counter(), time.process_time()
    function(argument)
    return time.process_time() - cpu, time.perf_counter() - wall


def in_turn(functions: Sequence[Callable[[Any], Any]], rows: Sequence[Sequence[Any]]) -> list[Spent]:
    """Call each function on its argument of every row, one right after the other.

    The first one is called right after the same function on the row before: so code and memory are at hand,
    as they are in a stream, but branches are not learned by heart.
    """
    spent: list[list[tuple[float, float]]] = [[] for _ in functions]
    for row, before in zip(rows, [rows[-1], *rows], strict=False):
        functions[0](before[0])
        for function, argument, times in zip(functions, row, spent, strict=True):
            times.append(timed(function, argument))
    return [np.array(times) for times in spent]


def in_passes(function: Callable[[Any], Any], arguments: list[Any]) -> Spent:
    """Go through all arguments several times; return the medians of each one's calls."""
    return np.median([[timed(function, one) for one in arguments] for _ in range(PASSES)], axis=0)


def call_in_turn(windows: np.ndarray, n_points: int) -> list[Spent]:
    """Return what each engine spends on the cloud of each window.

    The native engine gets the points; the others a matrix of distances whose making is not counted.
    """
    rows = []
    for window in windows:
        cloud = prototype_cloud(window, n_points)
        distances = pairwise_distances(cloud)
        check_bars(cloud, distances)
        rows.append((cloud, *[distances] * len(OTHERS)))
    return in_turn([rips_persistence, *OTHERS.values()], rows)


def both(values: np.ndarray, form: str) -> str:
    """Return two numbers: of processor and of wall time."""
    return " / ".join(format(value, form) for value in values)


def milliseconds(spent: Spent) -> str:
    """Return the medians."""
    return both(1e3 * np.median(spent, axis=0), ".3f")


def ratio(slow: Spent, fast: Spent) -> str:
    """Return the medians, over windows, of the ratios."""
    return both(np.median(slow / fast, axis=0), ".1f")


def compare_engines(windows: Windows, per_activity: int) -> None:
    """Print a row for each size and activity, and one over all activities."""
    print("\n### Persistence: medians, processor / wall time\n")
    times = [f"{name}, ms" for name in ("native", *OTHERS)]
    show_head("points", "activity", *times, *(f"{name} / native" for name in OTHERS))
    for n_points in SIZES:
        found = {
            activity: call_in_turn(spread(some, per_activity), n_points) for activity, some in windows.items()
        }
        found["**all**"] = [np.concatenate(parts) for parts in zip(*found.values(), strict=True)]
        for activity, (native, *others) in found.items():
            ratios = (ratio(other, native) for other in others)
            show(n_points, activity, *map(milliseconds, (native, *others)), *ratios)


def spread(windows: np.ndarray, count: int) -> np.ndarray:
    """Return at most `count` of the windows, evenly spread."""
    return windows[:: -(-len(windows) // count)]


def find_worst(windows: Windows) -> None:
    """Print the slowest window of each activity."""
    print(f"\n### The native engine's worst of {WORST_OF} windows an activity, processor / wall time, ms\n")
    show_head("points", *windows)
    for n_points in SIZES:
        cells = []
        for some in windows.values():
            spent = in_passes(rips_persistence, [prototype_cloud(window, n_points) for window in some])
            worst = int(spent[:, 0].argmax())
            cells.append(f"{both(1e3 * spent[worst], '.3f')} (no. {worst})")
        show(n_points, *cells)


def compare_features(windows: Windows, per_activity: int) -> None:
    """Print what 24 features cost in the default settings, compared with the first method in turn."""
    print("\n### 24 features of a window with the defaults, processor / wall time\n")
    show_head("activity", "p50, µs", "p95, µs", "first method, ms", "first method / features")
    found = {}
    for activity, some in windows.items():
        check_features(some[:3])
        pairs = [(window, window) for window in spread(some, per_activity)]
        in_pairs = in_turn([compute_topological_features, prototype_diagrams], pairs)
        found[activity] = (in_passes(compute_topological_features, list(some)), *in_pairs)
    found["**all**"] = tuple(np.concatenate(parts) for parts in zip(*found.values(), strict=True))
    for activity, (spent, fast, slow) in found.items():
        percentiles = (both(1e6 * np.percentile(spent, p, axis=0), ".0f") for p in (50, 95))
        show(activity, *percentiles, milliseconds(slow), ratio(slow, fast))
    show_stages(np.concatenate(list(windows.values())))


def show_stages(windows: np.ndarray) -> None:
    """Print the medians of the stages of the features, by the wall's clock inside the engine."""
    times = [compute_topological_features(window, profile=True)[1] for window in windows]
    medians = {stage: float(np.median([one[stage] for one in times])) * 1e6 for stage in times[0]}
    print("\nStages, µs:", ", ".join(f"{stage} {median:.1f}" for stage, median in medians.items()))


def check_features(windows: np.ndarray) -> None:
    """Raise AssertionError unless ripser's features are the same."""
    for window in windows:
        expected = compute_topological_features(window, 100.0, RIPSER_CONFIG)
        np.testing.assert_allclose(compute_topological_features(window), expected, rtol=1e-5, atol=1e-6)


def main() -> None:
    """Run the study on a folder of recordings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--per-activity", type=int, default=12, help="windows that the slow engines get")
    arguments = parser.parse_args()
    windows = windows_by_activity(arguments.recordings, WORST_OF)
    print({name: len(some) for name, some in windows.items()}, cpu_info()["active"], ", ".join(OTHERS))
    compare_features(windows, arguments.per_activity)
    compare_engines(windows, arguments.per_activity)
    find_worst(windows)


if __name__ == "__main__":
    main()
