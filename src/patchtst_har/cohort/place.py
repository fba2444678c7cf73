"""The output folder while a run writes into it: one run at a time, no left-overs, a line per recording."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from patchtst_har.cohort.settings import SHARDS
from patchtst_har.errors import DataError
from patchtst_har.support.files import clean_orphans, ensure_folder
from patchtst_har.support.folders import folder_lock, is_held

TIMINGS_FILE = "timings.csv"

_JOURNAL = ("recording", "seconds", "cpu_seconds", "error", "ended")


@contextmanager
def held_place(out_dir: Path, shard: tuple[int, int] | None) -> Iterator[Path]:
    """Hold the output folder, or a shard's place in it; yield where failures and timings are written."""
    ensure_folder(out_dir)
    shards = out_dir / SHARDS
    if shard is None:
        with folder_lock(out_dir):
            running = next((path for path in sorted(shards.glob("*")) if is_held(path)), None)
            if running is not None:
                raise DataError(f"{out_dir}: shard {running.name} is being labelled; wait for it")
            yield out_dir
        return
    number, total = shard
    place = shards / f"{number}-of-{total}"
    with folder_lock(place):
        if is_held(out_dir):
            raise DataError(f"{out_dir}: is being written by a run of all recordings; wait for it")
        yield place


@contextmanager
def without_temporaries(out_dir: Path) -> Iterator[None]:
    """Remove what processes that were killed left, before and after."""
    _clean(out_dir)
    try:
        yield
    finally:
        _clean(out_dir)


def _clean(out_dir: Path) -> None:
    for folder, _, _ in os.walk(out_dir):
        clean_orphans(Path(folder))


@contextmanager
def journal(path: Path) -> Iterator[csv.DictWriter[str]]:
    """Yield what adds a line for each recording to a table that outlives the run, and every kill."""
    with path.open("a+", encoding="utf-8", newline="", buffering=1) as file:
        end = file.tell()
        if end:
            file.seek(end - 1)
            if file.read(1) != "\n":
                file.write("\n")
        journal = csv.DictWriter(file, _JOURNAL, lineterminator="\n")
        if not end:
            journal.writeheader()
        yield journal
