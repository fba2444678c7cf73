"""`patchtst-har stream` from every source, and how it ends."""

import contextlib
import gc
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
import warnings
from pathlib import Path

import numpy as np
import pytest

from patchtst_har.data import write_recording
from patchtst_har.realtime.stream import Stream
from streams import make_samples, recording_of, small_recognizer

SCRIPT = Path(sys.executable).with_name("patchtst-har")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return small_recognizer().save_pretrained(tmp_path_factory.mktemp("stream") / "model")


@pytest.fixture
def cli(cli, monkeypatch):
    """Run `patchtst-har stream`."""
    # A collection of everything that the tests have loaded takes longer than the rest of most of these.
    monkeypatch.setattr(gc, "collect", lambda: 0)
    return lambda *arguments: cli("stream", *arguments)


@pytest.fixture
def piped(monkeypatch, tmp_path):
    """Return what puts a text on standard input."""
    with contextlib.ExitStack() as opened:

        def pipe(text):
            path = tmp_path / "input.csv"
            path.write_text(text)
            monkeypatch.setattr(sys, "stdin", opened.enter_context(path.open()))

        yield pipe


def documents(out):
    return [json.loads(line) for line in out.splitlines()]


def expected(seconds=9.0):
    """Return samples, stamps, and start and label of each decision on them."""
    samples, stamps = make_samples(seconds, jitter_ms=0)
    stamps = stamps // 1000 * 1000
    stream = small_recognizer().stream()
    decisions = stream.push(samples, stamps) + stream.finish()
    return samples, stamps, [(d.start_ns, d.label) for d in decisions]


def lines_of(samples, stamps):
    # Nine digits give a float32 back exactly.
    return "".join(
        f"{stamp},{x:.9g},{y:.9g},{z:.9g}\n"
        for stamp, (x, y, z) in zip(stamps.tolist(), samples.tolist(), strict=True)
    )


def keys(out):
    return [(document["start_ns"], document["label"]) for document in documents(out)]


def test_the_collector_leaves_alone_what_was_loaded_before_the_first_sample(cli, model, piped, monkeypatch):
    """A full collection takes longer than many a hop at a high speed."""
    samples, stamps, _ = expected()
    frozen, push = [], Stream.push

    def watched(stream, samples, t):
        frozen.append(gc.get_freeze_count())
        return push(stream, samples, t)

    monkeypatch.setattr(Stream, "push", watched)
    piped(lines_of(samples, stamps))
    status, _, err = cli(model, "--json", "--time-unit", "ns")
    assert status == 0, err
    assert min(frozen) > 10_000
    assert gc.get_freeze_count() == 0


def test_a_recording_at_full_speed(cli, model, tmp_path):
    samples, stamps, decisions = expected()
    write_recording(tmp_path / "r.csv", recording_of(samples, stamps))
    status, out, err = cli(model, "--from", tmp_path / "r.csv", "--speed", "max", "--json")
    assert status == 0, err
    assert keys(out) == decisions
    assert "900 samples (0 unusable, 0 pauses, 0 clock jumps), 4 decisions, 0 windows dropped" in err
    document = documents(out)[0]
    assert document["probability"] == document["probabilities"][document["label"]]
    assert document["latency_ms"] > 0
    assert set(document["stages_us"]) == {
        "statistical features",
        "topological features",
        "model",
        "smoothing",
    }


def test_a_recording_in_another_form(cli, model, tmp_path):
    samples, stamps, decisions = expected()
    write_recording(tmp_path / "r.csv", recording_of(samples, stamps))
    text = (tmp_path / "r.csv").read_text().replace(",", ";")
    (tmp_path / "r.csv").write_text("made by a device\n" + text)
    status, out, err = cli(
        model, "--from", tmp_path / "r.csv", "--speed", "max", "--json", "--skip-rows", 1, "--delimiter", ";"
    )
    assert status == 0, err
    assert keys(out) == decisions


