"""Where live samples come from: damaged lines, and a source that is not there."""

import errno
import os
import socket
import sys

import pytest

from patchtst_har.data.units import MOST_G, SignalWarning
from patchtst_har.errors import DataError
from patchtst_har.realtime import sources
from patchtst_har.realtime.sample_lines import LineParser
from patchtst_har.realtime.sources import sample_batches, standard_input, udp_server


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("1_0,0.1,0.2,0.9", "t is '1_0'"),
        ("10,1_0,0.2,0.9", "x is '1_0'"),
        ("\uff11\uff10,0.1,0.2,0.9", "t is "),
    ],
)
def test_what_only_python_reads_as_a_number_is_refused(line, field):
    with pytest.raises(DataError, match=f"source: line 1: {field}.*, not a number"):
        LineParser("source", "ms").parse(line)
    parser = LineParser("source", "ms", skip_bad=True)
    assert parser.parse(line) is None
    assert parser.n_bad == 1


def samples_of(parser, *chunks):
    batches = sample_batches(parser, iter([*chunks, b""]).__next__)
    return [batch for batch in batches if batch.samples is not None]


@pytest.mark.parametrize("end", [b"1" * 9000 + b"\n", b"1" * 9000 + b"\n20,0,0,1\n", b"1\n20,0,0,1"])
def test_a_line_without_end_is_refused_or_skipped(end):
    chunks = b"10,0,0,1\n" + b"1" * 9000, None, b"1" * 9000, end
    with pytest.raises(DataError, match="source: line 2: longer than 4096 characters"):
        samples_of(LineParser("source", "ms"), *chunks)
    parser = LineParser("source", "ms", skip_bad=True)
    samples_of(parser, *chunks)
    assert (parser.n_bad, parser.n_samples) == (1, 1 + (b"20" in end))


def test_a_byte_order_mark_is_passed_over():
    assert LineParser("source", "ms").parse("\ufeff10,0,0,1") == ((0.0, 0.0, 1.0), 10_000_000)
    assert LineParser("source", "ms").parse("\ufefftime,x,y,z") is None


@pytest.mark.parametrize("line", ["10,-9999,-9999,-9999", "10,100,-32768,900", "10,32767,100,900"])
def test_a_marker_of_a_missing_value_stays_beyond_what_is_usable(line):
    sample, _ = LineParser("source", "ms", "mg").parse(line)
    assert max(map(abs, sample)) > MOST_G


def test_a_port_that_is_taken_is_named():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"udp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(DataError, match=f"{address}: cannot listen \\(Address already in use\\)"):
            udp_server(address).__enter__()


class Connection:
    """A socket of which each receipt ends in the next of some errors."""

    def __init__(self, *errors):
        self.errors = iter(errors)

    def recv(self, n_bytes):
        raise next(self.errors)


def test_a_silent_source_is_waited_for_and_one_that_is_gone_is_at_its_end():
    gone = TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
    receive = sources._receiver(Connection(TimeoutError("timed out"), gone, ConnectionResetError()))
    assert [receive(), receive(), receive()] == [None, b"", b""]


def test_a_first_line_that_is_cut_off_is_an_error_and_a_later_one_a_warning():
    with pytest.raises(DataError, match="source: line 1: "):
        samples_of(LineParser("source", "ms"), b"10,0,0")
    with pytest.warns(SignalWarning, match="line 2: .*; the source was cut off there, the line is left out"):
        assert len(samples_of(LineParser("source", "ms"), b"10,0,0,1\n20,0,0")) == 1


def test_a_closed_standard_input_is_named(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match="standard input: is closed"):
        standard_input().__enter__()
