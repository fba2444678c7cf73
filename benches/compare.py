"""Compare the package as it lies here with a stored run of the benchmarks or with a git revision.

    python benches/compare.py benches/results/1a2b3c4.json
    python benches/compare.py main --pairs 6 -- -k statistics

A file is compared with a fresh run (or with --here FILE). A revision is built beside the package as it lies
here, and both run the benchmarks as they lie here in turn. The exit status is 0 whatever was found, 1 with
--fail if a benchmark is slower beyond the noise, 2 if there is no comparison.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from comparison import Change, Comparison, ComparisonError, Run, compare_pairs, compare_runs, read_run
from revisions import ROOT, commit_of, install_commit, install_here, run_benchmarks

TOLD = ("slower", "faster")
RESULTS = ROOT / "benches" / "results"


def with_file(arguments: argparse.Namespace, console: Console) -> tuple[list[Comparison], list[str]]:
    """Compare a stored run with another one, or a fresh one; return what is in only one of them, too."""
    base = read_run(Path(arguments.base))
    path = arguments.here
    if path is None:
        console.print(f"Running the benchmarks, {len(base.benchmarks)} in {arguments.base}")
        path = run_benchmarks(sys.executable, RESULTS / "compared.json", arguments.pytest)
    here = read_run(path)
    for line in differing_facts(base, here):
        console.print(f"[yellow]{line}", highlight=False)
    return compare_runs(base, here), only_in_one(base, here)


def with_revision(arguments: argparse.Namespace, console: Console) -> tuple[list[Comparison], list[str]]:
    """Build a revision and the package as it lies here; run them in turn, base and here first by turns."""
    commit = commit_of(arguments.base)
    console.print(f"Building {commit[:12]} and the package as it lies here")
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
    return compare_pairs(pairs), only_in_one(*pairs[0])


def differing_facts(base: Run, here: Run) -> Iterator[str]:
    """Yield a line for every fact about the machine in which the runs differ."""
    for name in {**base.host, **here.host}:
        if base.host.get(name) != here.host.get(name):
            yield f"{name}: {base.host.get(name)} in base, {here.host.get(name)} here"


def only_in_one(base: Run, here: Run) -> list[str]:
    """Return the benchmarks that only one of the runs has."""
    return sorted(base.benchmarks.keys() ^ here.benchmarks.keys())


def table_of(comparisons: Sequence[Comparison]) -> Table:
    """Return a table, a benchmark a row."""
    table = Table(title="here to base; above 1 is slower")
    table.add_column("benchmark", overflow="fold")
    for name in ("base p50 µs", "here p50 µs", "p50 at equal speed", "p95 at equal speed", ""):
        table.add_column(name, justify="right")
    for one in comparisons:
        verdicts = {
            f"{name} {change.verdict}" for name, change in one.changes.items() if change.verdict in TOLD
        }
        table.add_row(
            Text(one.name.removeprefix("benches/bench_")),
            f"{one.base_us:,.2f}",
            f"{one.here_us:,.2f}",
            *(_cell(change) for change in one.changes.values()),
            ", ".join(sorted(verdicts)),
        )
    return table


def _cell(change: Change) -> str:
    if not (change.verdict in TOLD or change.verdict == ""):
        return f"{change.ratio:.2f} ({change.verdict})"
    return f"{change.ratio:.2f} ({change.low:.2f}-{change.high:.2f})"


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", help="file of a stored run, or git revision")
    parser.add_argument(
        "--here", type=Path, help="stored run to compare a file with, in place of a fresh one"
    )
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
        comparisons, lonely = compare(chosen, console)
    except ComparisonError as error:
        print(error, file=sys.stderr)
        return 2
    console.print(table_of(comparisons))
    if lonely:
        console.print(f"In only one of the runs: {', '.join(lonely)}", highlight=False, markup=False)
    slower = sum(any(c.verdict == "slower" for c in one.changes.values()) for one in comparisons)
    faster = sum(any(c.verdict == "faster" for c in one.changes.values()) for one in comparisons)
    console.print(f"{len(comparisons)} compared: {slower} slower, {faster} faster beyond the noise")
    return 1 if chosen.fail and slower else 0


if __name__ == "__main__":
    sys.exit(main())