def test_a_recording_on_its_schedule(cli, model, tmp_path):
    samples, stamps, decisions = expected(3.0)
    write_recording(tmp_path / "r.csv", recording_of(samples, stamps))
    status, out, err = cli(
        model, "--from", tmp_path / "r.csv", "--speed", "20", "--json", "--smoothing", "lag:1"
    )
    assert status == 0, err
    assert keys(out) == decisions
    assert re.search(r"1 decisions, \d later than 0.1 s", err)


def test_another_hop_and_the_view(cli, model, tmp_path):
    samples, stamps, _ = expected()
    write_recording(tmp_path / "r.csv", recording_of(samples, stamps))
    status, out, err = cli(model, "--from", tmp_path / "r.csv", "--speed", "max", "--hop", "0.5")
    assert status == 0, err
    for text in ("running", "sitting", "walking", "900 samples, 15 decisions", "latency   p50"):
        assert text in out
    assert "15 decisions" in err


def test_lines_on_standard_input(cli, model, piped):
    samples, stamps, decisions = expected()
    piped("t,x,y,z\n" + lines_of(samples, stamps))
    status, out, err = cli(model, "--json", "--time-unit", "ns")
    assert status == 0, err
    assert keys(out) == decisions
    assert err.startswith("standard input: ")


@pytest.mark.spawns
def test_lines_take_little_memory(model):
    """Below the 128 MB of a small target: tables, compilers and torch are not loaded."""
    code = """
import sys
from pathlib import Path
from patchtst_har.cli import main
sys.argv = ["patchtst-har", "stream", *sys.argv[1:]]
try:
    main()
finally:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    imported = {"torch", "numba", "pandas", "pyarrow", "scipy", "sklearn"} & set(sys.modules)
    print(int(status["VmHWM"].split()[0]), *sorted(imported), file=sys.stderr)
"""
    samples, stamps = make_samples(9.0)
    command = [sys.executable, "-W", "error", "-c", code, model, "--json", "--time-unit", "ns"]
    result = subprocess.run(
        command, input=lines_of(samples, stamps), capture_output=True, text=True, check=True
    )
    assert documents(result.stdout)
    peak_kb, *imported = result.stderr.splitlines()[-1].split()
    assert imported == []
    assert int(peak_kb) < 128_000


def test_iso_stamps_zones_and_units(cli, model, piped):
    samples, stamps, decisions = expected()
    rows = zip(np.datetime_as_string(stamps.astype("datetime64[ns]"), unit="us"), samples * 1000, strict=True)
    piped("".join(f"{t}+00:00,{x:.9g},{y:.9g},{z:.9g}\r\n" for t, (x, y, z) in rows))
    status, out, err = cli(model, "--json", "--units", "mg")
    assert status == 0, err
    assert [document["start_ns"] for document in documents(out)] == [start for start, _ in decisions]


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        ("1,0.1,0.2\n", ("--time-unit", "s"), "line 1: needs t,x,y,z, has 3 fields"),
        ("1,0,0,1\n2,a,0,1\n", ("--time-unit", "s"), "line 2: x is 'a', not a number"),
        ("1,0,0,1\nnow,0,0,1\n", ("--time-unit", "s"), "line 2: t is 'now', not a number"),
        ("inf,0,0,1\n", ("--time-unit", "s"), "line 1: t is 'inf', not a number"),
        ("12.5,0,0,1\n", (), "name its unit with --time-unit"),
        ("20240101,0,0,1\n", (), "line 1: t is the number 20240101: name its unit with --time-unit"),
        ("noon,0,0,1\n", (), "line 1: t is 'noon', not an ISO 8601 time"),
        (
            "2024-01-01T00:00:00Z,0,0,1\n2024-01-01,0,0,1\n",
            (),
            "line 2: only some of the stamps carry a zone",
        ),
        ("x" * 5000, (), "line 1: longer than 4096 characters"),
        ("9" * 30 + ",0,0,1\n", ("--time-unit", "s"), "not within 145 years of 1970"),
    ],
)
@pytest.mark.slow
def test_a_bad_line_is_named(cli, model, piped, lines, options, message):
    piped(lines)
    status, out, err = cli(model, "--json", *options)
    assert status == 2
    assert out == ""
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize("smoothing", ["filter", "lag:1"])
@pytest.mark.parametrize("bad", ["-9223372036854775807,0.1,0.2,0.9", "what,0,0,1"])
@pytest.mark.slow
def test_a_bad_line_loses_no_decision_before_it(cli, model, piped, bad, smoothing):
    samples, stamps, _ = expected()
    stream = small_recognizer().stream(smoothing=smoothing)
    decisions = stream.push(samples, stamps) + stream.finish()
    piped(lines_of(samples, stamps) + bad + "\n" + lines_of(samples, stamps + 10**10))
    status, out, _ = cli(model, "--json", "--time-unit", "ns", "--smoothing", smoothing)
    assert status == 2
    assert keys(out) == [(d.start_ns, d.label) for d in decisions]


