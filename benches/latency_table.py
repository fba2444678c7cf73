"""Write the table of docs/latency.md from the folder of what `make latency-table` measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from patchtst_har.errors import DataError
from patchtst_har.records.feasibility import FeasibilityRecord
from patchtst_har.records.measurement import Percentiles
from patchtst_har.records.reading import read_record
from patchtst_har.support.files import atomic_write_text
from patchtst_har.support.formatting import counted
from revisions import ROOT

PAGE = ROOT / "docs" / "latency.md"
BEGIN, END = "<!-- table: written by `make latency-table` -->\n", "<!-- table: end -->\n"
LEVELS = ("p50", "p95", "p99", "p99_9", "max")
HEAD = "| what | n | p50 | p95 | p99 | p99.9 | max | by |\n|---|---|---|---|---|---|---|---|\n"

Row = tuple[str, Percentiles, str]


def of_the_benchmark(record: FeasibilityRecord) -> Iterator[Row]:
    """Yield loops, stages (on the last workload: the recording) and single pushes."""
    cpu, loop = record.devices.cpu, record.devices.cpu.open_loop
    for name, workload in cpu.workloads.items():
        yield f"closed loop, {name}", workload.closed_loop.end_to_end, "A"
        if workload.rested:
            yield (
                f"after {workload.rested.rest_s:g} s of rest (cold cache), {name}",
                workload.rested.times,
                "A",
            )
    *stages, _ = cpu.workloads[name].closed_loop.parts().items()
    yield from ((f"of the closed loop, {name}: {stage}", times, "A") for stage, times in stages)
    yield f"open loop, {loop.n_streams:,} streams, {loop.workload}", loop.from_schedule, "A"
    yield "push of a sample that completes no window", cpu.push_one_sample, "A"


def of_the_others(folder: Path) -> Iterator[Row]:
    """Yield live streams, streams on a share of a core, and calls in a row."""
    for file, what, by in (
        ("live", "live, at its own pace", "B"),
        ("replay", "replayed 200 times as fast", "C"),
    ):
        lines = (folder / f"{file}.jsonl").read_text(encoding="utf-8").splitlines()
        yield what, Percentiles.of(np.array([json.loads(line)["latency_ms"] * 1e6 for line in lines])), by
    for run in json.loads((folder / "small.txt").read_text(encoding="utf-8").splitlines()[-1])["runs"]:
        share = "whole core" if run["share"] is None else f"{100 * run['share']:g} % of a core"
        yield f"{share}, a decision every {run['deadline_s']:g} s", Percentiles(**run["latency"]), "D"
    for row in json.loads((folder / "bench.json").read_text(encoding="utf-8"))["benchmarks"]:
        of_an_item_ns = np.array(row["stats"]["data"]) * 1e9 / row["extra_info"]["per_round"]
        yield f"in a row: {row['name'].removeprefix('test_')}", Percentiles.of(of_an_item_ns), "E"


def text_of(folder: Path) -> str:
    """Return the host, the table, and what else the benchmark measured."""
    record = read_record(folder / "feasibility.json", FeasibilityRecord)
    if record is None:
        raise DataError(f"{folder}: has no feasibility.json; `make latency-table` measures")
    cpu, host = record.devices.cpu, record.host
    text = f"{host['cpu']}, {host['isa']}, {host['n_cores']} cores, {record.created_utc[:10]}.\n\n{HEAD}"
    for what, times, by in (*of_the_benchmark(record), *of_the_others(folder)):
        values = [times.value(level) for level in LEVELS]
        shown = ["n/a" if us is None else f"{us:,.0f}" if us >= 1e3 else f"{us:.3g}" for us in values]
        text += f"| {' | '.join([what, f'{times.n:,}', *shown, by])} |\n"
    also = [f"the open loop spent {100 * cpu.open_loop.utilisation:.0f} % of its time working"]
    if cpu.capacity and cpu.capacity.p99_us_there:
        p99_ms = cpu.capacity.p99_us_there / 1e3
        also.append(f"a core carried {cpu.capacity.max_streams:,} streams (p99 {p99_ms:,.3g} ms)")
    if cpu.cold_start:
        seconds = f"{cpu.cold_start.import_s:.2g} s, the whole process {cpu.cold_start.process_s:.2g} s"
        also.append(f"cold start: import {seconds}, first decision {cpu.cold_start.first_decision_us:.0f} µs")
    for one in cpu.memory.of_streams:
        streams = counted(one.n_streams, "stream", "streams")
        also.append(f"peak memory with {streams} {one.peak_rss_mb:.0f} MiB")
    return f"{text}\nAlso measured by A: {'; '.join(also)}.\n"


def main(folder: str) -> None:
    """Put the text between its marks in the page."""
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    atomic_write_text(PAGE, f"{before}{begin}{text_of(Path(folder))}{END}{after}")


if __name__ == "__main__":
    main(*sys.argv[1:])
