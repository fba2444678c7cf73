"""The smoother of a stream: which windows follow each other, and when their posteriors are known."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from patchtst_har import _core
from patchtst_har.config import ExperimentConfig
from patchtst_har.errors import DataError
from patchtst_har.smoothing import HMMSmoother
from patchtst_har.smoothing.decide import causal_lag, causal_name
from patchtst_har.smoothing.decide import hop_s as hop_of

FloatArray = NDArray[np.float64]
Arrays = dict[str, NDArray[Any]]


class WindowPlace(NamedTuple):
    """Place of a window in a stream: its start, its segment, its number there, clock jumps before it."""

    start_ns: int
    segment: int
    number: int
    restarts: int


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A window that was classified: its start, and its `Judgement`."""

    start_ns: int
    probabilities: FloatArray
    stage_ns: tuple[int, ...]
    distance: float


_MOST_STEPS = 10_000

Smoothed = list[tuple[Judged, FloatArray]]


def parse_smoothing(smoothing: str | None, smoother: HMMSmoother | None) -> int | None:
    """Return the lag in windows of ``filter`` (0) or ``lag:k``; None for ``none``.

    None takes the filter if there is a smoother.

    Raises
    ------
    DataError
        If the text is another, or smoothing is asked for without a smoother.
    """
    if smoothing is None:
        return None if smoother is None else 0
    if smoothing == "none":
        return None
    lag = causal_lag(smoothing)
    if lag is None:
        raise DataError(
            f"smoothing: must be filter, lag:K (K later windows, below 1000) or none, not {smoothing!r}"
        )
    if smoother is None:
        raise DataError(f"smoothing: {smoothing!r} needs a smoother, and this model has none")
    return lag


def smoothing_name(smoothing: str | None, smoother: HMMSmoother | None) -> str:
    """Return what a stream with this setting does, as `parse_smoothing` takes it; refuses the same."""
    lag = parse_smoothing(smoothing, smoother)
    return "none" if lag is None else causal_name(lag)


def scaled_transitions(transitions: FloatArray, ratio: float) -> FloatArray:
    """Return the transitions over `ratio` times the hop for which they were counted.

    Every change of activity is `ratio` times as probable; what is left is added to staying.

    Raises
    ------
    DataError
        If a class would have to be left with a probability above 1.
    """
    if ratio == 1.0:
        return transitions
    scaled = transitions * ratio
    np.fill_diagonal(scaled, 0.0)
    staying = 1.0 - scaled.sum(axis=1)
    if (staying < 0).any():
        raise DataError(f"hop_s: {ratio:g} times the model's hop is too long for its transitions")
    np.fill_diagonal(scaled, staying)
    return scaled


class StreamSmoother:
    """Smooths windows as they come; equal to `HMMSmoother.filter_proba` and `fixed_lag_proba` bit for bit.

    A sequence restarts at the gaps of `sequence_ids` and at every jump of the clock. A window that was
    dropped is a step without evidence.

    Parameters
    ----------
    smoother : HMMSmoother
        Its transitions count for the model's hop. At another hop they are scaled (`scaled_transitions`), and
        at a shorter one likelihoods are raised to the power hop / model hop: windows that overlap more repeat
        more of their evidence.
    config : ExperimentConfig
        Model hop and `smoothing.max_gap_s`.
    hop_s : float
        Seconds between windows.
    lag : int
        Later windows to wait for; 0 is the causal filter.
    """

    def __init__(self, smoother: HMMSmoother, config: ExperimentConfig, hop_s: float, lag: int) -> None:
        ratio = hop_s / hop_of(config)
        self._core = _core.CausalSmoother(
            smoother.start_probabilities,
            scaled_transitions(smoother.transition_matrix, ratio),
            smoother.emission_matrix,
            min(ratio, 1.0),
            lag,
        )
        self._lag = lag
        self._n_classes = smoother.n_classes
        self._hop_ns = round(hop_s * 1e9)
        self._gap_ns = round(config.smoothing.max_gap_s * 1e9)
        self._last: WindowPlace | None = None
        self._held: deque[Judged | None] = deque()

    def add(self, place: WindowPlace, judged: Judged, known: Smoothed) -> None:
        """Take a window; append to `known` the windows that are known now, in order, with posteriors (K,).

        Raises
        ------
        DataError
            If the window is impossible under the model: it is left out, those before it are all in `known`,
            and the next one begins a sequence.
        """
        n_steps = self._steps_to(place)
        if n_steps is None:
            known += self.finish()
        for _ in range((n_steps or 1) - 1):
            self._core.skip()
            known += self._hold(None)
        self._last = place
        if not self._core.observe(judged.probabilities):
            known += self.finish()
            raise DataError(
                f"probabilities: the window at {judged.start_ns} ns is impossible under the model"
            )
        known += self._hold(judged)

    def finish(self) -> Smoothed:
        """End the sequence; return the windows that still waited for later ones."""
        known: Smoothed = []
        while self._held:
            judged = self._held.popleft()
            if judged is not None:
                known.append((judged, self._core.look_ahead(len(self._held))))
        self._core.restart()
        self._last = None
        return known

    def _steps_to(self, place: WindowPlace) -> int | None:
        """Return how many hops lie between the last window and this; None if it begins a sequence."""
        last = self._last
        if last is None or last.restarts != place.restarts:
            return None
        if last.segment == place.segment:
            # After so many windows without evidence nothing is known of the last one any more.
            n_steps = place.number - last.number
            return n_steps if 1 <= n_steps <= _MOST_STEPS else None
        off_ns = place.start_ns - last.start_ns - self._hop_ns
        return None if abs(off_ns) > self._gap_ns else 1

    def _hold(self, judged: Judged | None) -> Smoothed:
        if self._lag == 0:
            return [] if judged is None else [(judged, self._core.filtered())]
        self._held.append(judged)
        if len(self._held) <= self._lag:
            return []
        oldest = self._held.popleft()
        return [] if oldest is None else [(oldest, self._core.look_ahead(self._lag))]

    def state(self) -> Arrays:
        """Return everything remembered, as arrays."""
        held = [entry for entry in self._held if entry is not None]
        probabilities = [entry.probabilities for entry in held]
        return {
            "filters": self._core.state(),
            "last_window": np.array([] if self._last is None else self._last, np.int64),
            "held": np.array([entry is not None for entry in self._held], np.bool_),
            "held_start_ns": np.array([entry.start_ns for entry in held], np.int64),
            "held_stage_ns": np.array([entry.stage_ns for entry in held], np.int64).reshape(-1, 3),
            "held_probabilities": np.array(probabilities).reshape(-1, self._n_classes),
            "held_distances": np.array([entry.distance for entry in held], np.float64),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a state whose arrays have the right types (`check_state`).

        Raises
        ------
        ValueError
            If lengths do not fit each other.
        """
        held = state["held"].tolist()
        starts, stages_ns = state["held_start_ns"].tolist(), state["held_stage_ns"].tolist()
        distances = state["held_distances"].tolist()
        rows = list(zip(starts, state["held_probabilities"], stages_ns, distances, strict=True))
        last, most = state["last_window"].tolist(), min(self._lag, len(state["filters"]))
        if sum(held) != len(rows) or len(held) > most or len(last) not in (0, 4):
            raise ValueError("the windows held do not fit each other")
        self._core.restore(state["filters"])
        self._last = WindowPlace(*last) if last else None
        entries = iter(Judged(start, row.copy(), tuple(ns), distance) for start, row, ns, distance in rows)
        self._held = deque(next(entries) if there else None for there in held)
