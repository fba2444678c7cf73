"""Compare the working tree with a stored run of the benchmarks or with a git revision.

    python benches/compare.py benches/results/1a2b3c4.json
    python benches/compare.py main --pairs 6 -- -k statistics

A file is compared with a fresh run (or with --here FILE). A revision and the working tree are built side by
side, and both run the benchmarks of the working tree in turn. The exit status is 0 whatever was found, 1 with
--fail if a benchmark is slower beyond the noise, 2 if there is no comparison.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from patchtst_har.benchmark.changes import THRESHOLD, find_changes
from patchtst_har.errors import DataError
from patchtst_har.records.feasibility import Change
from revisions import ROOT, commit_of, install_commit, install_here, run_benchmarks
from runs import COMPARED, Run, in_common, paired_repeats, paired_runs, read_run

REPORTED = ("slower", "faster")
# What runs in turn differs in less than what was stored.
THRESHOLD_IN_TURN = 0.01

Pairs = list[tuple[Run, Run]]


def with_file(arguments: argparse.Namespace, console: Console) -> tuple[Pairs, tuple[Change, ...]]:
    """Compare a stored run with another one, or a fresh one."""
    base = read_run(Path(arguments.base))
    path = arguments.here
    if path is None:
        console.print(f"Running the benchmarks, {len(base.benchmarks)} in {arguments.base}")
        path = run_benchmarks(sys.executable, ROOT / "benches/results/compared.json", arguments.pytest)
    here = read_run(path)
    for line in differing_facts(base, here):
        console.print(f"[yellow]{line}", highlight=False)
    return [(base, here)], find_changes(paired_runs(base, here), THRESHOLD)


def with_revision(arguments: argparse.Namespace, console: Console) -> tuple[Pairs, tuple[Change, ...]]:
    """Build a revision and the working tree; run them in turn, each first in every other pair."""
    commit = commit_of(arguments.base)
    console.print(f"Building {commit[:12]} and the working tree")
    pythons = {"base": install_commit(commit), "here": install_here()}
    options = [f"--rounds-factor={arguments.rounds_factor}", *arguments.pytest]
    pairs = []
    for number in range(arguments.pairs):
        runs = {}
        for side in ("base", "here") if number % 2 == 0 else ("here", "base"):
            console.print(f"Pair {number + 1} of {arguments.pairs}: {side}")
            result = ROOT / "build" / "bench-compare" / f"{side}-{number}.json"
            # A benchmark of something that the base does not have fails there, and is left out.
            runs[side] = read_run(run_benchmarks(pythons[side], result, options, may_fail=side == "base"))
        pairs.append((runs["base"], runs["here"]))
    return pairs, find_changes(paired_repeats(pairs), THRESHOLD_IN_TURN)


def differing_facts(base: Run, here: Run) -> Iterator[str]:
    """Yield a line for every fact about the machine in which the runs differ."""
    for name in {**base.host, **here.host}:
        if base.host.get(name) != here.host.get(name):
            yield f"{name}: {base.host.get(name)} in base, {here.host.get(name)} here"


def changes_table(pairs: Pairs, changes: Sequence[Change]) -> Table:
    """Return a table, a benchmark a row."""
    table = Table(title="here to base; above 1 is slower")
    table.add_column("benchmark", overflow="fold")
    for name in ("base p50 µs", "here p50 µs", "p50 at equal speed", "p95 at equal speed", ""):
        table.add_column(name, justify="right")
    found = {(change.name, change.percentile): change for change in changes}
    for name in in_common([run for pair in pairs for run in pair]):
        medians = np.median([[run.benchmarks[name].p50_us for run in pair] for pair in pairs], axis=0)
        own = [found.get((name, percentile)) for percentile in COMPARED]
        table.add_row(
            Text(name.removeprefix("benches/bench_")),
            *(f"{median:,.2f}" for median in medians),
            *map(_cell, own),
            ", ".join(f"{one.percentile} {one.outcome}" for one in own if one and one.outcome in REPORTED),
        )
    return table


def _cell(change: Change | None) -> str:
    if change is None:
        return "n/a"
    known = change.low is not None and change.high is not None
    if known and change.outcome in (*REPORTED, "no clear change"):
        return f"{change.ratio:.2f} ({change.low:.2f}-{change.high:.2f})"
    return f"{change.ratio:.2f} ({change.outcome})"


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("base", help="file of a stored run, or git revision")
    parser.add_argument("--here", type=Path, help="stored run to compare a file with, not a fresh one")
    parser.add_argument("--pairs", type=int, default=6, help="of runs, with a revision")
    parser.add_argument("--rounds-factor", type=float, default=0.25, help="of each run, with a revision")
    parser.add_argument("--fail", action="store_true", help="exit with 1 if a benchmark is slower")
    parser.epilog = "Arguments after -- go to pytest."
    given = list(sys.argv[1:] if arguments is None else arguments)
    # argparse does not take options between positional arguments.
    own = given[: given.index("--")] if "--" in given else given
    return argparse.Namespace(**vars(parser.parse_args(own)), pytest=given[len(own) + 1 :])


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, print, and return the exit status."""
    chosen = parsed(arguments)
    console = Console(width=None if sys.stdout.isatty() else 160)
    try:
        compare = with_file if Path(chosen.base).is_file() else with_revision
        pairs, changes = compare(chosen, console)
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    console.print(changes_table(pairs, changes))
    names = [set(run.benchmarks) for run in pairs[0]]
    if lonely := sorted(names[0] ^ names[1]):
        console.print(f"In only one of the runs: {', '.join(lonely)}", highlight=False, markup=False)
    slower, faster = ({one.name for one in changes if one.outcome == outcome} for outcome in REPORTED)
    compared = len({change.name for change in changes})
    console.print(f"{compared} compared: {len(slower)} slower, {len(faster)} faster beyond the noise")
    return 1 if chosen.fail and slower else 0


if __name__ == "__main__":
    sys.exit(main())
