"""A page that shows a running stream in a browser.

The page loads nothing else. It receives whole snapshots a few times per second as server-sent events, so a
browser that lost its connection is up to date with the first one after it has reconnected.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import itertools
import json
import logging
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from patchtst_har.errors import DataError, MissingDependencyError
from patchtst_har.realtime.decision import Decision
from patchtst_har.realtime.monitor import Monitor, decision_document
from patchtst_har.realtime.stream import Stream

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_PERIOD_S = 0.25
_TRACE_S = 10.0
_TRACE_POINTS = 250
_TIMELINE = 240
_RETRY_MS = 500
_START_POLL_S = 0.01
_LEAST_TOKEN = 6
_MOST_SEND_S = 10.0
_MOST_CONNECTIONS = 64
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
    "frame-ancestors 'none'"
)


class LivePage:
    """What the page shows; `serve` puts it on a port.

    Parameters
    ----------
    stream : Stream
        The running stream.
    monitor : Monitor
        Of its decisions.
    source : str
        Where samples come from, as a heading.
    sample_rate_hz : float
        Of the samples, for the length of the trace.
    model : str
        What is said of the model.

    Attributes
    ----------
    ended : bool
        Set it when no more will come: browsers get an end event and do not reconnect.
    n_connections : int
        How often a browser has connected.
    """

    def __init__(
        self, stream: Stream, monitor: Monitor, source: str, sample_rate_hz: float, model: str = ""
    ) -> None:
        self._stream, self._monitor, self._source, self._model = stream, monitor, source, model
        self._trace: deque[tuple[float, ...]] = deque(maxlen=round(_TRACE_S * sample_rate_hz))
        self._labels: deque[str] = deque(maxlen=_TIMELINE)
        self._last: tuple[Decision, float] | None = None
        self.ended = False
        self.n_connections = 0

    def add_samples(self, samples: Any) -> None:
        """Take samples (n, 3) or (3,) in g for the trace."""
        rows = np.atleast_2d(np.asarray(samples, np.float64))[-(self._trace.maxlen or 1) :]
        finite = np.isfinite(rows).all(axis=1)
        self._trace.extend(map(tuple, rows[finite].tolist()))

    def add_decision(self, decision: Decision, latency_s: float) -> None:
        """Take a decision for the timeline."""
        self._last = decision, latency_s
        self._labels.append(decision.label)

    def snapshot(self) -> dict[str, Any]:
        """Return everything that is shown, as JSON values."""
        trace, last = list(self._trace), self._last
        step = max(1, -(-len(trace) // _TRACE_POINTS))
        return {
            "source": self._source,
            "model": self._model,
            "window_s": self._stream.window_s,
            "classes": list(self._stream.classes),
            "trace": trace[::step],
            "timeline": list(self._labels),
            "decision": None if last is None else decision_document(last[0], self._stream.classes, last[1]),
            "latency_ms": self._monitor.latency_ms(),
            "n_missed": self._monitor.n_missed,
            "counts": self._monitor.summary(self._stream.stats),
        }

    async def events(self, stop: threading.Event) -> AsyncIterator[str]:
        """Yield snapshots as server-sent events until the stream has ended, or `stop` is set."""
        self.n_connections += 1
        yield f"retry: {_RETRY_MS}\n\n"
        while not stop.is_set():
            ended = self.ended
            yield f"data: {json.dumps(self.snapshot(), allow_nan=False)}\n\n"
            if ended:
                yield "event: end\ndata: {}\n\n"
                return
            await asyncio.sleep(_PERIOD_S)


def parse_address(address: str) -> tuple[str, int]:
    """Return host and port of ``[HOST:]PORT``; the host is this machine alone if it is left out.

    Raises
    ------
    DataError
        If it does not have this form.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdecimal() or int(port) > 65_535:
        raise DataError(f"--serve {address}: needs the form [HOST:]PORT")
    try:
        ipaddress.ip_address(host)
    except ValueError as error:
        raise DataError(f"--serve {address}: {host!r} is not an address of this machine") from error
    return host, int(port)


