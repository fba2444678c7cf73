"""The topological features with ripser.py as the engine: slow, and independent of the native one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from patchtst_har import _core
from patchtst_har.errors import MissingDependencyError
from patchtst_har.features.checks import Float32Array
from patchtst_har.features.embedding import decimate, embedding_plan, takens_embedding

if TYPE_CHECKING:
    from patchtst_har.features.settings import TopologyConfig

_LASTING_FRACTION = 0.05

FloatPoints = NDArray[np.floating[Any]]


def ripser_features(
    windows: Float32Array, rate_hz: float, config: TopologyConfig, out: Float32Array
) -> tuple[float, ...]:
    """Write the features of checked windows to `out`; return the seconds of each stage, over all windows.

    Raises
    ------
    MissingDependencyError
        If ripser is not installed.
    """
    seconds = np.zeros(5)
    for window, row in zip(windows, out, strict=True):
        row[:], spent = _features_of(window, rate_hz, config)
        seconds += spent
    return tuple(seconds.tolist())


def _features_of(
    window: Float32Array, rate_hz: float, config: TopologyConfig
) -> tuple[Float32Array, NDArray[np.float64]]:
    clock = [time.perf_counter()]
    magnitude = _core.magnitude(window)
    clock.append(time.perf_counter())
    factor, delay = embedding_plan(
        len(magnitude), rate_hz, config.max_points, config.dimension, config.delay_s
    )
    series = decimate(magnitude, factor)
    # Rounded about its mean, the series keeps small lifetimes precise and equal samples equal.
    series = (series - series.mean()).astype(np.float32)
    clock.append(time.perf_counter())
    # Coincident points add only bars of length zero, and cost ripser most of its time on still windows.
    points = np.unique(takens_embedding(series, config.dimension, delay), axis=0)
    clock.append(time.perf_counter())
    distances = pairwise_distances(points)
    radius = enclosing_radius(distances)
    h0, h1 = bars_of(distances, radius)
    clock.append(time.perf_counter())
    features = np.array([*_h0_summary(h0), *_h1_summary(h1, radius)], np.float32)
    clock.append(time.perf_counter())
    return features, np.diff(clock)


def pairwise_distances(points: FloatPoints) -> Float32Array:
    """Return the Euclidean distances (n, n), computed in float64 without cancellation, as float32."""
    squares = np.zeros((len(points), len(points)))
    for coordinate in points.T.astype(np.float64):
        squares += np.square(coordinate[:, np.newaxis] - coordinate)
    return np.sqrt(squares).astype(np.float32)


def enclosing_radius(distances: Float32Array) -> float:
    """Return the smallest radius around a point that holds all the others; 0 without points."""
    return float(distances.max(axis=1).min()) if len(distances) else 0.0


def bars_of(distances: Float32Array, max_edge: float) -> tuple[Float32Array, Float32Array]:
    """Return the finite bars (h0, h1) of a distance matrix, each sorted by birth and death."""
    if len(distances) < 2 or max_edge <= 0:
        return np.empty((0, 2), np.float32), np.empty((0, 2), np.float32)
    try:
        from ripser import ripser
    except ImportError as error:
        raise MissingDependencyError('topology.engine="ripser" needs ripser: pip install ripser') from error
    h0, h1 = ripser(distances, maxdim=1, thresh=max_edge, distance_matrix=True)["dgms"]
    return _finite_bars(h0), _finite_bars(h1)


def _finite_bars(bars: NDArray[Any]) -> Float32Array:
    lasting = bars[np.isfinite(bars[:, 1]) & (bars[:, 1] > bars[:, 0])]
    ordered: Float32Array = lasting[np.lexsort((lasting[:, 1], lasting[:, 0]))].astype(np.float32)
    return ordered


def _h0_summary(bars: Float32Array) -> list[float]:
    lifetimes = _lifetimes(bars)
    if not len(lifetimes):
        return [0.0] * 9
    q50, q90 = np.quantile(lifetimes, [0.5, 0.9])
    return [
        *_longest_three(lifetimes),
        *(float(lifetimes.sum()), float(lifetimes.mean()), float(lifetimes.std())),
        *(float(q50), float(q90)),
        _entropy(lifetimes),
    ]


def _h1_summary(bars: Float32Array, radius: float) -> list[float]:
    """Return the features from `h1_life_1` to `periodicity`."""
    lifetimes = _lifetimes(bars)
    if not len(lifetimes):
        return [0.0] * 13 + [radius, 0.0]
    # The bars come sorted by birth, and argmax takes the first of equals.
    longest = int(np.argmax(lifetimes))
    return [
        *_longest_three(lifetimes),
        *(float(lifetimes.sum()), float(lifetimes.mean()), float(lifetimes.std())),
        _entropy(lifetimes),
        float(np.count_nonzero(lifetimes > _LASTING_FRACTION * radius)),
        *(float(bars[longest, 0]), float(bars[longest, 1])),
        *(float(bars[:, 0].max()), float(bars[:, 1].max())),
        float(np.sqrt(np.square(lifetimes).sum())),
        radius,
        float(lifetimes[longest]) / radius,
    ]


def _lifetimes(bars: Float32Array) -> NDArray[np.float64]:
    ends = bars.astype(np.float64)
    return ends[:, 1] - ends[:, 0]


def _longest_three(lifetimes: NDArray[np.float64]) -> list[float]:
    longest: list[float] = np.sort(lifetimes)[::-1][:3].tolist()
    return longest + [0.0] * (3 - len(longest))


def _entropy(lifetimes: NDArray[np.float64]) -> float:
    if len(lifetimes) < 2:
        return 0.0
    fractions = lifetimes / lifetimes.sum()
    return float(-(fractions * np.log(fractions)).sum() / np.log(len(fractions)))
