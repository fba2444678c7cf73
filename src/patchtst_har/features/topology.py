"""The 24 topological features: persistence of the delay-embedded acceleration magnitude."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
from numpy.typing import NDArray

from patchtst_har import _core
from patchtst_har.features.checks import (
    Float32Array,
    check_out,
    check_rate,
    check_threads,
    check_window,
    check_windows,
)
from patchtst_har.features.embedding import decimate, embedding_plan, takens_embedding
from patchtst_har.features.names import TOPOLOGICAL_FEATURE_NAMES
from patchtst_har.features.persistence import bars_of, enclosing_radius, pairwise_distances
from patchtst_har.features.threads import run_in_chunks

if TYPE_CHECKING:
    from patchtst_har.config import TopologyConfig

_LASTING_FRACTION = 0.05


@overload
def compute_topological_features(
    window: Float32Array,
    sr: float = 100.0,
    config: TopologyConfig | None = None,
    profile: Literal[False] = False,
) -> Float32Array: ...
@overload
def compute_topological_features(
    window: Float32Array, sr: float, config: TopologyConfig | None, profile: Literal[True]
) -> tuple[Float32Array, dict[str, float]]: ...
@overload
def compute_topological_features(
    window: Float32Array, sr: float = 100.0, config: TopologyConfig | None = None, *, profile: Literal[True]
) -> tuple[Float32Array, dict[str, float]]: ...
def compute_topological_features(
    window: Float32Array, sr: float = 100.0, config: TopologyConfig | None = None, profile: bool = False
) -> Float32Array | tuple[Float32Array, dict[str, float]]:
    """Return the 24 topological features of one window.

    Parameters
    ----------
    window : ndarray of float32, shape (n_samples, 3), C order
        Acceleration in g; samples that are no measurement are repaired as in
        `compute_statistical_features`.
    sr : float, default 100.0
        Sampling rate in Hz.
    config : TopologyConfig, optional
        Number of points, dimension and delay of the embedding; None takes the defaults.
    profile : bool, default False
        Also return the measured time of each stage.

    Returns
    -------
    features : ndarray of float32, shape (24,)
        In the order of `TOPOLOGICAL_FEATURE_NAMES`; always finite. Lifetimes, births, deaths and the
        enclosing radius are in g. All are 0 when fewer than two distinct points can be embedded.
    times : dict of str to float
        Only with `profile`: seconds spent in `magnitude`, `decimation`, `embedding`, `persistence` and
        `summary`.

    Raises
    ------
    DataError
        If shape, dtype, memory order or sampling rate are not as above.
    TypeError
        If `window` is not a numpy array.

    Notes
    -----
    The magnitude is low-pass filtered and decimated by the smallest integer that leaves at most
    `config.max_points` points, centred, rounded to float32, delay-embedded, and filtered by
    Vietoris-Rips complexes up to the enclosing radius (see `rips_persistence`). Among H1 classes of equal
    longest lifetime, `h1_birth_longest` and `h1_death_longest` describe the one born first. `h1_count`
    counts lifetimes above 5 % of the enclosing radius. Standard deviations are population ones, quantiles
    interpolate linearly.
    """
    features, times = _features_of(check_window(window), check_rate(sr), config or _default_config())
    return (features, times) if profile else features


def compute_topological_features_batch(
    windows: Float32Array,
    sr: float = 100.0,
    config: TopologyConfig | None = None,
    *,
    n_threads: int = 1,
    out: Float32Array | None = None,
) -> Float32Array:
    """Return the 24 topological features of many windows; see `compute_topological_features`.

    Parameters
    ----------
    windows : ndarray of float32, shape (n_windows, n_samples, 3), C order
        Acceleration in g; n_windows may be 0.
    sr : float, default 100.0
        Sampling rate in Hz.
    config : TopologyConfig, optional
        Number of points, dimension and delay of the embedding; None takes the defaults.
    n_threads : int, default 1
        Threads over which the windows are split; the result does not depend on it. The `ripser` engine
        holds Python's global lock, so more threads do not make it faster: use processes.
    out : ndarray of float32, shape (n_windows, 24), C order, optional
        Written to and returned; must not share memory with `windows`.

    Returns
    -------
    ndarray of float32, shape (n_windows, 24)
        Row i equals ``compute_topological_features(windows[i], sr, config)`` bit for bit.

    Raises
    ------
    DataError
        If an array's shape, dtype or memory order, the sampling rate or `n_threads` are not as above.
    TypeError
        If an array is not a numpy array, or `n_threads` not an integer.
    """
    windows = check_windows(windows)
    rate_hz = check_rate(sr)
    n_threads = check_threads(n_threads)
    settings = config or _default_config()
    features = check_out(out, len(windows), len(TOPOLOGICAL_FEATURE_NAMES), windows)

    def fill(rows: slice) -> None:
        for window, row in zip(windows[rows], features[rows], strict=True):
            row[:] = _features_of(window, rate_hz, settings)[0]

    run_in_chunks(fill, len(windows), n_threads)
    return features


def _default_config() -> TopologyConfig:
    from patchtst_har.config import TopologyConfig

    return TopologyConfig()


def _features_of(
    window: Float32Array, rate_hz: float, config: TopologyConfig
) -> tuple[Float32Array, dict[str, float]]:
    """Return the features of a checked window and the seconds of each stage."""
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
    points = np.unique(takens_embedding(series, config.dimension, delay), axis=0)
    clock.append(time.perf_counter())
    distances = pairwise_distances(points)
    radius = enclosing_radius(distances)
    h0, h1 = bars_of(distances, radius)
    clock.append(time.perf_counter())
    features = np.array([*_h0_summary(h0), *_h1_summary(h1, radius)], np.float32)
    clock.append(time.perf_counter())
    stages = ("magnitude", "decimation", "embedding", "persistence", "summary")
    return features, dict(zip(stages, np.diff(clock).tolist(), strict=True))


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
