"""Splitting the rows of a batch over threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise


def run_in_chunks(function: Callable[[slice], None], n_rows: int, n_threads: int) -> None:
    """Call `function` with slices that cover 0..n_rows, one slice a thread, the first in the calling one.

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
