"""``patchtst-har stream``."""

from __future__ import annotations

import contextlib
import gc
import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from patchtst_har.cli import options
from patchtst_har.cli.console import err, out, warn
from patchtst_har.cli.models import introduction, model_folder
from patchtst_har.cli.reading import reads_recordings
from patchtst_har.data.options import ReadOptions
from patchtst_har.data.units import unusable_text
from patchtst_har.errors import DataError
from patchtst_har.support.termination import ending_signals_noted

if TYPE_CHECKING:
    from patchtst_har.data.stamps import TimeUnit
    from patchtst_har.data.times import Clock
    from patchtst_har.data.units import Unit
    from patchtst_har.inference.recognizer import Recognizer
    from patchtst_har.realtime.decision import Decision
    from patchtst_har.realtime.live_page import LivePage
    from patchtst_har.realtime.monitor import Monitor
    from patchtst_har.realtime.sources import SampleBatch
    from patchtst_har.realtime.stream import Stream


HELP = (
    "Recognise live samples: a view in the terminal, or JSON lines.\n\n"
    "Ctrl-C, SIGTERM and SIGHUP end with the last decisions and a summary."
)


@reads_recordings
def run(
    model: options.DefaultModelArgument = None,
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="SOURCE",
            help="- for lines t,x,y,z on standard input, tcp://HOST:PORT to connect to, udp://127.0.0.1:PORT "
            "to listen on, or a recording to replay.",
        ),
    ] = "-",
    speed: Annotated[
        str, typer.Option(help="Of a replay: how many times as fast as it was recorded, or max.")
    ] = "1",
    hop: Annotated[
        float | None, typer.Option("--hop", help="Seconds between decisions; the model's own if left out.")
    ] = None,
    smoothing: options.Smoothing = None,
    adaptation: options.Adaptation = None,
    serve: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:]PORT",
            help="Also show a live page, on 127.0.0.1 if no host is named; elsewhere it asks for a token.",
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(help="Token of the live page; by default a random one, if one is needed."),
    ] = None,
    keep_page: Annotated[
        bool | None,
        typer.Option(
            "--keep-page/--no-keep-page",
            help="Serve the live page until Ctrl-C, also after the stream has ended; by default where "
            "standard output is a terminal.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line per decision.")] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out and count lines that cannot be read.")
    ] = False,
    units: options.Units = None,
    time_unit: options.TimeUnit = None,
    timezone: options.Timezone = None,
    *,
    reading: ReadOptions,
) -> None:
    """Run the command."""
    from patchtst_har.inference.recognizer import Recognizer
    from patchtst_har.inference.source_check import SourceCheck, rate_doubt
    from patchtst_har.realtime.monitor import Monitor

    pace = _speed(speed)
    # A smoother that training did not choose is there for those who name it.
    named = None if smoothing in (None, "none") else "hmm"
    if model is not None and Path(model).is_file():
        raise DataError(f"{model}: is a file, no model; a recording to replay is named by --from {model}")
    folder = model_folder(model)
    recognizer = Recognizer.from_pretrained(folder, smoothing=named, adaptation=adaptation)
    recognizer = recognizer.in_zone(timezone)
    line = introduction(folder, recognizer.classes, recognizer.trained_on_text, named=model is not None)
    stream = recognizer.stream(hop, smoothing)
    live = source == "-" or "://" in source
    monitor = Monitor(stream.hop_s, 1.0 if live else pace)
    name = "standard input" if source == "-" else source
    check_clock = _clock_check(recognizer, source)
    if live and reading.given():
        raise DataError(f"{name}: {', '.join(reading.given())}: only for recordings; lines are t,x,y,z")

    if model is None:
        err.print(f"model: {line}", soft_wrap=True)

    def check_rate(rate_hz: float | None) -> None:
        warn(rate_doubt(rate_hz, recognizer.config.data.sample_rate_hz, recognizer.trained_on))

    opened = _batches(source, pace, time_unit, units, reading, check_clock, check_rate, skip_bad=skip_bad)
    rate_hz = recognizer.config.data.sample_rate_hz
    with _served(stream, monitor, name, line, serve, token, rate_hz) as (page, url):
        ended = False
        with (
            opened as (batches, count_bad),
            _shown(monitor, stream, name, as_json=as_json) as show,
            _settled(),
            ending_signals_noted() as stop,
            _summed_up(name, monitor, stream, count_bad if skip_bad else None),
        ):
            # A recording is checked as a whole when it is read.
            check = SourceCheck(name, units, recognizer) if live else None
            try:
                with contextlib.suppress(KeyboardInterrupt):
                    for batch in batches:
                        if stop.number is not None:
                            break
                        if check is not None and batch.samples is not None:
                            warn(check.add(batch.samples, batch.stamps_ns))
                        _take(stream, batch, monitor, page, show)
                    ended = stop.number is None
            finally:
                # Also after a bad sample: the windows before it are decided.
                for decision in _decided(stream.finish):
                    _tell(decision, monitor.add(decision), page, show)
        if page is not None and ended and (sys.stdout.isatty() if keep_page is None else keep_page):
            _keep(page, url)
    stop.raise_if_asked()


