"""What comes in while a stream runs: lines of samples, saved states, requests, addresses."""

from __future__ import annotations

import asyncio
import io
import threading
import warnings
from functools import cache
from typing import Any
from urllib.parse import quote, unquote

import numpy as np

from fuzz.choices import Choices, as_it_is, by_choice, changed_list, two_ways
from fuzz.frame import Finding, Target
from fuzz.targets.models import shipped_with_smoother
from fuzz.targets.recordings import npz_of
from patchtst_har import Recognizer
from patchtst_har.errors import DataError
from patchtst_har.realtime import live_page, sources
from patchtst_har.realtime.monitor import Monitor
from patchtst_har.realtime.sample_lines import LineParser

_FIRST_MS = 1_700_000_000_000


@cache
def _recognizer() -> Recognizer:
    return Recognizer.from_pretrained(shipped_with_smoother(), smoothing="hmm")


def _samples(n: int, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    samples = np.random.default_rng(first).normal([0, 0.2, 0.9], 0.2, (n, 3)).astype(np.float32)
    return samples, (_FIRST_MS + 10 * np.arange(first, first + n, dtype=np.int64)) * 1_000_000


def _check(decisions: list[Any]) -> None:
    for decision in decisions:
        if not abs(float(np.sum(decision.probabilities)) - 1) < 1e-6:
            raise Finding("promise: probabilities of a decision add up to 1")


def lines_of(choices: Choices) -> bytes:
    """Return lines ``t,x,y,z``, some of them odd."""
    samples, stamps = _samples(40)
    form = choices.below(2)
    lines = []
    for sample, stamp in zip(samples.tolist(), stamps.tolist(), strict=True):
        t = np.datetime64(stamp, "ns") if form else stamp // 1_000_000
        lines.append(",".join([str(t), *(f"{value:.4f}" for value in sample)]))
    for _ in range(choices.below(8)):
        at = choices.below(len(lines))
        fields = lines[at].split(",")
        column = choices.below(len(fields))
        fields[column] = choices.one_of(
            (choices.text(), str(choices.whole()), repr(choices.number()), fields[0])
        )
        lines[at] = ",".join(fields)
    ends = choices.one_of(("\n", "\r\n", "\r", "\n\n"))
    return ends.join(changed_list(lines, choices)).encode("utf-8", "replace") + b"\n" * choices.below(2)


def _use_lines(data: bytes) -> None:
    content, choices = two_ways(data)
    content = lines_of(choices) if content is None else content
    unit = choices.one_of(("ms", None, "s", "us", "ns"))
    units = choices.one_of(("g", "m/s2", "mg"))
    parser = LineParser("stdin", unit, units, skip_bad=choices.flag())
    step = 1 + choices.below(4000)
    pieces = [content[at : at + step] for at in range(0, len(content), step)]
    stream = _recognizer().stream(hop_s=1.0, smoothing=choices.one_of((None, "none", "lag:2")))
    for batch in sources.sample_batches(parser, iter([*pieces, None, b""]).__next__):
        if batch.samples is not None:
            _check(stream.push(batch.samples, batch.stamps_ns))
    _check(stream.finish())


@cache
def _states() -> list[dict[str, np.ndarray]]:
    states = []
    for smoothing, n in (("filter", 1500), ("lag:2", 3210), ("none", 1100), ("filter", 0)):
        stream = _recognizer().stream(hop_s=5.0, smoothing=smoothing)
        stream.feed(*_samples(n)) if smoothing == "none" else stream.push(*_samples(n))
        states.append(stream.state())
    return states


_SMOOTHING = ("filter", "lag:2", "none", "filter")


def state_of(choices: Choices) -> bytes:
    """Return a saved state with numbers, arrays or the archive changed."""
    arrays = {name: array.copy() for name, array in _states()[choices.below(4)].items()}
    for _ in range(choices.below(6)):
        array = arrays[choices.one_of(sorted(arrays))]
        if not array.size or array.dtype.kind not in "if":
            continue
        at = choices.below(array.size)
        if array.dtype.kind == "i":
            array.reshape(-1)[at] = min(max(choices.whole(), -(2**63)), 2**63 - 1)
        else:
            with np.errstate(over="ignore"):
                array.reshape(-1)[at] = choices.number()
    return npz_of(arrays, choices)


def _use_state(data: bytes) -> None:
    content, choices = two_ways(data)
    # The stream must be like the one that was saved: the first choice, which makes the state, says which.
    smoothing = _SMOOTHING[Choices(data[1:]).below(4)]
    content = state_of(choices) if content is None else content
    try:
        with warnings.catch_warnings(), np.load(io.BytesIO(content)) as archive:
            warnings.simplefilter("ignore")
            state = {name: archive[name] for name in archive.files}
    except Exception as error:  # NumPy's own reading is the user's.
        raise DataError("no archive") from error
    stream = _recognizer().stream(hop_s=5.0, smoothing=smoothing)
    stream.restore(state)
    again = _recognizer().stream(hop_s=5.0, smoothing=smoothing)
    again.restore(stream.state())
    stamped = choices.below(4) < 3
    for first in (3300, 4000):
        samples, stamps = _samples(300, first)
        _check(stream.push(samples, stamps if stamped else None))
    _check(stream.finish())
    _ = stream.stats


_TOKEN = "a-token"  # noqa: S105


@cache
def _page() -> tuple[Any, dict[str | None, Any]]:
    stream = _recognizer().stream(hop_s=5.0)
    page = live_page.LivePage(stream, Monitor(5.0, None), "source", 100.0)
    page.ended = True
    stop = threading.Event()
    return page, {token: live_page._application(page, stop, "127.0.0.1", token) for token in (None, _TOKEN)}


def request_of(choices: Choices) -> dict[str, Any]:
    """Return a request as a server hands it on."""
    path = choices.one_of(("/", "/events", "/nowhere", "//", "/%2e%2e", "/" + quote(choices.text())))
    token = choices.one_of(
        (f"token={_TOKEN}", "", "token=%ff", "token", f"token={quote(choices.text())}", quote(choices.text()))
    )
    # What the server lets through: a target of ASCII, and other bytes in headers only.
    host = choices.one_of(("127.0.0.1", "localhost:80", "[::1]:8765", "example.org", choices.text()))
    headers = [(b"host", host.encode("latin-1", "replace"))] if choices.below(8) < 7 else []
    if choices.flag():
        headers.append((choices.text().lower().encode("latin-1", "replace"), choices.raw(20)))
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": choices.one_of(("GET", "HEAD", "POST", "OPTIONS", choices.text())),
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode("latin-1", "replace"),
        "root_path": "",
        "query_string": token.encode("latin-1", "replace"),
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8765),
    }


