"""Where live samples come from: damaged lines, and a source that is not there."""

import sys

import pytest

from patchtst_har.errors import DataError
from patchtst_har.realtime.sample_lines import LineParser
from patchtst_har.realtime.sources import standard_input


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


def test_a_closed_standard_input_is_named(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match="standard input: is closed"):
        standard_input().__enter__()
