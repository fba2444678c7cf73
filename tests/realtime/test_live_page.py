"""The live page: what it sends, who may see it, and what a real browser makes of it."""

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from browser import Browser, needs_chromium, wait_for
from patchtst_har.errors import DataError
from patchtst_har.realtime.monitor import Monitor
from patchtst_har.reports.plots.style import class_colours
from streams import CLASSES, make_samples, small_recognizer, with_familiarity

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

from patchtst_har.realtime import live_page
from patchtst_har.realtime.live_page import LivePage, parse_address, serve


@pytest.fixture
def page():
    stream = with_familiarity(small_recognizer()).stream(0.5)
    return LivePage(stream, Monitor(0.5, 1.0), "/long/path/of/a/test/<b>source</b>/recordings/P01.csv", 100.0)


def push(page, seconds=9.0):
    """Push as the command does; return the decisions."""
    samples, stamps = make_samples(seconds)
    page.add_samples(samples)
    decisions = page._stream.push(samples, stamps)
    for decision in decisions:
        page.add_decision(decision, page._monitor.add(decision))
    return decisions


def get(url, **headers):
    request = urllib.request.Request(url, headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
        return response.headers, response.read().decode()


def test_a_snapshot_is_all_there_is_to_draw(page):
    empty = page.snapshot()
    assert empty["decision"] is None
    decisions = push(page)
    shown = json.loads(json.dumps(page.snapshot(), allow_nan=False))
    assert shown["timeline"] == [decision.label for decision in decisions]
    assert shown["unfamiliar"] == [decision.unfamiliar for decision in decisions]
    assert shown["decision"]["label"] == decisions[-1].label
    assert shown["classes"] == list(CLASSES)
    assert len(shown["trace"]) == 225
    assert "900 samples" in shown["counts"]
    page.add_samples((float("nan"), 0.0, 1.0))
    json.dumps(page.snapshot(), allow_nan=False)


def test_it_says_which_model_decides(page):
    assert page.snapshot()["model"] == ""
    named = LivePage(page._stream, page._monitor, "a", 100.0, "wrist: <b>6</b> classes")
    assert named.snapshot()["model"] == "wrist: <b>6</b> classes"


def test_classes_have_the_colours_of_the_reports():
    text = (Path(live_page.__file__).parent / "templates" / "live.html").read_text(encoding="utf-8")
    variables = dict(re.findall(r"(--\w+): (#[0-9a-f]{6})", text.partition("@media")[0]))
    names = json.loads(re.search(r"const COLOURS = (\[.*?\]);", text)[1])
    classes = [str(i) for i in range(len(names))]
    expected = [colour.lower() for colour in class_colours(classes).values()]
    assert [variables.get(name, name) for name in names] == expected


def test_events_end_with_the_stream(page):
    decisions = push(page)
    page.ended = True
    with serve(page, "127.0.0.1", 0) as url:
        headers, text = get(url + "events")
    assert headers["content-type"].startswith("text/event-stream")
    first, data, end = text.strip().split("\n\n")
    assert first == "retry: 500"
    assert json.loads(data.removeprefix("data: "))["decision"]["label"] == decisions[-1].label
    assert end.startswith("event: end")


def test_the_page_needs_nothing_from_elsewhere(page):
    with serve(page, "127.0.0.1", 0) as url:
        headers, text = get(url)
    assert "default-src 'none'" in headers["content-security-policy"]
    assert not re.search(r"""(src|href)\s*=\s*["'](https?:)?//""", text)


def test_a_page_of_elsewhere_cannot_reach_it_by_name(page):
    with serve(page, "127.0.0.1", 0) as url, pytest.raises(urllib.error.HTTPError) as refused:
        get(url, Host="evil.example")
    assert refused.value.code == 400
    refused.value.close()


@pytest.mark.parametrize("path", ["", "events"])
@pytest.mark.parametrize("query", ["", "?token=wrong", "?token="])
def test_beyond_this_machine_a_token_is_asked_for(page, path, query):
    page.ended = True
    with serve(page, "0.0.0.0", 0) as url:  # noqa: S104
        token = re.fullmatch(r"http://0\.0\.0\.0:\d+/\?token=([\w-]{20,})", url)[1]
        base = url.partition("?")[0].replace("0.0.0.0", "127.0.0.1") + path  # noqa: S104
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(base + query)
        assert refused.value.code == 403
        refused.value.close()
        assert get(f"{base}?token={token}")[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104
@pytest.mark.parametrize("token", ["", " ", "short", "with blank", "\t" * 9])
def test_a_token_that_is_none_is_refused(page, host, token):
    with pytest.raises(DataError, match="--token: needs at least 6 characters"), serve(page, host, 0, token):
        pass


def test_the_address_that_is_shown_works_with_any_token(page):
    page.ended = True
    with serve(page, "127.0.0.1", 0, "a&b=c#d%e+f/ü?") as url:
        assert get(url)[1]


@pytest.mark.slow
def test_a_client_that_does_not_read_is_cut(page, monkeypatch):
    """What it finds when it reads at last ends; a stream that waited for it would go on."""
    monkeypatch.setattr(live_page, "_MOST_SEND_S", 0.2)
    monkeypatch.setattr(live_page, "_PERIOD_S", 0.001)
    monkeypatch.setattr(page, "snapshot", lambda: {"filler": "x" * 1_000_000})
    with serve(page, "127.0.0.1", 0) as url:
        port = int(url.rpartition(":")[2].strip("/"))
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            time.sleep(1.5)
            n_bytes = 0
            while (data := client.recv(2**20)) and n_bytes < 100_000_000:
                n_bytes += len(data)
    assert data == b""
    assert n_bytes < 50_000_000


@pytest.mark.parametrize(
    "opening", [b"", b"GET / HTTP/1.1\r\nHost: loc", b"GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n"]
)
def test_idle_connections_make_room_for_somebody_who_asks(page, opening):
    """Silent, half a request, or answered and kept open: the oldest goes, the page is served."""
    with serve(page, "127.0.0.1", 0) as url, contextlib.ExitStack() as stack:
        address = "127.0.0.1", int(re.search(r":(\d+)/", url)[1])
        watching = stack.enter_context(urllib.request.urlopen(url + "events", timeout=5))  # noqa: S310
        idle = []
        for _ in range(90):
            idle.append(stack.enter_context(socket.create_connection(address, timeout=5)))
            idle[-1].sendall(opening)
            if opening.endswith(b"\r\n\r\n"):
                assert idle[-1].recv(12) == b"HTTP/1.1 404"
        for _ in range(3):
            assert "<html" in get(url)[1]
        assert is_closed(idle[0])
        assert watching.readline() == b"retry: 500\n", "a connection in use stays"
        page.ended = True
        assert b"event: end" in watching.read()


def is_closed(connection):
    """Whether a connection ends, be it after an answer; one that is kept open would wait."""
    try:
        while connection.recv(2**16):
            pass
    except ConnectionResetError:
        return True
    return True


def test_addresses():
    assert parse_address("8765") == ("127.0.0.1", 8765)
    assert parse_address("0.0.0.0:80") == ("0.0.0.0", 80)  # noqa: S104
    assert parse_address("[::1]:80") == ("::1", 80)
    for bad in ("", "x", "localhost:http", "1:2:99999", "example.org:80"):
        with pytest.raises(DataError, match="--serve"):
            parse_address(bad)


@pytest.mark.spawns
def test_nothing_is_left_to_import_when_the_address_is_there():
    """It would hold up decisions: imports keep other threads waiting."""
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1] / "support")!r})
from patchtst_har.realtime.live_page import LivePage, serve
from patchtst_har.realtime.monitor import Monitor
from streams import small_recognizer
import time
page = LivePage(small_recognizer().stream(0.5), Monitor(0.5, 1.0), "a", 100.0)
with serve(page, "127.0.0.1", 0):
    before = set(sys.modules)
    time.sleep(0.5)
    print(sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_port_that_is_taken_is_named(page):
    with serve(page, "127.0.0.1", 0) as url:
        port = int(re.search(r":(\d+)/", url)[1])
        again = serve(page, "127.0.0.1", port)
        with pytest.raises(DataError, match=f"--serve 127.0.0.1:{port}: cannot listen"):
            again.__enter__()


@needs_chromium
def test_a_browser_says_what_it_waits_for(page, tmp_path):
    """Before the first answer, the first sample and the first window; on light and dark screens."""
    page.events, events = _silent, page.events
    with serve(page, "127.0.0.1", 0) as url:
        browser = Browser(tmp_path / "profile", url)
        try:

            def shown(name):
                return browser.evaluate(f"document.getElementById('{name}').textContent")

            def background():
                return browser.evaluate("getComputedStyle(document.body).backgroundColor")

            wait_for(lambda: shown("label") == "Waiting for the stream")
            assert "has not answered yet" in shown("span")
            # Above the picture, not on its curves.
            letters = "[...document.querySelectorAll('.key b')].map((b) => b.textContent).join('')"
            assert browser.evaluate(letters) == "xyz"
            page.events = events
            wait_for(lambda: shown("label") == "Waiting for samples")
            assert "recordings/P01.csv" in shown("span")
            push(page, 0.5)
            wait_for(lambda: shown("label") == "Waiting for the first window")
            assert re.search(r"A decision needs \d+(\.\d+)? s of samples", shown("span"))
            assert re.fullmatch(r"\(from \u2212\d\.\d to \d\.\d g\)", shown("range"))
            browser.prefer("light")
            assert background() == "rgb(255, 255, 255)"
            browser.prefer("dark")
            assert background() == "rgb(18, 24, 30)"
            assert not browser.overflows(360)
        finally:
            browser.close()
            page.ended = True


async def _silent(stop):
    """Stand for a command that does not answer; the browser asks again."""
    return
    yield


@needs_chromium
def test_a_browser_shows_a_real_stream_and_comes_back_after_a_lost_connection(page, tmp_path):
    stop = threading.Event()

    def feed():
        samples, stamps = make_samples(600, jitter_ms=0)
        for first in range(0, len(samples), 20):
            if stop.wait(0.01):
                return
            rows = slice(first, first + 20)
            page.add_samples(samples[rows])
            for decision in page._stream.push(samples[rows], stamps[rows]):
                page.add_decision(decision, page._monitor.add(decision))

    feeder = threading.Thread(target=feed)
    feeder.start()
    browser = None
    try:
        with serve(page, "127.0.0.1", 0) as url:
            port = int(re.search(r":(\d+)/", url)[1])
            browser = Browser(tmp_path / "profile", url)

            def state():
                return browser.evaluate("document.getElementById('state').dataset.state")

            wait_for(lambda: browser.evaluate("document.getElementById('label').textContent") in CLASSES)
            assert state() == "live"
            dom = browser.evaluate("document.body.innerHTML")
            assert not browser.overflows(360), "too wide for a phone"
            assert not browser.overflows(1000)
        # Nobody listens now.
        wait_for(lambda: state() == "lost")
        counts = browser.evaluate("document.getElementById('counts').textContent")
        with serve(page, "127.0.0.1", port):
            wait_for(lambda: state() == "live")
            wait_for(lambda: browser.evaluate("document.getElementById('counts').textContent") != counts)
            assert browser.evaluate("document.getElementById('state').dataset.connections") == "2"
            page.ended = True
            wait_for(lambda: state() == "ended")
        assert page.n_connections == 2
    finally:
        if browser is not None:
            browser.close()
        stop.set()
        feeder.join()
    assert "test/&lt;b&gt;source&lt;/b&gt;" in dom
    assert dom.count("<progress") == len(CLASSES)
    for text in ("topological features", "latency p50", "decisions too late"):
        assert text in dom
