"""Times of persistence and the topological features on real windows, compared with ripser.py, giotto-ph.

Run by name: `python benches/study_persistence.py RECORDINGS`, where the folder holds annotated NPZ recordings
at 100 Hz (see `recorded_windows`). Prints tables in Markdown. Activities come stillest first. Every result is
compared before it is timed; the engines are called in turn in one process and one thread, and a ratio is that
of calls on the same window, one right after the other. giotto-ph is measured where it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ripser import ripser

from patchtst_har import cpu_info
from patchtst_har.config import TopologyConfig
from patchtst_har.features import compute_topological_features, rips_persistence, takens_embedding
from patchtst_har.features.ripser_engine import pairwise_distances
from recorded_windows import windows_by_activity

SIZES = (100, 200, 490)
RIPSER_CONFIG = TopologyConfig(engine="ripser")
PASSES = 3
WORST_OF = 100
"""Windows of an activity among which the native engine's worst is looked for."""

Windows = dict[str, np.ndarray]


@dataclass(frozen=True)
class Spent:
    """Seconds of one call, by the processor's clock and by the wall's.

    The processor's counts all threads: giotto-ph starts one of its own even where it may use only one.
    """

    cpu: float
    wall: float


def timed(function: Callable[[Any], Any], argument: Any) -> Spent:
    """Call once."""
    wall, cpu = time.perf_counter(), time.process_time()
    function(argument)
    return Spent(time.process_time() - cpu, time.perf_counter() - wall)


def timed_warm(function: Callable[[Any], Any], other: Any, argument: Any) -> Spent:
    """Call once, right after the same function on something else.

    So code and memory are at hand, as they are in a stream, but branches are not learned by heart.
    """
    function(other)
    return timed(function, argument)


def in_passes(function: Callable[[Any], Any], arguments: list[Any]) -> list[Spent]:
    """Go through all arguments several times; return the medians of each one's calls."""
    passes = [[timed(function, argument) for argument in arguments] for _ in range(PASSES)]
    return [
        Spent(float(np.median([one.cpu for one in calls])), float(np.median([one.wall for one in calls])))
        for calls in zip(*passes, strict=True)
    ]


def cloud_of(window: np.ndarray, n_points: int) -> np.ndarray:
    """Return the first points of what this package's first method embeds: every second sample, delay 5."""
    magnitude = np.linalg.norm(window, axis=1)[::2]
    return np.ascontiguousarray(takens_embedding(magnitude, 3, 5)[:n_points])


def with_ripser(distances: np.ndarray) -> list[np.ndarray]:
    """Return all bars of a matrix of distances."""
    diagrams: list[np.ndarray] = ripser(distances, maxdim=1, distance_matrix=True)["dgms"]
    return diagrams


def with_giotto(distances: np.ndarray) -> list[np.ndarray]:
    """Return all bars of a matrix of distances."""
    from gph import ripser_parallel

    diagrams: list[np.ndarray] = ripser_parallel(distances, maxdim=1, metric="precomputed", n_threads=1)[
        "dgms"
    ]
    return diagrams


OTHERS: dict[str, Callable[[np.ndarray], list[np.ndarray]]] = {"ripser.py": with_ripser}
if importlib.util.find_spec("gph") is not None:
    OTHERS["giotto-ph"] = with_giotto


def check_bars(cloud: np.ndarray, distances: np.ndarray) -> None:
    """Raise AssertionError unless all engines give the same finite bars of positive length."""
    native = rips_persistence(cloud)
    for compute in OTHERS.values():
        for bars, expected in zip(compute(distances), native, strict=True):
            lasting = bars[np.isfinite(bars[:, 1]) & (bars[:, 1] > bars[:, 0])]
            lasting = lasting[np.lexsort((lasting[:, 1], lasting[:, 0]))]
            np.testing.assert_allclose(lasting, expected, rtol=1e-5)


def call_in_turn(windows: np.ndarray, n_points: int) -> dict[str, list[Spent]]:
    """Return what each engine spends on the cloud of each window.

    The native engine gets the points; the others a matrix of distances whose making is not counted.
    """
    spent: dict[str, list[Spent]] = {name: [] for name in ("native", *OTHERS)}
    clouds = [cloud_of(window, n_points) for window in windows]
    for cloud, other in zip(clouds, [clouds[-1], *clouds], strict=False):
        distances = pairwise_distances(cloud)
        check_bars(cloud, distances)
        spent["native"].append(timed_warm(rips_persistence, other, cloud))
        for name, compute in OTHERS.items():
            spent[name].append(timed(compute, distances))
    return spent


def show(*cells: object) -> None:
    """Print a row of a table."""
    print("|", " | ".join(str(cell) for cell in cells), "|", flush=True)


