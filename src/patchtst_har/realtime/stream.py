"""Samples in as they come, decisions out."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from math import isnan
from time import perf_counter_ns
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from patchtst_har import _core
from patchtst_har.errors import BacklogError, DataError, keep_decisions
from patchtst_har.realtime import stream_state
from patchtst_har.realtime.backlog import Backlog, DropPolicy
from patchtst_har.realtime.decision import Decision, StreamStats
from patchtst_har.realtime.samples import Take, reader
from patchtst_har.realtime.stream_model import ClassifyWindow, StreamModel
from patchtst_har.realtime.stream_smoothing import (
    Judged,
    Smoothed,
    StreamSmoother,
    WindowPlace,
    parse_smoothing,
)
from patchtst_har.smoothing.decide import hop_s as hop_of


class Stream:
    """A model at work on one live stream of samples; made by `Recognizer.stream`.

    Samples are dropped, bridged, put on the grid and cut exactly as in a recording (`data.cut_windows`), as
    soon as that is possible: a decision on a window falls when the sample arrives that reaches its last grid
    point. A pause longer than `data.max_gap_s`, or a clock that jumps backwards, restarts the windows.

    In one thread, `push` is enough. To keep the thread that receives samples free, it may `feed` while
    another one calls `decide`: then windows wait in a backlog, of which the oldest or newest is dropped and
    counted when it is full. Every method may be called from any thread at any time; samples are taken in
    the order in which the calls get the lock.

    Parameters
    ----------
    model : StreamModel
        Such as a `Recognizer`; shared, not copied.
    hop_s, smoothing, max_pending, drop
        As `Recognizer.stream`.
    classify : callable, optional
        `model.window_classifier()`, so that many streams share one.
    """

    def __init__(
        self,
        model: StreamModel,
        hop_s: float | None = None,
        smoothing: str | None = None,
        *,
        max_pending: int = 2,
        drop: DropPolicy = "oldest",
        classify: ClassifyWindow | None = None,
    ) -> None:
        config = model.config
        if drop not in get_args(DropPolicy):
            raise DataError(f"drop: must be one of {', '.join(get_args(DropPolicy))}, not {drop!r}")
        if isinstance(max_pending, bool) or not isinstance(max_pending, int) or max_pending < 1:
            raise DataError(f"max_pending: needs an integer of at least 1, is {max_pending!r}")
        self.hop_s = hop_of(config) if hop_s is None else hop_s
        self.window_s = config.data.window_size / config.data.sample_rate_hz
        hop_size = _hop_size(self.hop_s, config.data.sample_rate_hz, config.data.window_size)
        lag = parse_smoothing(smoothing, model.smoother)
        self.classes = model.classes
        self._classify = classify or model.window_classifier()
        self._needs_time = config.model.n_time_features > 0
        self._buffer = _core.WindowBuffer(
            config.data.sample_rate_hz, config.data.window_size, hop_size, config.data.max_gap_s
        )
        self._smoother = None
        if lag is not None and model.smoother is not None:
            self._smoother = StreamSmoother(model.smoother, config, self.hop_s, lag)
        self._window_ns = round(config.data.window_size * (1e9 / config.data.sample_rate_hz))
        self._backlog = Backlog(max_pending, drop, config.data.window_size)
        self._settings = {
            **config.data.model_dump(mode="json", include={"sample_rate_hz", "window_size", "max_gap_s"}),
            "hop_size": hop_size,
            "lag": lag,
            "classes": list(model.classes),
            "adaptation": None if model.adaptation is None else model.adaptation.fingerprint,
        }
        self._rate_hz = config.data.sample_rate_hz
        self._stamped: bool | None = None
        self._n_windows = self._n_decisions = self._n_late = self._n_unfamiliar = 0
        # Always taken in this order.
        self._deciding = threading.Lock()
        self._lock = threading.Lock()

    def push(self, samples: Any, t: Any = None) -> list[Decision]:
        """Take samples and return the decisions that they complete, in order.

        Parameters
        ----------
        samples : ndarray of numbers, shape (n, 3) or (3,), or list or tuple of the same
            Acceleration in g; any number of samples. A tuple of three floats with `t` an int is the fastest
            way for one.
        t : int or ndarray of int or datetime64, shape (n,), optional
            When they were taken, ns since 1970: UTC if `data.timezone` is set, else the wearer's wall clock.
            Left out, samples follow each other at the model's own rate without a pause. A stamp that repeats
            the one before counts as one sampling period later.

        Returns
        -------
        list of Decision
            Often empty.

        Raises
        ------
        DataError
            If an argument has another form, stamps come and go, the model needs the time of day and there is
            none, the device is clearly faster than the model's rate (its samples must be low-passed first,
            as offline labelling does), or a window is impossible under the smoother. Samples before the one
            at fault were taken; what they decided in the same call is in the error's `decisions`.
        FeatureError
            If a feature plug-in fails on a window.

        Notes
        -----
        Any other exception, one of `classify` or an interrupt, has `decisions` too.
        """
        arrival_ns = perf_counter_ns()
        decisions: list[Decision] = []
        with self._deciding, self._lock:
            try:
                take = self._reader(samples, t)
                first, buffer = 0, self._buffer
                if self._backlog:
                    self._decide_waiting(decisions)
                while True:
                    first = _taken(take, first, self._rate_hz)
                    if not buffer.ready:
                        return decisions
                    self._n_windows += 1
                    self._decide(buffer.window(), WindowPlace(*buffer.place()), arrival_ns, decisions)
            except BaseException as error:
                keep_decisions(error, decisions)
                raise

    def feed(self, samples: Any, t: Any = None) -> int:
        """Take samples without deciding anything.

        Parameters are those of `push`.

        Returns
        -------
        int
            How many windows wait now.

        Raises
        ------
        BacklogError
            If `drop` is ``error`` and a window had to be dropped; all samples were taken.
        DataError
            As `push`, except errors of deciding.
        """
        arrival_ns = perf_counter_ns()
        with self._lock:
            take = self._reader(samples, t)
            first, n_dropped, buffer = 0, self._backlog.n_dropped, self._buffer
            while True:
                first = _taken(take, first, self._rate_hz)
                if not buffer.ready:
                    break
                self._n_windows += 1
                self._backlog.add(buffer.window(), WindowPlace(*buffer.place()), arrival_ns)
            n_dropped = self._backlog.n_dropped - n_dropped
            if n_dropped and self._backlog.drop == "error":
                raise BacklogError(
                    f"{n_dropped} windows were dropped: {self._backlog.capacity} wait to be decided already"
                )
            return len(self._backlog)

    def decide(self, max_windows: int | None = None) -> list[Decision]:
        """Decide windows that wait, the oldest first; samples can be fed meanwhile.

        Parameters
        ----------
        max_windows : int, optional
            Stop after so many.

        Returns
        -------
        list of Decision
            With a lag, not of the windows that were taken but of earlier ones.

        Raises
        ------
        DataError, FeatureError
            As `push`.
        """
        decisions: list[Decision] = []
        with self._deciding:
            while max_windows is None or max_windows > 0:
                with self._lock:
                    waiting = self._backlog.take()
                if waiting is None:
                    break
                try:
                    self._decide(waiting.window, waiting.place, waiting.arrival_ns, decisions)
                except BaseException as error:
                    keep_decisions(error, decisions)
                    raise
                finally:
                    with self._lock:
                        self._backlog.release(waiting)
                max_windows = None if max_windows is None else max_windows - 1
        return decisions

    def finish(self) -> list[Decision]:
        """Return what was still to be decided; the segment and the sequence end here.

        The stream can still be used: the next sample starts a new segment.

        Raises
        ------
        DataError, FeatureError
            As `push`; finish again to go on.
        """
        arrival_ns = perf_counter_ns()
        decisions: list[Decision] = []
        with self._deciding, self._lock:
            try:
                self._decide_waiting(decisions)
                self._buffer.finish()
                if self._buffer.ready:
                    self._n_windows += 1
                    place = WindowPlace(*self._buffer.place())
                    self._decide(self._buffer.window(), place, arrival_ns, decisions)
                smoothed = self._smoother.finish() if self._smoother else []
                return decisions + [self._decision(*known, arrival_ns, 0) for known in smoothed]
            except BaseException as error:
                keep_decisions(error, decisions)
                raise

    @property
    def n_pending(self) -> int:
        """Windows that wait to be decided."""
        return len(self._backlog)

    @property
    def stats(self) -> StreamStats:
        """Counts so far."""
        with self._lock:
            return StreamStats(
                **self._buffer.counts(),
                n_windows=self._n_windows,
                n_decisions=self._n_decisions,
                n_late=self._n_late,
                n_unfamiliar=self._n_unfamiliar,
                n_pending=len(self._backlog),
                n_dropped=self._backlog.n_dropped,
                drop=self._backlog.drop,
            )

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that the stream remembers, as plain arrays: ``numpy.savez(path, **stream.state())``.

        A stream of the same model and settings goes on from it with the same bits (`restore`).
        """
        with self._deciding, self._lock:
            counts = [self._n_windows, self._n_decisions, self._n_late, self._n_unfamiliar]
            counts.append(self._backlog.n_dropped)
            numbers, points = self._buffer.state()
            waiting = list(self._backlog)
            windows = np.array([w.window for w in waiting], np.float32)
            return {
                **stream_state.head(self._settings, self._stamped),
                "counts": np.array(counts, np.int64),
                "buffer_numbers": numbers,
                "buffer_points": points,
                "waiting_windows": windows.reshape(-1, self._settings["window_size"], 3),
                "waiting_places": np.array([w.place for w in waiting], np.int64).reshape(-1, 4),
                **(self._smoother.state() if self._smoother else {}),
            }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a `state`, which may come from a file that is not trusted; what was before is forgotten.

        Raises
        ------
        DataError
            If it is of other settings, or no state of a stream; the stream is to be thrown away then.
        """
        arrival_ns = perf_counter_ns()
        n_classes = len(self.classes)
        smoothed = self._smoother is not None
        checked = stream_state.check_state(state, self._settings, n_classes, smoothed=smoothed)
        with self._deciding, self._lock:
            try:
                self._buffer.restore(checked["buffer_numbers"], checked["buffer_points"])
                if self._smoother is not None:
                    self._smoother.restore(checked)
            except ValueError as error:
                raise DataError(f"state: damaged ({error})") from error
            self._stamped = stream_state.stamped_of(checked)
            self._backlog = Backlog(self._backlog.capacity, self._backlog.drop, self._settings["window_size"])
            for window, place in zip(checked["waiting_windows"], checked["waiting_places"], strict=True):
                self._backlog.add(window, WindowPlace(*place.tolist()), arrival_ns)
            counts = checked["counts"].tolist()
            self._n_windows, self._n_decisions, self._n_late, self._n_unfamiliar, n_dropped = counts
            self._backlog.n_dropped += n_dropped

    def _reader(self, samples: Any, t: Any) -> Take:
        stamped = t is not None
        if stamped is not self._stamped:
            if self._stamped is not None:
                raise DataError("t: a stream has stamps for all of its samples or for none")
            if not stamped and self._needs_time:
                raise DataError("t: this model uses the time of day, so every sample needs a stamp")
        take = reader(self._buffer, samples, t)
        self._stamped = stamped
        return take

    def _decide_waiting(self, decisions: list[Decision]) -> None:
        """Decide the backlog with both locks held."""
        while (waiting := self._backlog.take()) is not None:
            try:
                self._decide(waiting.window, waiting.place, waiting.arrival_ns, decisions)
            finally:
                self._backlog.release(waiting)

    def _decide(
        self, window: NDArray[np.float32], place: WindowPlace, arrival_ns: int, decisions: list[Decision]
    ) -> None:
        """Classify a window and append what is decided now; also what a failing window decided."""
        judged = Judged(place.start_ns, *self._classify(window, place.start_ns))
        if self._smoother is None:
            decisions.append(self._decision(judged, judged.probabilities, arrival_ns, 0))
            return
        known: Smoothed = []
        began = perf_counter_ns()
        try:
            self._smoother.add(place, judged, known)
        finally:
            smoothing_ns = perf_counter_ns() - began
            decisions += [self._decision(*entry, arrival_ns, smoothing_ns) for entry in known]

    def _decision(
        self, judged: Judged, probabilities: NDArray[np.float64], arrival_ns: int, smoothing_ns: int
    ) -> Decision:
        best = int(probabilities.argmax())
        latency_s = (perf_counter_ns() - arrival_ns) * 1e-9
        self._n_decisions += 1
        self._n_late += latency_s > self.hop_s
        decision = Decision(
            start_ns=judged.start_ns,
            end_ns=judged.start_ns + self._window_ns,
            label=self.classes[best],
            probability=float(probabilities[best]),
            probabilities=probabilities,
            raw_label=self.classes[int(judged.probabilities.argmax())],
            latency_s=latency_s,
            stage_ns=(*judged.stage_ns, smoothing_ns),
            distance=None if isnan(judged.distance) else judged.distance,
        )
        self._n_unfamiliar += decision.unfamiliar
        return decision


def _taken(take: Take, first: int, rate_hz: float) -> int:
    try:
        return take(first)
    except _core.TooFastError as error:
        raise DataError(
            f"samples: the device is clearly faster than the model's {rate_hz:g} Hz ({error}); set it to "
            "that rate, or low-pass and decimate its samples before they are pushed"
        ) from error
    except ValueError as error:
        raise DataError(f"t: {error}") from error


def _hop_size(hop_s: float, rate_hz: float, window_size: int) -> int:
    """Return the hop in samples."""
    samples = hop_s * rate_hz if isinstance(hop_s, int | float) and not isinstance(hop_s, bool) else 0.0
    if not 0.5 <= samples <= window_size or abs(samples - round(samples)) > 1e-6:
        raise DataError(
            f"hop_s: needs a whole number of samples of {1 / rate_hz:g} s, at most a window of "
            f"{window_size / rate_hz:g} s, is {hop_s!r}"
        )
    return round(samples)