def test_bad_lines_can_be_skipped(cli, model, piped):
    samples, stamps, decisions = expected()
    lines = lines_of(samples, stamps).splitlines(keepends=True)
    bad = ("garbage", "9" * 29 + ",0,0,1", "9000000000000000000,0,0,1", "-9000000000000000000,0,0,1")
    piped("".join(line + (f"{bad[n % 4]}\n" if n % 99 == 7 else "\n") for n, line in enumerate(lines)))
    status, out, err = cli(model, "--json", "--time-unit", "ns", "--skip-bad")
    assert status == 0, err
    assert keys(out) == decisions
    assert "10 bad lines skipped" in err


def test_a_tcp_source(cli, model):
    samples, stamps, decisions = expected()
    data = lines_of(samples, stamps).encode()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def send():
            connection, _ = server.accept()
            with connection:
                for first in range(0, len(data), 1013):
                    connection.sendall(data[first : first + 1013])

        sender = threading.Thread(target=send)
        sender.start()
        port = server.getsockname()[1]
        status, out, err = cli(model, "--from", f"tcp://127.0.0.1:{port}", "--json", "--time-unit", "ns")
        sender.join()
    assert status == 0, err
    assert keys(out) == decisions


@pytest.mark.parametrize("cut", ["1", "170000", "1700000000000000000,0.1,0.", "1700000000000000000,0.1,-"])
def test_a_connection_cut_within_a_line_ends_with_the_last_decisions(cli, model, cut):
    samples, stamps, decisions = expected()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def send():
            connection, _ = server.accept()
            with connection:
                connection.sendall((lines_of(samples, stamps) + cut).encode())

        sender = threading.Thread(target=send)
        sender.start()
        port = server.getsockname()[1]
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            status, out, err = cli(model, "--from", f"tcp://127.0.0.1:{port}", "--json", "--time-unit", "ns")
        sender.join()
    assert status == 0, err
    assert keys(out) == decisions
    assert "line 901" in err
    assert "the line is left out" in err
    assert "4 decisions" in err


def still_lines(scale, n=1200):
    """Return lines of a sensor at rest, in a unit of which `scale` is 1 g."""
    noise = np.random.default_rng(0).normal(0, 0.001, (n, 3))
    rows = (noise + np.array([0.0, 0.6, 0.8])) * scale
    return "".join(f"{number * 10},{x:.6g},{y:.6g},{z:.6g}\n" for number, (x, y, z) in enumerate(rows))


@pytest.mark.parametrize(("scale", "unit"), [(9.80665, "m/s2"), (1000.0, "mg")])
def test_another_unit_is_refused_before_the_first_decision(cli, model, piped, scale, unit):
    piped(still_lines(scale))
    status, out, err = cli(model, "--json", "--time-unit", "ms")
    assert status == 2
    assert out == ""
    assert f"standard input: the magnitude at rest is {scale:.3g} g" in err
    assert f"--units {unit}" in err
    piped(still_lines(scale))
    status, out, err = cli(model, "--json", "--time-unit", "ms", "--units", unit)
    assert status == 0, err
    assert len(documents(out)) == 6
    assert "warning" not in err