def _use_request(data: bytes) -> None:
    choices = Choices(data)
    token = choices.one_of((None, _TOKEN))
    scope = request_of(choices)
    sent: list[dict[str, Any]] = []
    asked: list[bool] = []

    async def receive() -> dict[str, Any]:
        if not asked:
            asked.append(True)
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(_page()[1][token](scope, receive, send))
    status = sent[0]["status"]
    if status not in (200, 400, 403, 404, 405):
        raise Finding(f"promise: the page answers {status}")
    # Names and values of a query may be quoted; a plain one is what the page must not take for another.
    if status == 200 and token is not None and b"token" not in scope["query_string"].replace(b"%74", b"t"):
        raise Finding("promise: the page is shown to nobody without a token")


_ADDRESSES = (
    "8765",
    "0.0.0.0:1",
    "[::1]:80",
    "tcp://host:1",
    "udp://127.0.0.1:2",
    "tcp://[::1]:3",
    "tcp://a:b",
)


def _use_address(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for parse in (live_page.parse_address, sources._host_and_port):
        try:
            parse(text)
        except DataError as error:
            if len(str(error).splitlines()) > 1 and len(text.splitlines()) < 2:
                raise Finding("promise: the error is one line") from error


TARGETS = {
    "lines": Target(
        "lines of samples", lambda: [*by_choice(16), *as_it_is(lines_of(Choices(b"")))], _use_lines
    ),
    "state": Target("saved states of streams", lambda: by_choice(24), _use_state),
    "request": Target("requests for the live page", lambda: [bytes(8), *by_choice(16)], _use_request),
    "address": Target("addresses", lambda: [text.encode() for text in _ADDRESSES], _use_address),
}
