"""The 24 topological features: persistence of the delay-embedded acceleration magnitude."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, overload

import numpy as np

from patchtst_har import _core
from patchtst_har.features.checks import (
    Float32Array,
    check_batch_size,
    check_out,
    check_rate,
    check_threads,
    check_window,
    check_windows,
)
from patchtst_har.features.embedding import embedding_plan
from patchtst_har.features.names import TOPOLOGICAL_FEATURE_NAMES
from patchtst_har.features.ripser_engine import ripser_features
from patchtst_har.features.threads import run_in_chunks

if TYPE_CHECKING:
    from patchtst_har.features.settings import TopologyConfig

STAGES: Final = ("magnitude", "decimation", "embedding", "persistence", "summary")
"""The stages whose times `compute_topological_features` measures."""


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
        Acceleration in g; samples that are not valid are repaired as in
        `compute_statistical_features`.
    sr : float, default 100.0
        Sampling rate in Hz.
    config : TopologyConfig, optional
        Engine; number of points, dimension and delay of the embedding. None takes the defaults.
    profile : bool, default False
        Also return the measured time of each stage.

    Returns
    -------
    features : ndarray of float32, shape (24,)
        In the order of `TOPOLOGICAL_FEATURE_NAMES`; always finite. Lifetimes, births, deaths and the
        enclosing radius are in g. All are 0 when fewer than two distinct points can be embedded.
    times : dict of str to float
        Only with `profile`: seconds spent in `magnitude`, `decimation`, `embedding`, `persistence` and
        `summary`, measured inside the engine.

    Raises
    ------
    DataError
        If shape, dtype, memory order or sampling rate are not as above.
    MemoryError
        If the diagrams of this cloud need more memory than there is.
    MissingDependencyError
        If the engine is ripser and it is not installed.
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
    window = check_window(window)
    features = np.empty((1, len(TOPOLOGICAL_FEATURE_NAMES)), np.float32)
    settings = config or default_config()
    seconds = _ENGINES[settings.engine](window[np.newaxis], check_rate(sr), settings, features)
    return (features[0], dict(zip(STAGES, seconds, strict=True))) if profile else features[0]


def compute_topological_features_batch(
    windows: Float32Array,
    sr: float = 100.0,
    config: TopologyConfig | None = None,
    *,
    n_threads: int = 1,
    out: Float32Array | None = None,
    batch_size: int | None = None,
) -> Float32Array:
    """Return the 24 topological features of many windows; see `compute_topological_features`.

    Parameters
    ----------
    windows : ndarray of float32, shape (n_windows, n_samples, 3), C order
        Acceleration in g; n_windows may be 0.
    sr : float, default 100.0
        Sampling rate in Hz.
    config : TopologyConfig, optional
        Engine; number of points, dimension and delay of the embedding. None takes the defaults.
    n_threads : int, default 1
        Threads over which the windows are split; the result does not depend on it. The native engine
        releases Python's global lock; ripser holds it, so more threads do not make it faster: use processes.
    out : ndarray of float32, shape (n_windows, 24), C order, optional
        Written to and returned; must not share memory with `windows`.
    batch_size : int, optional
        Most windows between two returns to Python, where an interrupt (Ctrl-C) takes effect; None computes
        all at once. The result does not depend on it.

    Returns
    -------
    ndarray of float32, shape (n_windows, 24)
        Row i equals ``compute_topological_features(windows[i], sr, config)`` bit for bit.

    Raises
    ------
    DataError
        If an array's shape, dtype or memory order, the sampling rate, `n_threads` or `batch_size` are not
        as above.
    MemoryError, MissingDependencyError
        As `compute_topological_features`; then `out` may be filled in part.
    TypeError
        If an array is not a numpy array, or `n_threads` or `batch_size` not an integer.
    """
    windows = check_windows(windows)
    rate_hz = check_rate(sr)
    n_threads = check_threads(n_threads)
    batch_size = check_batch_size(batch_size)
    settings = config or default_config()
    engine = _ENGINES[settings.engine]
    features = check_out(out, len(windows), len(TOPOLOGICAL_FEATURE_NAMES), windows)
    for start in range(0, len(windows), batch_size or max(len(windows), 1)):
        stop = start + (batch_size or len(windows))
        some, their_features = windows[start:stop], features[start:stop]

        def fill(rows: slice, some: Any = some, their_features: Any = their_features) -> None:
            engine(some[rows], rate_hz, settings, their_features[rows])

        run_in_chunks(fill, len(some), n_threads)
    return features


def _native_features(
    windows: Float32Array, rate_hz: float, config: TopologyConfig, out: Float32Array
) -> tuple[float, ...]:
    """Write the features of checked windows to `out`; return the seconds of each stage, over all windows."""
    return _core.topological_features(windows, *native_embedding(windows.shape[1], rate_hz, config), out)


def native_embedding(n_samples: int, rate_hz: float, config: TopologyConfig) -> tuple[int, int, int]:
    """Return the decimation factor, dimension and delay that the compiled engine takes for such windows."""
    factor, delay = embedding_plan(n_samples, rate_hz, config.max_points, config.dimension, config.delay_s)
    # A delay as long as the window leaves no points, however long it is.
    return factor, config.dimension, min(delay, n_samples)


Engine: TypeAlias = "Callable[[Float32Array, float, TopologyConfig, Float32Array], tuple[float, ...]]"
_ENGINES: Final[dict[str, Engine]] = {"native": _native_features, "ripser": ripser_features}


@cache
def default_config() -> TopologyConfig:
    """Return the default settings; imported late, so that importing features loads no pydantic."""
    from patchtst_har.features.settings import TopologyConfig

    return TopologyConfig()