def test_a_named_unit_is_believed_with_a_warning(cli, model, piped):
    piped(still_lines(9.80665))
    status, out, err = cli(model, "--json", "--time-unit", "ms", "--units", "g")
    assert status == 0, err
    assert documents(out)
    assert err.count("the values look like 'm/s2'") == 1


def test_a_slow_source_is_said_once(cli, model, piped):
    lines = still_lines(1.0).splitlines(keepends=True)
    piped("".join(lines[::5]))
    status, _, err = cli(model, "--json", "--time-unit", "ms")
    assert status == 0, err
    assert err.count("20 samples per second, the model has windows of 100 Hz") == 1


def test_a_stream_of_markers_says_why_nothing_is_decided(cli, model, piped):
    piped("".join(f"{n * 10},3e38,3e38,3e38\n" for n in range(600)))
    status, out, err = cli(model, "--json", "--time-unit", "ms")
    assert status == 0, err
    assert out == ""
    assert "600 samples (600 unusable" in err
    assert "no decision; of 600 samples, unusable are 600 beyond 50 g" in err


def test_markers_are_gaps_as_in_a_recording(cli, model, piped):
    samples, stamps, _ = expected()
    samples = samples.copy()
    samples[300:500] = 3.4e38
    recognizer = small_recognizer()
    assert len(recognizer.label_recording(recording_of(samples, stamps)).timeline) == 3
    piped(lines_of(samples, stamps))
    status, out, err = cli(model, "--json", "--time-unit", "ns", "--smoothing", "none")
    assert status == 0, err
    assert [d["start_ns"] for d in documents(out)] == [int(stamps[first]) for first in (0, 500, 700)]
    assert all(np.isfinite(list(d["probabilities"].values())).all() for d in documents(out))


def test_a_udp_source(cli, model):
    samples, stamps, decisions = expected()
    lines = lines_of(samples, stamps).splitlines()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stop = threading.Event()

    def send():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect(("127.0.0.1", port))
            while not stop.is_set():
                try:
                    # Blank lines are nothing; once one gets through, somebody listens.
                    sender.send(b"\n")
                    stop.wait(0.02)
                    sender.send(b"\n")
                    break
                except ConnectionRefusedError:
                    stop.wait(0.05)
            for first in range(0, len(lines), 30):
                sender.send("\n".join(lines[first : first + 30]).encode())
            sender.send(b"")

    thread = threading.Thread(target=send)
    thread.start()
    try:
        status, out, err = cli(model, "--from", f"udp://127.0.0.1:{port}", "--json", "--time-unit", "ns")
    finally:
        stop.set()
        thread.join()
    assert status == 0, err
    assert keys(out) == decisions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--from", "tcp://127.0.0.1:1"), "no connection"),
        (("--from", "tcp://127.0.0.1"), "needs the form tcp://HOST:PORT"),
        (("--from", "tcp://127.0.0.1:99999"), "out of range"),
        (("--from", "udp://0.0.0.0:5000"), "only taken from this machine"),
        (("--from", "udp://example:5000"), "'example' is not an address"),
        (("--from", "http://127.0.0.1:80"), "must be -, tcp://HOST:PORT"),
        (("--from", "missing.csv"), "missing.csv"),
        (("--speed", "fast"), "--speed: must be a positive number or max"),
        (("--serve", "everywhere"), "--serve everywhere: needs the form [HOST:]PORT"),
        (("--speed", "0"), "--speed: must be a positive number or max"),
        (("--hop", "0.001"), "hop_s: needs a whole number of samples"),
        (("--smoothing", "viterbi"), "smoothing: must be filter"),
        (("--sort", "--skip-rows", "3"), "standard input: skip_rows, on_disorder: only for recordings"),
    ],
)
@pytest.mark.slow
def test_wrong_options_are_one_line(cli, model, options, message):
    status, out, err = cli(model, *options)
    assert status == 2
    assert message in err
    assert "Traceback" not in err
    assert out == ""


