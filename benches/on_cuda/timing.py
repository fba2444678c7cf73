"""Timing calls on a device between two of its events, several contestants in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from on_cuda.document import Timing
from on_cuda.timing_names import IN_A_GRAPH
from patchtst_har.support.percentiles import MIN_SAMPLES

_WARM_UP, _MOST_ROUNDS = 10, 1000

Call = Callable[[], Any]


def time_in_turn(what: str, batch: int, calls: Mapping[str, Call], budget_s: float) -> list[Timing]:
    """Time each call alone, in turn, after a warm-up; then measure what memory one of it takes.

    A round waits until the device is idle, so a time contains what the host needs to launch: that is what a
    caller meets. A call captured in a graph has no such share, and its memory was taken at its capture.

    Parameters
    ----------
    what : str
        What all of them do.
    batch : int
        Windows per call.
    calls : mapping of str to callable
        By variant. They must have been compared with each other or with a reference before.
    budget_s : float
        Seconds for all rounds together: their number follows from it, at most 1000 each.
    """
    for call in calls.values():
        for _ in range(_WARM_UP):
            call()
    torch.cuda.synchronize()
    start = time.monotonic()
    samples: dict[str, list[float]] = {variant: [] for variant in calls}
    for number in range(_MOST_ROUNDS):
        if number and time.monotonic() - start > budget_s:
            break
        for variant, call in calls.items():
            samples[variant].append(_microseconds(call))
    return [
        _timing(what, variant, batch, samples[variant], None if IN_A_GRAPH in variant else _peak_bytes(call))
        for variant, call in calls.items()
    ]


def _microseconds(call: Call) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) * 1e3


def _peak_bytes(call: Call) -> int:
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    call()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def _timing(what: str, variant: str, batch: int, samples: list[float], peak_bytes: int | None) -> Timing:
    def percentile(name: str) -> float | None:
        enough = len(samples) >= MIN_SAMPLES[name]
        return round(float(np.percentile(samples, int(name[1:]))), 3) if enough else None

    return Timing(
        what=what,
        variant=variant,
        batch=batch,
        n_samples=len(samples),
        min_us=round(min(samples), 3),
        p50_us=round(float(np.median(samples)), 3),
        p95_us=percentile("p95"),
        p99_us=percentile("p99"),
        peak_bytes=peak_bytes,
    )