def show_head(*cells: str) -> None:
    """Print the head of a table."""
    show(*cells)
    show(*["---"] * len(cells))


def milliseconds(spent: list[Spent]) -> str:
    """Return the medians of processor and wall time."""
    return (
        f"{np.median([one.cpu for one in spent]) * 1e3:.3f} / {np.median([s.wall for s in spent]) * 1e3:.3f}"
    )


def ratio(slow: list[Spent], fast: list[Spent]) -> str:
    """Return the medians, over windows, of the ratios of processor and of wall time."""
    cpu = np.median([a.cpu / b.cpu for a, b in zip(slow, fast, strict=True)])
    wall = np.median([a.wall / b.wall for a, b in zip(slow, fast, strict=True)])
    return f"{cpu:.1f} / {wall:.1f}"


def compare_engines(windows: Windows, per_activity: int) -> None:
    """Print a row for each size and activity, and one over all activities."""
    print("\n### Persistence: medians, processor / wall time\n")
    times = [f"{name}, ms" for name in ("native", *OTHERS)]
    show_head("points", "activity", *times, *(f"{name} / native" for name in OTHERS))
    for n_points in SIZES:
        every: dict[str, list[Spent]] = {name: [] for name in ("native", *OTHERS)}
        for activity, some in windows.items():
            spent = call_in_turn(spread(some, per_activity), n_points)
            show_engines(n_points, activity, spent)
            for name in every:
                every[name] += spent[name]
        show_engines(n_points, "**all**", every)


def show_engines(n_points: int, activity: str, spent: dict[str, list[Spent]]) -> None:
    """Print one row."""
    ratios = (ratio(spent[name], spent["native"]) for name in OTHERS)
    show(n_points, activity, *(milliseconds(one) for one in spent.values()), *ratios)


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
            spent = in_passes(rips_persistence, [cloud_of(window, n_points) for window in some])
            worst = max(range(len(spent)), key=lambda row: spent[row].cpu)
            cells.append(f"{spent[worst].cpu * 1e3:.3f} / {spent[worst].wall * 1e3:.3f} (no. {worst})")
        show(n_points, *cells)


def first_method(window: np.ndarray) -> list[np.ndarray]:
    """Return the diagrams of the method that this package began with, on 490 points."""
    magnitude = np.sqrt(np.square(window).sum(axis=1))
    diagrams: list[np.ndarray] = ripser(takens_embedding(magnitude[::2], 3, 5), maxdim=1)["dgms"]
    return diagrams


def compare_features(windows: Windows, per_activity: int) -> None:
    """Print what 24 features cost in the default settings, in turn with the first method."""
    print("\n### 24 features of a window with the defaults, processor / wall time\n")
    show_head("activity", "p50, µs", "p95, µs", "first method, ms", "first method / features")
    every: list[Spent] = []
    both: tuple[list[Spent], list[Spent]] = ([], [])
    for activity, some in windows.items():
        check_features(some[:3])
        spent = in_passes(compute_topological_features, list(some))
        slow, fast = first_method_in_turn(spread(some, per_activity))
        show(activity, *percentiles(spent), milliseconds(slow), ratio(slow, fast))
        every += spent
        both[0].extend(slow)
        both[1].extend(fast)
    show("**all**", *percentiles(every), milliseconds(both[0]), ratio(*both))
    show_stages(np.concatenate(list(windows.values())))


def show_stages(windows: np.ndarray) -> None:
    """Print the medians of the stages of the features, by the wall's clock inside the engine."""
    times = [compute_topological_features(window, profile=True)[1] for window in windows]
    medians = {stage: float(np.median([one[stage] for one in times])) * 1e6 for stage in times[0]}
    print("\nStages, µs:", ", ".join(f"{stage} {median:.1f}" for stage, median in medians.items()))


def first_method_in_turn(windows: np.ndarray) -> tuple[list[Spent], list[Spent]]:
    """Return what the first method and the features of today spend on each window."""
    slow, fast = [], []
    for window, other in zip(windows, [windows[-1], *windows], strict=False):
        slow.append(timed(first_method, window))
        fast.append(timed_warm(compute_topological_features, other, window))
    return slow, fast


def check_features(windows: np.ndarray) -> None:
    """Raise AssertionError unless ripser's features are the same."""
    for window in windows:
        expected = compute_topological_features(window, 100.0, RIPSER_CONFIG)
        np.testing.assert_allclose(compute_topological_features(window), expected, rtol=1e-5, atol=1e-6)


def percentiles(spent: list[Spent]) -> list[str]:
    """Return p50 and p95 of processor and wall time, in microseconds."""
    clocks = np.array([(one.cpu, one.wall) for one in spent]) * 1e6
    return [" / ".join(f"{value:.0f}" for value in np.percentile(clocks, p, axis=0)) for p in (50, 95)]


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