@pytest.mark.slow
def test_the_live_page_is_served_meanwhile(cli, model, tmp_path):
    pytest.importorskip("uvicorn")
    samples, stamps, decisions = expected()
    write_recording(tmp_path / "r.csv", recording_of(samples, stamps))
    options = ("--from", tmp_path / "r.csv", "--speed", "max", "--json", "--serve", "0")
    status, out, err = cli(model, *options)
    assert status == 0, err
    assert keys(out) == decisions
    assert re.search(r"live page: http://127\.0\.0\.1:\d+/\n", err)
    status, _, err = cli(model, *options[:-1], "0.0.0.0:0", "--token", "secret")
    assert status == 0, err
    assert re.search(r"live page: http://0\.0\.0\.0:\d+/\?token=secret\n", err)


@pytest.mark.spawns
@pytest.mark.parametrize("option", ["--keep-page", None])
def test_the_live_page_stays_after_a_replay_until_ctrl_c(model, tmp_path, option):
    """Where standard output is a terminal, or if asked for; a script's command ends with the stream."""
    pytest.importorskip("uvicorn")
    samples, stamps, _ = expected()
    write_recording(tmp_path / "r.csv", recording_of(samples, stamps))
    command = [sys.executable, "-c", "from patchtst_har.cli import main; main()", "stream", model]
    command += ["--from", tmp_path / "r.csv", "--speed", "max", "--serve", "0", "--json"]
    command += [option] if option else []
    # A pseudo-terminal stands for a person's; four lines fit into it unread.
    ours, theirs = pty.openpty()
    outputs = {"stdout": subprocess.DEVNULL if option else theirs, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **outputs) as process, contextlib.ExitStack() as ended:
        ended.callback(process.kill)
        os.close(theirs)
        lines = iter(process.stderr.readline, "")
        url = re.search(r"stays until Ctrl-C: (\S+)", next(line for line in lines if "stays until" in line))[
            1
        ]
        for _ in range(2):
            with urllib.request.urlopen(url + "events", timeout=10) as response:  # noqa: S310 - ours
                text = response.read().decode()
            assert "4 decisions" in text
            assert text.rstrip().endswith("event: end\ndata: {}")
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        os.close(ours)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_model_that_uses_the_hour_asks_for_the_zone(cli, piped, tmp_path):
    model = small_recognizer(n_time_features=5).save_pretrained(tmp_path / "model")
    lines = "2024-01-01T00:00:00Z,0,0,1\n"
    piped(lines)
    status, _, err = cli(model, "--json")
    assert status == 2
    assert "name the wearers' zone in data.timezone" in err
    piped(lines)
    status, _, err = cli(model, "--json", "--timezone", "Europe/Berlin")
    assert status == 0, err


@pytest.mark.spawns
@pytest.mark.parametrize(("number", "status"), [("SIGINT", 0), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_with_what_was_still_to_be_decided(model, number, status):
    samples, stamps, decisions = expected()
    command = [SCRIPT, "stream", model, "--json", "--time-unit", "ns", "--smoothing", "lag:1"]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, **pipes, env=os.environ) as process, contextlib.ExitStack() as ended:
        ended.callback(process.kill)
        process.stdin.write(lines_of(samples, stamps).encode())
        process.stdin.flush()
        seen = [process.stdout.readline() for _ in range(3)]
        process.send_signal(getattr(signal, number))
        out, err = process.communicate(timeout=30)
    assert process.returncode == status, err
    lines = b"".join(seen) + out
    assert [start for start, _ in keys(lines.decode())] == [start for start, _ in decisions]
    assert b"4 decisions" in err
    assert b"Traceback" not in err
