"""``python -m fuzz NAME ...``: fuzz readers under atheris, one after the other, in processes of their own.

Without atheris, ``--reproduce FILE`` runs one target on files.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

# Compiled by numba, which reads the code itself.
_NOT_INSTRUMENTED = ["patchtst_har.smoothing.kernels", "patchtst_har.features.plugins"]
_MOST_INPUT = 2**16
_INPUT_S = 60
# A process is followed by another then: atheris keeps up to 10 KB of each input, the readers none of it.
_PROCESS_S = 300


@dataclass
class Outcome:
    """What the fuzzer said of a target; `seconds` are those of a processor."""

    name: str
    seconds: float = 0.0
    n_runs: int = 0
    first_edges: int = 0
    edges: int = 0
    findings: tuple[str, ...] = ()
    ended_well: bool = False

    def row(self) -> str:
        """Return a row of the table in docs/robustness.md."""
        found = ", ".join(self.findings) or ("none" if self.ended_well else "a process ended")
        return (
            f"| {self.name} | {self.seconds / 60:.1f} | {self.n_runs:,} | {self.first_edges:,} | "
            f"{self.edges:,} | {found} |"
        )


def fuzz(name: str, seconds: int, folder: Path, seed: int) -> None:
    """Fuzz a target in this process, which ends then."""
    import atheris

    with atheris.instrument_imports(include=["patchtst_har"], exclude=_NOT_INSTRUMENTED):
        from fuzz.targets import TARGETS
    from fuzz.frame import Findings, judge, ready

    logging.disable(logging.CRITICAL)
    target, findings = TARGETS[name], Findings(folder / name / "findings")
    corpus, begin = folder / name / "corpus", folder / name / "seeds"
    for where in (corpus, begin):
        where.mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=["patchtst_har"], exclude=_NOT_INSTRUMENTED):
        for number, content in enumerate(ready(target)):
            (begin / f"{number:03d}").write_bytes(content)

    def run(data: bytes) -> None:
        try:
            judge(target, data)
        except Exception as error:
            findings.add(data, error)

    options = [
        f"-max_total_time={seconds}",
        f"-max_len={_MOST_INPUT}",
        f"-timeout={_INPUT_S}",
        f"-artifact_prefix={folder / name}/",
        "-rss_limit_mb=4096",
        "-len_control=0",
        f"-seed={seed}",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus), str(begin)], run)
    atheris.Fuzz()


def fuzz_apart(name: str, seconds: int, folder: Path, seed: int) -> Outcome:
    """Fuzz a target in processes of its own, one after the other, until the time is over."""
    outcome, began, before = Outcome(name), time.monotonic(), _processor_s()
    statuses = []
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.log").open("w", encoding="utf-8") as log:
        while (left := seconds - (time.monotonic() - began)) > 1:
            command = [sys.executable, "-m", "fuzz", name, "--here", "--folder", str(folder)]
            command += ["--seconds", str(min(int(left), _PROCESS_S)), "--seed", str(seed)]
            log.flush()
            start = log.tell()
            done = subprocess.run(command, cwd=ROOT, stdout=log, stderr=log, check=False)  # noqa: S603
            statuses.append(done.returncode)
            text = (folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")[start:]
            _add(outcome, text)
            seed += 1
            if done.returncode != 0 and not outcome.n_runs:
                break
    outcome.ended_well = bool(statuses) and not any(statuses)
    outcome.seconds = _processor_s() - before
    kept = (folder / name / "findings").glob("*.txt")
    ended = (folder / name).glob("*-*")
    outcome.findings = tuple(sorted(path.stem for path in kept)) + tuple(
        sorted(path.name for path in ended if path.is_file())
    )
    return outcome


def _processor_s() -> float:
    """Return the processor time of the processes that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def _add(outcome: Outcome, text: str) -> None:
    edges = [int(number) for number in re.findall(r"cov: (\d+)", text)]
    runs = [int(number) for number in re.findall(r"^#(\d+)\s", text, re.MULTILINE)]
    outcome.n_runs += max(runs, default=0)
    if edges:
        outcome.first_edges = outcome.first_edges or edges[0]
        outcome.edges = max(outcome.edges, *edges)


def reproduce(name: str, paths: list[Path]) -> None:
    """Run a target on files; errors that are findings end the program."""
    from fuzz.frame import judge, ready
    from fuzz.targets import TARGETS

    ready(TARGETS[name])
    for path in paths:
        print(path, judge(TARGETS[name], path.read_bytes()) or "is read")


def main() -> int:
    """Run the command; return its exit status, 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", help="targets; all without a name")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "fuzz", help="corpora and findings")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--reproduce", type=Path, nargs="+", default=[], metavar="FILE")
    parser.add_argument("--list", action="store_true", help="say what there is")
    given = parser.parse_args()
    if given.here:
        fuzz(given.names[0], given.seconds, given.folder, given.seed)
    if given.reproduce:
        reproduce(given.names[0], given.reproduce)
        return 0
    from fuzz.targets import TARGETS

    if given.list:
        print("\n".join(f"{name:16}{target.reads}" for name, target in TARGETS.items()))
        return 0
    unknown = [name for name in given.names if name not in TARGETS]
    if unknown:
        parser.error(f"no target {unknown[0]} (there are {', '.join(TARGETS)})")
    outcomes = []
    print("| target | processor minutes | inputs | edges at first | edges | findings |")
    print("|---|---|---|---|---|---|")
    for name in given.names or TARGETS:
        outcomes.append(fuzz_apart(name, given.seconds, given.folder.resolve(), given.seed))
        print(outcomes[-1].row(), flush=True)
    return int(any(outcome.findings or not outcome.ended_well for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
