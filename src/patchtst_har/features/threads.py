"""Batches of windows: a kernel over their rows, split over threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

from patchtst_har.features.checks import (
    Float32Array,
    check_out,
    check_rate,
    check_strided_windows,
    check_threads,
)


def run_in_chunks(function: Callable[[slice], None], n_rows: int, n_threads: int) -> None:
    """Call `function` with slices that cover 0..n_rows, one slice per thread, the first in the calling one.

    The other threads live for one call: nothing is left behind that a forked child could wait for.

    Parameters
    ----------
    function : callable
        Handles the rows of one slice; its exceptions propagate.
    n_rows, n_threads : int
        With one thread (or one row) the function runs in the calling thread.
    """
    n_chunks = min(n_threads, n_rows)
    if n_chunks <= 1:
        function(slice(0, n_rows))
        return
    bounds = [n_rows * chunk // n_chunks for chunk in range(n_chunks + 1)]
    chunks = [slice(start, stop) for start, stop in pairwise(bounds)]
    with ThreadPoolExecutor(n_chunks - 1, thread_name_prefix="patchtst-har-features") as pool:
        others = [pool.submit(function, chunk) for chunk in chunks[1:]]
        function(chunks[0])
        for done in others:
            done.result()


def fill_batch(
    kernel: Callable[[Float32Array, float, Float32Array], Any],
    n_features: int,
    windows: Float32Array,
    sr: float,
    n_threads: int,
    out: Float32Array | None,
) -> Float32Array:
    """Check a batch; return features (n_windows, n_features), filled by `kernel(windows, sr, features)`.

    Raises
    ------
    DataError, TypeError
        As `compute_statistical_features_batch`.
    """
    windows = check_strided_windows(windows)
    rate_hz = check_rate(sr)
    n_threads = check_threads(n_threads)
    features = check_out(out, len(windows), n_features, windows)

    def fill(rows: slice) -> None:
        kernel(windows[rows], rate_hz, features[rows])

    run_in_chunks(fill, len(windows), n_threads)
    return features
