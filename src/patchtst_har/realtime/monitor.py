"""Counts and latencies of a running stream, for terminals, JSON lines and the live page."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any

import numpy as np

from patchtst_har.realtime.decision import STAGES, Decision, StreamStats
from patchtst_har.support.percentiles import MIN_SAMPLES

_RECENT = 1000


class Monitor:
    """Keeps the last decisions of a stream, their latencies, and how many came too late.

    Parameters
    ----------
    hop_s : float
        Seconds between decisions of the stream.
    speed : float, optional
        How many times faster than recorded the samples come; None if they come as fast as they are taken:
        then no decision can be late.

    Attributes
    ----------
    last : Decision or None
        The last decision.
    n_missed : int
        Decisions later than the next one was due.
    labels : Counter of str
        Decisions by label.
    """

    def __init__(self, hop_s: float, speed: float | None) -> None:
        self.deadline_s = None if speed is None else hop_s / speed
        self.last: Decision | None = None
        self.n_missed = 0
        self.labels: Counter[str] = Counter()
        self._latencies_s: deque[float] = deque(maxlen=_RECENT)
        self._slowest_s = 0.0

    def add(self, decision: Decision, due_s: float | None = None) -> float:
        """Take a decision; return its latency in seconds.

        Parameters
        ----------
        decision : Decision
            Just made.
        due_s : float, optional
            When its last sample was to arrive by the schedule (`SampleBatch.due_s`): then the latency counts
            from there, so that a decision is late also because the one before it was.
        """
        latency_s = decision.latency_s if due_s is None else time.perf_counter() - due_s
        self.last = decision
        self.labels[decision.label] += 1
        self._latencies_s.append(latency_s)
        self._slowest_s = max(self._slowest_s, latency_s)
        self.n_missed += self.deadline_s is not None and latency_s > self.deadline_s
        return latency_s

    def latency_ms(self) -> dict[str, float | None]:
        """Return ``p50``, ``p95`` (of the last 1000 decisions) and ``max`` (of all), ms; None if too few."""
        # Another thread may be adding: a list is made of it in one step.
        latencies_s = list(self._latencies_s)
        n = len(latencies_s)
        row: dict[str, float | None] = {
            name: float(np.percentile(latencies_s, percent)) * 1e3 if n >= MIN_SAMPLES[name] else None
            for name, percent in (("p50", 50), ("p95", 95))
        }
        return {**row, "max": self._slowest_s * 1e3 if n else None}

    def summary(self, stats: StreamStats) -> str:
        """Return one line on what happened."""
        row = self.latency_ms()
        latency = ", ".join(f"{name} {_ms(value)}" for name, value in row.items())
        late = "" if self.deadline_s is None else f", {self.n_missed} later than {self.deadline_s:g} s"
        unfamiliar = f", {stats.n_unfamiliar} unfamiliar" if stats.n_unfamiliar else ""
        return (
            f"{stats.n_samples} samples ({stats.n_unusable} unusable, {stats.n_gaps} pauses, "
            f"{stats.n_jumps} clock jumps), {stats.n_decisions} decisions{late}{unfamiliar}, "
            f"{stats.n_dropped} windows dropped; latency {latency}"
        )


def decision_document(decision: Decision, classes: tuple[str, ...], latency_s: float) -> dict[str, Any]:
    """Return a decision as JSON values: times in ns, latencies in ms, stages in µs."""
    return {
        "start_ns": decision.start_ns,
        "end_ns": decision.end_ns,
        "start": str(decision.start),
        "label": decision.label,
        "probability": decision.probability,
        "raw_label": decision.raw_label,
        "distance": decision.distance,
        "unfamiliar": decision.unfamiliar,
        "probabilities": dict(zip(classes, decision.probabilities.tolist(), strict=True)),
        "latency_ms": latency_s * 1e3,
        "stages_us": {name: ns / 1e3 for name, ns in zip(STAGES, decision.stage_ns, strict=True)},
    }


def _ms(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2f} ms"
