"""Where live samples come from: a pipe, a socket, or a recording that is replayed on its schedule."""

from __future__ import annotations

import codecs
import contextlib
import errno
import ipaddress
import os
import select
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from patchtst_har.data.units import SignalWarning
from patchtst_har.errors import DataError
from patchtst_har.realtime.sample_lines import LineParser, Sample

_POLL_S = 0.1
_POLLS_PIPES = os.name != "nt"  # Windows polls sockets only.
_READ_BYTES = 2**16
_MOST_LINE_CHARACTERS = 4096
_CHUNK_SAMPLES = 1000


@dataclass(frozen=True, slots=True, eq=False)
class SampleBatch:
    """Samples that are due: (n, 3) in g with stamps (n,) in ns; none where a source only waited.

    `due_s` is when they were to arrive by the schedule of a replay, on the clock of `time.perf_counter`; None
    for a source that has no schedule.
    """

    samples: Any
    stamps_ns: Any
    due_s: float | None = None


NOTHING = SampleBatch(None, None)


def replay(
    samples: NDArray[np.float32], stamps_ns: NDArray[np.int64], speed: float | None
) -> Iterator[SampleBatch]:
    """Yield a recording's samples when they are due, `speed` times as fast as they were taken.

    Parameters
    ----------
    samples : ndarray of float32, shape (n, 3)
        In g.
    stamps_ns : ndarray of int64, shape (n,)
        Not decreasing.
    speed : float, optional
        None: without waiting.

    Yields
    ------
    SampleBatch
        Of one sample; without waiting, of up to 1000.
    """
    if speed is None:
        for first in range(0, len(samples), _CHUNK_SAMPLES):
            rows = slice(first, first + _CHUNK_SAMPLES)
            yield SampleBatch(samples[rows], stamps_ns[rows])
        return
    began = time.perf_counter()
    for sample, stamp, offset_s in _scheduled(samples, stamps_ns, speed):
        due_s = began + offset_s
        while (wait_s := due_s - time.perf_counter()) > 0:
            time.sleep(min(wait_s, _POLL_S))
            if wait_s > _POLL_S:
                yield NOTHING
        yield SampleBatch(sample, stamp, due_s)


def _scheduled(
    samples: NDArray[np.float32], stamps_ns: NDArray[np.int64], speed: float
) -> Iterator[tuple[tuple[float, ...], int, float]]:
    """Yield samples, stamps and seconds from the start; a day as Python's numbers would take gigabytes."""
    for first in range(0, len(samples), _CHUNK_SAMPLES):
        rows = slice(first, first + _CHUNK_SAMPLES)
        offsets_s = (stamps_ns[rows] - stamps_ns[0]) * (1e-9 / speed)
        yield from zip(
            map(tuple, samples[rows].tolist()), stamps_ns[rows].tolist(), offsets_s.tolist(), strict=True
        )


