"""How many streams one core carries."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from patchtst_har.benchmark.loops.open_loop import Fleet, OpenLoopTimes
from patchtst_har.records.measurement import MOST_STREAMS, Capacity, Probe
from patchtst_har.support.percentiles import MIN_SAMPLES

CRITERION = (
    "in an open loop, p99 from the schedule at most the hop, and less than all of the time spent working"
)
_MOST_PROBE_S = 60.0
_RESOLUTION = 0.02


def measure_capacity(
    fleet: Fleet,
    hop_s: float,
    least_s: float,
    expected: float,
    on_probe: Callable[[int, int], None] | None = None,
) -> Capacity:
    """Search the most streams that are decided in time.

    A probe lasts `least_s` or as long as p99 needs samples. It is given up when so many decisions were late
    that its p99 is above the hop whatever follows.

    Parameters
    ----------
    fleet : Fleet
        Streams.
    hop_s : float
        Their hop, the deadline.
    least_s : float
        Shortest probe.
    expected : float
        Streams that a core might carry: where the search begins is half of it.
    on_probe : callable, optional
        Called with the number of streams before (and 0) and after (and 1) each probe.

    Returns
    -------
    Capacity
        ``max_streams`` is the most that passed, 0 if no probe did.
    """
    least = max(math.ceil(MIN_SAMPLES["p99"] * hop_s / _MOST_PROBE_S), 1)
    start = min(max(int(expected / 2), least), MOST_STREAMS)

    tell = on_probe or (lambda _streams, _done: None)

    def probe(n_streams: int) -> Probe:
        tell(n_streams, 0)
        n_hops = math.ceil(max(least_s / hop_s, MIN_SAMPLES["p99"] / n_streams) - 1e-9)
        # The p99 lies between the two order statistics around rank 0.01 * n from above.
        most_late = math.floor(0.01 * n_streams * n_hops) + 1
        run = fleet.run(n_streams, n_hops, most_late)
        tell(n_streams, 1)
        return as_probe(run)

    probes = search(probe, start, least)
    passed = [one for one in probes if one.passed]
    best = max(passed, key=lambda one: one.n_streams, default=None)
    limit = ""
    if best is None:
        limit = f"; {least} were too many, and fewer need probes of more than {_MOST_PROBE_S:g} s"
    elif best.n_streams == MOST_STREAMS:
        limit = f"; more than {MOST_STREAMS} were not tried"
    return Capacity(
        max_streams=0 if best is None else best.n_streams,
        p99_us_there=None if best is None else best.p99_us,
        criterion=CRITERION + limit,
        probes=tuple(probes),
    )


def as_probe(run: OpenLoopTimes) -> Probe:
    """Return whether a core carried the streams of an open loop.

    A p99 under the hop is not enough: of streams that fall behind slowly, a short run shows only the start.
    """
    latencies = run.from_schedule_ns
    p99_us = float(np.quantile(latencies, 0.99) / 1e3) if len(latencies) >= MIN_SAMPLES["p99"] else None
    passed = run.complete and run.utilisation < 1 and p99_us is not None and p99_us <= run.hop_s * 1e6
    return Probe(
        n_streams=run.n_streams,
        p99_us=p99_us,
        deadline_misses=run.deadline_misses,
        utilisation=run.utilisation,
        passed=passed,
    )


def search(
    probe: Callable[[int], Probe],
    start: int,
    least: int = 1,
    most: int = MOST_STREAMS,
    resolution: float = _RESOLUTION,
) -> list[Probe]:
    """Double until a probe fails (or halve until one passes), then bisect; return the probes in order.

    Numbers of streams lie between `least` and `most`; a step of `resolution`, relative to what passed, is the
    last one.
    """
    probes = [probe(start)]
    low, high = least - 1, most + 1
    while True:
        last = probes[-1]
        low, high = (last.n_streams, high) if last.passed else (low, last.n_streams)
        if high - low <= max(1, resolution * low):
            return probes
        if high > most:
            number = min(2 * low, most)
        else:
            number = max(high // 2, least) if low < least else (low + high) // 2
        probes.append(probe(number))