def _keep(page: LivePage, url: str) -> None:
    """Go on serving what was shown last."""
    page.ended = True
    err.print(f"the live page stays until Ctrl-C: {url}", soft_wrap=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


@contextlib.contextmanager
def _summed_up(
    name: str, monitor: Monitor, stream: Stream, count_bad: Callable[[], int] | None
) -> Iterator[None]:
    """Say at the end what happened, also where a bad sample or a signal ended it."""
    from patchtst_har.inference.familiarity import unfamiliar_doubt

    try:
        yield
    finally:
        stats = stream.stats
        bad = "" if count_bad is None else f", {count_bad()} bad lines skipped"
        err.print(f"{name}: {monitor.summary(stats)}{bad}", soft_wrap=True)
        warn(unfamiliar_doubt(stats.n_unfamiliar, stats.n_decisions))
        if stats.n_unusable and not stats.n_decisions:
            warn([f"{name}: no decision; {unusable_text(asdict(stats), stats.n_samples)}"])


@contextlib.contextmanager
def _settled() -> Iterator[None]:
    """Keep the garbage collector from looking again and again through what was loaded to begin with.

    A full collection would delay a decision by 40 to 90 ms where the live page is served.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _take(
    stream: Stream,
    batch: SampleBatch,
    monitor: Monitor,
    page: LivePage | None,
    show: Callable[[Any, float], None],
) -> None:
    if batch.samples is None:
        return
    if page is not None:
        page.add_samples(batch.samples)
    for decision in _decided(lambda: stream.push(batch.samples, batch.stamps_ns)):
        _tell(decision, monitor.add(decision, batch.due_s), page, show)


def _decided(call: Callable[[], list[Decision]]) -> Iterator[Decision]:
    """Yield what a call of a stream decides; if it fails, what it had decided before, then the error."""
    try:
        yield from call()
    except BaseException as error:
        yield from getattr(error, "decisions", ())
        raise


def _tell(
    decision: Decision, latency_s: float, page: LivePage | None, show: Callable[[Any, float], None]
) -> None:
    if page is not None:
        page.add_decision(decision, latency_s)
    show(decision, latency_s)


@contextlib.contextmanager
def _served(
    stream: Stream,
    monitor: Monitor,
    source: str,
    model: str,
    address: str | None,
    token: str | None,
    sample_rate_hz: float,
) -> Iterator[tuple[LivePage | None, str]]:
    """Yield the live page and its address while it is served, if one is asked for."""
    if address is None:
        yield None, ""
        return
    from patchtst_har.realtime.live_page import LivePage, parse_address, serve

    host, port = parse_address(address)
    page = LivePage(stream, monitor, source, sample_rate_hz, model)
    with serve(page, host, port, token) as url:
        err.print(f"live page: {url}", soft_wrap=True)
        try:
            yield page, url
        finally:
            page.ended = True


@contextlib.contextmanager
def _shown(
    monitor: Monitor, stream: Stream, source: str, *, as_json: bool
) -> Iterator[Callable[[Any, float], None]]:
    """Yield what shows a decision with its latency."""
    from patchtst_har.realtime.monitor import decision_document

    if as_json:

        def print_line(decision: Any, latency_s: float) -> None:
            document = decision_document(decision, stream.classes, latency_s)
            print(json.dumps(document, allow_nan=False), flush=True)

        yield print_line
        return
    from rich.live import Live

    from patchtst_har.cli.live_view import live_view

    def view() -> Any:
        return live_view(monitor, stream.stats, stream.classes, source)

    # Drawn by a thread of its own, a few times per second.
    with Live(get_renderable=view, console=out, refresh_per_second=4):
        yield lambda _decision, _latency_s: None


@contextlib.contextmanager
def _batches(
    source: str,
    speed: float | None,
    time_unit: TimeUnit | None,
    units: Unit | None,
    reading: ReadOptions,
    check_clock: Callable[[Clock | None], None],
    check_rate: Callable[[float | None], None],
    *,
    skip_bad: bool,
) -> Iterator[tuple[Iterator[SampleBatch], Callable[[], int]]]:
    """Yield the batches of a source, and what counts the lines that it left out."""
    from patchtst_har.realtime import sources
    from patchtst_har.realtime.sample_lines import LineParser

    openers: dict[str, Callable[[], Any]] = {
        "-": sources.standard_input,
        "tcp": lambda: sources.tcp_client(source),
        "udp": lambda: sources.udp_server(source),
    }
    kind = source.partition("://")[0] if "://" in source else source
    if kind not in openers:
        if "://" in source:
            raise DataError(f"--from {source}: must be -, tcp://HOST:PORT, udp://HOST:PORT or a file")
        yield _replayed(Path(source), speed, time_unit, units, reading, check_clock, check_rate), lambda: 0
        return
    name = "standard input" if source == "-" else source
    parser = LineParser(name, time_unit, units or "g", skip_bad=skip_bad)

    def checked(batches: Iterator[SampleBatch]) -> Iterator[SampleBatch]:
        known = False
        for batch in batches:
            if batch.samples is not None and not known:
                check_clock(parser.clock)
                known = True
            yield batch

    with openers[kind]() as receive:
        yield checked(sources.sample_batches(parser, receive)), lambda: parser.n_bad


def _replayed(
    path: Path,
    speed: float | None,
    time_unit: TimeUnit | None,
    units: Unit | None,
    reading: ReadOptions,
    check_clock: Callable[[Clock | None], None],
    check_rate: Callable[[float | None], None],
) -> Iterator[SampleBatch]:
    import pandas as pd

    from patchtst_har.data import read_recording
    from patchtst_har.data.frames import check_recording
    from patchtst_har.realtime.sources import replay

    recording, info = read_recording(path, units=units, time_unit=time_unit, options=reading)
    check_rate(info["sample_rate_hz"])
    index = recording.index
    zone = index.tz if isinstance(index, pd.DatetimeIndex) else None
    check_clock("wall" if zone is None else "utc")
    stamps_ns, samples = check_recording(recording)
    return replay(samples, stamps_ns, speed)


def _clock_check(recognizer: Recognizer, source: str) -> Callable[[Clock | None], None]:
    """Return what refuses stamps whose hour cannot be known, if the model uses it."""
    from patchtst_har.data.times import check_clock

    def check(clock: Clock | None) -> None:
        if recognizer.config.model.n_time_features:
            check_clock(clock, recognizer.config.data.timezone, source)

    return check


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise DataError(f"--speed: must be a positive number or max, not {text!r}")
    return speed
