"""What a target is, and what counts as a finding: needs no fuzzer, so tests run it on the seeds."""

from __future__ import annotations

import os
import resource
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from patchtst_har.data.units import SignalWarning
from patchtst_har.errors import PatchTSTHARError

MOST_S = 2.0
"""Of processor time, for an input of at most `SMALL_BYTES`."""
MOST_MB = 300
SMALL_BYTES = 2**16
_MOST_MESSAGE = 5000
_MOST_WARNINGS = 20


@dataclass(frozen=True)
class Target:
    """A reader under test."""

    reads: str
    """What it reads, in words."""
    seeds: Callable[[], list[bytes]]
    """Inputs to begin with, the first of which is read without an error."""
    run: Callable[[bytes], object]
    """Reads an input as a user would have it read, and uses what was read."""


class Finding(Exception):  # noqa: N818 - what it is called here
    """Something that the documentation does not allow, though nothing else was raised."""


def judge(target: Target, data: bytes) -> PatchTSTHARError | None:
    """Run a target on one input; return the documented error with which it was refused, if it was.

    Raises
    ------
    Finding
        If the error's text is not one line, warnings do not end or are not the package's own, or time or
        memory are out of proportion.
    Exception
        Any other error of the reader, as it is.
    """
    refused = None
    memory_mb, began_s = _peak_mb(), time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            target.run(data)
        except PatchTSTHARError as error:
            refused = error
    _check_text(refused)
    _check_warnings(caught)
    taken_s, taken_mb = time.process_time() - began_s, _peak_mb() - memory_mb
    if len(data) <= SMALL_BYTES and (taken_s > MOST_S or taken_mb > MOST_MB):
        raise Finding(f"{len(data)} bytes took {taken_s:.1f} s and {taken_mb:.0f} MB")
    return refused


def ready(target: Target) -> list[bytes]:
    """Return the seeds of a target; what its first use imports and makes does not count as an input's."""
    seeds = target.seeds()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        target.run(seeds[0])
    return seeds


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _check_text(error: PatchTSTHARError | None) -> None:
    text = str(error)
    if not text or len(text.splitlines()) > 1 or len(text) > _MOST_MESSAGE:
        raise Finding(f"the error is not one line: {text[:200]!r}")


def _check_warnings(caught: list[warnings.WarningMessage]) -> None:
    for warning in caught:
        if not issubclass(warning.category, SignalWarning):
            raise Finding(f"{warning.category.__name__}: {warning.message} ({warning.filename})")
    if len(caught) > _MOST_WARNINGS:
        raise Finding(f"{len(caught)} warnings, the first: {caught[0].message}")


def signature(error: BaseException) -> str:
    """Return a name that findings of one cause share: the kind of error and the package's last line."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "patchtst_har" in Path(frame.filename).parts] or frames
    place = f"{Path(own[-1].filename).stem}-{own[-1].lineno}"
    words = str(error).split()[:1] if isinstance(error, Finding) else []
    return "-".join([type(error).__name__, *words, place]).replace(":", "").replace("/", "")


@dataclass
class Findings:
    """Keeps the smallest input of each kind of finding in a folder, with its traceback."""

    folder: Path

    def add(self, data: bytes, error: BaseException) -> None:
        """Keep a finding, unless a smaller one of its kind is there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / signature(error)
        if path.exists() and path.stat().st_size <= len(data):
            return
        path.write_bytes(data)
        path.with_name(f"{path.name}.txt").write_text("".join(traceback.format_exception(error)))


@cache
def place() -> Path:
    """Return the folder, of this process alone, in which files for the readers are written."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    holder = tempfile.TemporaryDirectory(prefix="patchtst-har-fuzz-", dir=memory)
    _HOLDERS.append(holder)
    return Path(holder.name)


_HOLDERS: list[tempfile.TemporaryDirectory[str]] = []


def file_of(name: str, content: bytes) -> Path:
    """Write a file for a reader and return its path."""
    path = place() / name
    path.write_bytes(content)
    return path
