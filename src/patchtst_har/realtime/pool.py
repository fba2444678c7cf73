"""Many streams that share one model."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from functools import partial
from typing import Any

from patchtst_har.errors import BacklogError, DataError, keep_decisions
from patchtst_har.realtime.backlog import DropPolicy
from patchtst_har.realtime.decision import Decision, StreamStats
from patchtst_har.realtime.stream import Stream
from patchtst_har.realtime.stream_model import StreamModel


class StreamPool:
    """Streams of one process by key; a stream begins with the first sample of its key.

    Each stream is a `Stream` and decides as it would alone. A stream's own memory is two windows of samples
    and the state of its smoother; `max_pending` + 1 windows more once it was fed.

    Parameters
    ----------
    model : StreamModel
        Such as a `Recognizer`; shared by all streams.
    hop_s, smoothing, max_pending, drop
        Of every stream, as `Recognizer.stream`.
    max_streams : int, optional
        A new key beyond so many is refused.

    Raises
    ------
    DataError
        As `Recognizer.stream`.
    """

    def __init__(
        self,
        model: StreamModel,
        hop_s: float | None = None,
        smoothing: str | None = None,
        *,
        max_pending: int = 2,
        drop: DropPolicy = "oldest",
        max_streams: int | None = None,
    ) -> None:
        classify = model.window_classifier()
        queue: dict[str, Any] = {"max_pending": max_pending, "drop": drop}
        self._new_stream = partial(Stream, model, hop_s, smoothing, classify=classify, **queue)
        # Wrong settings are refused here and not at the first sample.
        self._new_stream()
        self._max_streams = max_streams
        self._streams: dict[Hashable, Stream] = {}
        # In the order in which they were fed; a dict for its ordered keys.
        self._fed: dict[Hashable, None] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._streams)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._streams

    def stream(self, key: Hashable) -> Stream:
        """Return the stream of `key`, a new one for a new key.

        Raises
        ------
        DataError
            If that would be more than `max_streams`.
        """
        stream = self._streams.get(key)
        if stream is not None:
            return stream
        with self._lock:
            if key not in self._streams:
                if self._max_streams is not None and len(self._streams) >= self._max_streams:
                    raise DataError(f"stream {key!r}: the pool has {self._max_streams} streams, its most")
                self._streams[key] = self._new_stream()
            return self._streams[key]

    def push(self, key: Hashable, samples: Any, t: Any = None) -> list[Decision]:
        """Return the decisions of `Stream.push` with the stream of `key`; other parameters as `push`."""
        return self.stream(key).push(samples, t)

    def feed(self, key: Hashable, samples: Any, t: Any = None) -> int:
        """Return how many windows wait after `Stream.feed` with the stream of `key`; parameters as `push`."""
        try:
            n_pending = self.stream(key).feed(samples, t)
        except BacklogError:
            self._note(key)
            raise
        if n_pending:
            self._note(key)
        return n_pending

    def decide(self, max_windows: int | None = None) -> list[tuple[Hashable, Decision]]:
        """Decide windows that wait, stream by stream in the order in which they were fed.

        Parameters
        ----------
        max_windows : int, optional
            Stop after so many.

        Returns
        -------
        list of (key, Decision)

        Raises
        ------
        DataError, FeatureError
            As `Stream.decide`; the error's `decisions` are pairs of key and Decision.
        """
        decisions: list[tuple[Hashable, Decision]] = []
        n_left = max_windows
        while n_left is None or n_left > 0:
            with self._lock:
                if not self._fed:
                    break
                key = next(iter(self._fed))
                del self._fed[key]
                stream = self._streams.get(key)
            if stream is None:
                continue
            try:
                decisions += [(key, decision) for decision in stream.decide(1)]
            except BaseException as error:
                more = getattr(error, "decisions", ())
                keep_decisions(error, [*decisions, *((key, decision) for decision in more)])
                raise
            finally:
                if stream.n_pending:
                    self._note(key)
            n_left = None if n_left is None else n_left - 1
        return decisions

    def close(self, key: Hashable) -> list[Decision]:
        """Return what the stream of `key` has still to decide, and forget the stream.

        Raises
        ------
        KeyError
            If there is no such stream.
        DataError, FeatureError
            As `Stream.finish`; the stream is kept then, close it again to go on.
        """
        with self._lock:
            stream = self._streams.pop(key)
        try:
            return stream.finish()
        except BaseException:
            with self._lock:
                self._streams.setdefault(key, stream)
            raise

    def stats(self) -> dict[Hashable, StreamStats]:
        """Return the counts of every stream."""
        with self._lock:
            streams = dict(self._streams)
        return {key: stream.stats for key, stream in streams.items()}

    def _note(self, key: Hashable) -> None:
        with self._lock:
            self._fed.setdefault(key)