@contextlib.contextmanager
def serve(page: LivePage, host: str, port: int, token: str | None = None) -> Iterator[str]:
    """Serve a page from a thread of its own and yield its address as soon as it answers.

    Parameters
    ----------
    page : LivePage
        What is shown.
    host : str
        Address to bind. Beyond this machine, a token is required: one is made if none is given.
    port : int
        0 takes a free one.
    token : str, optional
        What a browser has to name in ``?token=``: at least 6 characters, none of them blank.

    Raises
    ------
    MissingDependencyError
        If the extra `live` is not installed.
    DataError
        If the token is too short, as one of a variable that is not set, or the port cannot be bound.
    """
    if token is not None and (len(token) < _LEAST_TOKEN or token.split() != [token]):
        raise DataError(f"--token: needs at least {_LEAST_TOKEN} characters without blanks, has {len(token)}")
    try:
        import uvicorn
    except ImportError as error:
        raise MissingDependencyError(
            "the live page needs starlette and uvicorn: pip install 'patchtst-har[live]'"
        ) from error
    if token is None and not ipaddress.ip_address(host).is_loopback:
        token = secrets.token_urlsafe(16)
    listener = _listen(host, port)
    stop = threading.Event()
    settings = uvicorn.Config(
        _application(page, stop, host, token),
        http=_protocol(),
        log_level="warning",
        limit_concurrency=_MOST_CONNECTIONS,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    # Its first imports would delay the first decisions: 40 to 90 ms were measured.
    while not server.started and thread.is_alive():
        time.sleep(_START_POLL_S)
    try:
        shown = f"[{host}]" if ":" in host else host
        query = "" if token is None else f"?token={quote(token, safe='')}"
        yield f"http://{shown}:{listener.getsockname()[1]}/{query}"
    finally:
        if not page.ended:
            stop.set()
        server.should_exit = True
        thread.join()
        listener.close()


def _protocol() -> Any:
    """Return uvicorn's protocol with a way out for whoever comes when all connections are taken.

    Connections that ask for nothing stay as long as there is room; then the oldest is closed for a new one.
    """
    from uvicorn.protocols.http.h11_impl import H11Protocol

    taken: dict[Any, None] = {}

    class Protocol(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            taken[self] = None
            idle = (other for other in list(taken) if other is not self and other.asks_for_nothing())
            for other in itertools.islice(idle, max(0, len(taken) - _MOST_CONNECTIONS + 1)):
                other.leave()

        def connection_lost(self, exc: Exception | None) -> None:
            taken.pop(self, None)
            super().connection_lost(exc)

        def asks_for_nothing(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def leave(self) -> None:
            taken.pop(self, None)
            # At once: the server counts what is in this set.
            self.connections.discard(self)
            self.transport.abort()

    return Protocol


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # From here on, browsers wait instead of being refused.
        listener.listen()
    except OSError as error:
        listener.close()
        raise DataError(f"--serve {host}:{port}: cannot listen ({error.strerror or error})") from error
    return listener


def _application(page: LivePage, stop: threading.Event, host: str, token: str | None) -> Any:
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import ClientDisconnect
    from starlette.responses import HTMLResponse, PlainTextResponse, StreamingResponse
    from starlette.routing import Route

    text = files("patchtst_har.realtime").joinpath("templates/live.html").read_text(encoding="utf-8")
    headers = {
        "Content-Security-Policy": _POLICY,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }

    async def answer(request: Request) -> Response:
        given = request.query_params.get("token", "")
        if token is not None and not hmac.compare_digest(given.encode(), token.encode()):
            return PlainTextResponse("a token is needed: ?token=...", status_code=403)
        if request.url.path == "/":
            return HTMLResponse(text, headers=headers)
        return StreamingResponse(page.events(stop), media_type="text/event-stream", headers=headers)

    # Without a token, a page from elsewhere must not reach this one by a host name that resolves to here.
    hosts = ["127.0.0.1", "localhost", "[::1]", "::1"] if token is None else ["*"]
    middleware = [Middleware(TrustedHostMiddleware, allowed_hosts=[*hosts, host])]
    application = Starlette(routes=[Route("/", answer), Route("/events", answer)], middleware=middleware)

    async def impatient(scope: Any, receive: Any, send: Any) -> None:
        """Cut clients that do not read what they asked for: each would hold memory and a connection."""

        async def send_soon(message: Any) -> None:
            await asyncio.wait_for(send(message), _MOST_SEND_S)

        with contextlib.suppress(TimeoutError, ClientDisconnect):
            await application(scope, receive, send_soon)

    # uvicorn reports a client that was cut as an error of the application.
    logging.getLogger("uvicorn.error").addFilter(_is_no_cut)
    return impatient


def _is_no_cut(record: logging.LogRecord) -> bool:
    return "returned without completing response" not in record.getMessage()
