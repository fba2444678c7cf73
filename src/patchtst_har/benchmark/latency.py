"""The latency of a trained recogniser on held-out windows: the closed loop, with the windows one by one."""

from __future__ import annotations

from time import perf_counter_ns

import numpy as np

from patchtst_har.benchmark.loops.closed_loop import WARM_UP, run_closed_loop
from patchtst_har.benchmark.loops.measure import one_thread, single_threaded
from patchtst_har.benchmark.loops.schedule import Feed, StreamGeometry
from patchtst_har.datasets.window_store import WindowArray
from patchtst_har.errors import DataError
from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.realtime.stream_smoothing import smoothing_name
from patchtst_har.records.measurement import ClosedLoop, Latency
from patchtst_har.smoothing.decide import hop_s
from patchtst_har.support.host import host_facts
from patchtst_har.support.percentiles import MIN_SAMPLES
from patchtst_har.support.progress import OnProgress


def measure_latency(
    recognizer: Recognizer,
    windows: WindowArray,
    n_windows: int = 700,
    on_progress: OnProgress | None = None,
) -> Latency:
    """Time one stream from the last sample of a window to its smoothed label, in one thread.

    A closed loop at the model's own hop: samples enter when the window before is decided, as in a single
    stream while a window takes less than the hop. Where windows overlap, those of the stream also lie across
    two of the set. The garbage collector is left on, because its pauses belong to the tail.

    Parameters
    ----------
    recognizer : Recognizer
        On the CPU.
    windows : ndarray or WindowStore of float32, shape (n, window_size, 3)
        Real windows in g, taken in a fixed shuffled order, over again if there are too few. Samples that a
        stream would leave out (not finite, all zero) are left out.
    n_windows : int
        Windows to measure. Percentiles need p90 64, p95 130, p99 662, p99.9 6636.
    on_progress : callable, optional
        Called between windows, outside what is timed.

    Returns
    -------
    Latency
        Judged against the model's hop.

    Raises
    ------
    DataError
        If there is no window with usable samples, or `n_windows` is not positive.
    """
    if n_windows < 1:
        raise DataError(f"n_windows: needs at least 1, is {n_windows}")
    order = np.random.default_rng(0).permutation(len(windows))[: n_windows + WARM_UP]
    samples = windows[order].reshape(-1, 3)
    samples = samples[np.isfinite(samples).all(axis=1) & (samples != 0).any(axis=1)]
    if not len(samples):
        raise DataError("windows: there are no windows to measure on")
    data, hop = recognizer.config.data, hop_s(recognizer.config)
    # At another hop than its own, a smoother's transitions would have to be scaled, which not all can be.
    geometry = StreamGeometry.of(recognizer, hop, None)
    with one_thread(recognizer.model):
        times = run_closed_loop(
            single_threaded(recognizer).stream(hop).push,
            Feed(samples, data.sample_rate_hz),
            geometry,
            n_decisions=n_windows,
            n_blocks=-(-n_windows // 100),
            now_ns=perf_counter_ns,
            on_block=None if on_progress is None else lambda done, of: on_progress(done, of, "latency"),
        )
        host = host_facts()
    loop = times.record()
    feasible, verdict = _judged(loop, hop)
    return Latency(
        warm_up=WARM_UP,
        hop_s=hop,
        smoothing=smoothing_name(None, recognizer.smoother),
        closed_loop=loop,
        feasible=feasible,
        verdict=verdict,
        host=host,
    )


def _judged(loop: ClosedLoop, hop: float) -> tuple[bool | None, str]:
    """Return whether it keeps up, and one sentence that claims no more than was measured."""
    n, misses = loop.end_to_end.n, loop.deadline_misses
    if misses:
        return False, f"Not feasible in real time: {misses} of {n} windows missed the {hop:g} s hop."
    if n < MIN_SAMPLES["p95"]:
        return None, (
            f"Undecided: none of {n} windows missed the {hop:g} s hop, "
            f"but at least {MIN_SAMPLES['p95']} are needed."
        )
    return True, (
        f"Feasible in real time on this machine: none of {n} windows missed the {hop:g} s hop "
        f"(a miss rate below {loop.miss_rate_upper95:.2g} with 95 % confidence); "
        f"the slowest took {loop.end_to_end.max_us / 1e3:.3g} ms."
    )