def sample_batches(parser: LineParser, receive: Callable[[], bytes | None]) -> Iterator[SampleBatch]:
    """Yield the samples of a source of bytes.

    Parameters
    ----------
    parser : LineParser
        For the lines, which are UTF-8.
    receive : callable
        Returns what has come, b"" at the end, None if nothing came for a moment.

    Raises
    ------
    DataError
        If a line is wrong or far too long; the samples before it were yielded.

    Warns
    -----
    patchtst_har.data.units.SignalWarning
        If the source ended within a line, as a connection that is cut does: the line is left out.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    rest, skips = "", False
    while (data := receive()) != b"":
        if data is None:
            yield NOTHING
            continue
        *lines, rest = (rest + decoder.decode(data)).split("\n")
        if skips and lines:
            del lines[0]  # The end of a line that was too long.
            skips = False
        yield from _batches(parser, lines)
        if len(rest) > _MOST_LINE_CHARACTERS and not skips:
            parser.too_long(_MOST_LINE_CHARACTERS)
            skips = True
        if skips:
            rest = ""
    if rest:
        yield from _last(parser, rest)


def _last(parser: LineParser, line: str) -> Iterator[SampleBatch]:
    """Yield the sample of a line without an end; what cannot be read after lines that could was cut off."""
    begun = parser.n_samples > 0
    try:
        sample = parser.parse(line)
    except DataError as error:
        if not begun:
            raise
        warnings.warn(
            f"{error}; the source was cut off there, the line is left out", SignalWarning, stacklevel=2
        )
        return
    if sample is not None:
        yield SampleBatch(*sample)


def _batches(parser: LineParser, lines: list[str]) -> Iterator[SampleBatch]:
    """Yield the samples of lines; those before a bad line come before its error."""
    parsed: list[tuple[Sample, int]] = []
    for line in lines:
        try:
            sample = parser.parse(line)
        except DataError:
            yield _batch(parsed)
            raise
        if sample is not None:
            parsed.append(sample)
    yield _batch(parsed)


def _batch(parsed: list[tuple[Sample, int]]) -> SampleBatch:
    if not parsed:
        return NOTHING
    if len(parsed) == 1:
        return SampleBatch(*parsed[0])
    samples, stamps = zip(*parsed, strict=True)
    return SampleBatch(np.array(samples), np.array(stamps))


@contextlib.contextmanager
def standard_input() -> Iterator[Callable[[], bytes | None]]:
    """Yield a receiver of what comes on standard input.

    Raises
    ------
    DataError
        If it is closed, as it may be for a service.
    """
    if sys.stdin is None:
        raise DataError("standard input: is closed; name another source with --from")
    descriptor = sys.stdin.fileno()
    if not _POLLS_PIPES:
        yield _receiver_in_thread(descriptor)
        return

    def receive() -> bytes | None:
        # A poll, so that a view can be drawn and Ctrl-C seen while nothing comes.
        readable, _, _ = select.select([descriptor], [], [], _POLL_S)
        return os.read(descriptor, _READ_BYTES) if readable else None

    yield receive


def _receiver_in_thread(descriptor: int) -> Callable[[], bytes | None]:
    """Return a receiver for systems that cannot poll a pipe."""
    arrived: Queue[bytes] = Queue(maxsize=16)

    def read() -> None:
        content = b"more"
        while content:
            content = os.read(descriptor, _READ_BYTES)
            arrived.put(content)

    Thread(target=read, name="patchtst-har-stdin", daemon=True).start()

    def receive() -> bytes | None:
        try:
            return arrived.get(timeout=_POLL_S)
        except Empty:
            return None

    return receive


@contextlib.contextmanager
def tcp_client(address: str) -> Iterator[Callable[[], bytes | None]]:
    """Yield a receiver from ``tcp://HOST:PORT``, to which it connects; the end is when the other side closes.

    Raises
    ------
    DataError
        If the address is malformed or nobody listens there.
    """
    host, port = _host_and_port(address)
    try:
        connection = socket.create_connection((host, port), timeout=5.0)
    except OSError as error:
        raise DataError(f"{address}: no connection ({error.strerror or error})") from error
    with connection:
        connection.settimeout(_POLL_S)
        yield _receiver(connection)


@contextlib.contextmanager
def udp_server(address: str) -> Iterator[Callable[[], bytes | None]]:
    """Yield a receiver of datagrams of whole lines sent to ``udp://HOST:PORT``; an empty one is the end.

    Raises
    ------
    DataError
        If the address is malformed, taken, or not one of this machine alone.
    """
    host, port = _host_and_port(address)
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError as error:
        raise DataError(f"{address}: {host!r} is not an address") from error
    if not loopback:
        raise DataError(f"{address}: datagrams are only taken from this machine (127.0.0.1, ::1)")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as listener:
        try:
            listener.bind((host, port))
        except OSError as error:
            raise DataError(f"{address}: cannot listen ({error.strerror or error})") from error
        listener.settimeout(_POLL_S)
        receive_any = _receiver(listener)

        def receive() -> bytes | None:
            data = receive_any()
            # A datagram is whole lines, with or without the last line end.
            return data + b"\n" if data and not data.endswith(b"\n") else data

        yield receive


def _receiver(connection: socket.socket) -> Callable[[], bytes | None]:
    def receive() -> bytes | None:
        try:
            return connection.recv(_READ_BYTES)
        except TimeoutError as error:
            # The other side is gone (ETIMEDOUT), not only silent for a moment.
            return b"" if error.errno == errno.ETIMEDOUT else None
        except ConnectionError:
            return b""

    return receive


def _host_and_port(address: str) -> tuple[str, int]:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise DataError(f"{address}: {error}") from error
    if not host or port is None or parts.path or parts.query:
        raise DataError(f"{address}: needs the form {parts.scheme}://HOST:PORT")
    return host, port
