"""The fuzzed readers read their seeds, and what must count as a finding does. Needs no fuzzer."""

from __future__ import annotations

import gc
import logging
import random
import subprocess
import warnings
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from fuzz import __main__ as program
from fuzz import choices, frame
from fuzz.targets import TARGETS
from patchtst_har.errors import DataError, PatchTSTHARError


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Let readers warn in the log as often as they like."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.slow
def test_a_target_reads_its_first_seed_and_stands_some_others(name: str) -> None:
    target = TARGETS[name]
    seeds = frame.ready(target)
    assert len(seeds) >= 2
    assert frame.judge(target, seeds[0]) is None
    rng = random.Random(name)  # noqa: S311
    for data in [*seeds[1:4], *(b"\1" + rng.randbytes(30) for _ in range(4)), b"", b"\0"]:
        refused = frame.judge(target, data)
        assert refused is None or isinstance(refused, PatchTSTHARError)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.slow
def test_an_error_is_freed_when_it_has_been_handled(name: str) -> None:
    target = TARGETS[name]
    inputs = [*frame.ready(target), *choices.by_choice(40)]

    def kept() -> int:
        for data in inputs:
            frame.judge(target, data)
        gc.collect()
        return sum(issubclass(type(thing), BaseException) for thing in gc.get_objects())

    assert kept() >= kept()


def target_of(run) -> frame.Target:
    return frame.Target("x", lambda: [b""], run)


def test_a_documented_error_is_no_finding() -> None:
    def run(data: bytes) -> None:
        raise DataError("a.csv: line 1: not a number")

    assert str(frame.judge(target_of(run), b"")) == "a.csv: line 1: not a number"


def test_another_error_is_a_finding() -> None:
    def run(data: bytes) -> None:
        raise KeyError("time")

    with pytest.raises(KeyError):
        frame.judge(target_of(run), b"")


@pytest.mark.parametrize("text", ["", "two\nlines", "x" * 10_000])
def test_an_error_of_no_line_or_a_long_one_is_a_finding(text: str) -> None:
    class UnboundedError(DataError):
        """Shown without what the base class does to a text."""

        def __str__(self) -> str:
            return text

    def run(data: bytes) -> None:
        raise UnboundedError

    with pytest.raises(frame.Finding, match="not one line"):
        frame.judge(target_of(run), b"")


def test_a_warning_that_is_not_the_packages_is_a_finding() -> None:
    def run(data: bytes) -> None:
        warnings.warn("invalid value encountered in cast", RuntimeWarning, stacklevel=1)

    with pytest.raises(frame.Finding, match="RuntimeWarning: invalid value"):
        frame.judge(target_of(run), b"")


def test_a_small_input_that_takes_long_or_much_memory_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(data: bytes) -> None:
        sum(range(1000))

    def take(data: bytes, mb: float) -> PatchTSTHARError | None:
        monkeypatch.setattr(frame, "_peak_mb", iter([0.0, mb]).__next__)
        return frame.judge(target_of(run), data)

    assert take(b"", frame.MOST_MB - 1) is None
    assert take(bytes(frame.SMALL_BYTES + 1), frame.MOST_MB + 1) is None
    with pytest.raises(frame.Finding, match="0 bytes took"):
        take(b"", frame.MOST_MB + 1)
    monkeypatch.setattr(frame, "MOST_S", -1.0)
    with pytest.raises(frame.Finding, match="0 bytes took"):
        take(b"", 0.0)


def test_findings_of_one_cause_are_kept_once_by_their_smallest_input(tmp_path) -> None:
    findings = frame.Findings(tmp_path / "findings")
    for data in (b"long", b"no", b"longer"):
        try:
            raise KeyError("time")
        except KeyError as error:
            findings.add(data, error)
    kept, text = sorted(findings.folder.iterdir())
    assert kept.read_bytes() == b"no"
    assert "KeyError: 'time'" in text.read_text()


@pytest.mark.parametrize(("statuses", "found"), [((0, 0, 0), "none"), ((0, 77, 0), "a process ended")])
def test_a_process_that_ends_badly_is_told_though_others_follow(statuses, found, tmp_path, monkeypatch):
    ends, clock = iter(statuses), iter([0.0, 0.0, 300.0, 600.0, 900.0])

    def run(command, *, stdout, **how):
        stdout.write("#12\tDONE   cov: 5 ft: 6\n")
        stdout.flush()
        return subprocess.CompletedProcess(command, next(ends))

    monkeypatch.setattr(program, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(program, "subprocess", SimpleNamespace(run=run))
    assert program.fuzz_apart("csv", 900, tmp_path, 1).row().endswith(f"| 36 | 5 | 5 | {found} |")


def test_choices_that_end_are_the_first_ones() -> None:
    given = choices.Choices(b"\3")
    assert [given.below(4), given.below(4), given.one_of("ab"), given.whole()] == [3, 0, "a", 0]
    document = {"a": [1, {"b": "c"}]}
    assert choices.changed_document(document, choices.Choices(b"")) == document
    assert choices.changed_bytes(b"abc", choices.Choices(b"")) == b"abc"
    assert choices.changed_list([1, 2], choices.Choices(b"")) == [1, 2]
    rng = random.Random(0)  # noqa: S311
    changed = [choices.changed_document(document, choices.Choices(rng.randbytes(30))) for _ in range(50)]
    assert sum(other != document for other in changed) > 20
    assert document == {"a": [1, {"b": "c"}]}
