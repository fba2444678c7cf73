"""Check and time the CUDA kernels on this machine: one command, a JSON document and a page.

Needs a Python with torch and Triton, and ``PYTHONPATH=src``; builds the compiled extension if it is missing
and cmake, a C++ compiler and pybind11 are there. What cannot run here, or not in time, is listed as not run.

    PYTHONPATH=src python benches/cuda_check.py --out FOLDER
    PYTHONPATH=src python benches/cuda_check.py --interpreter

The second checks the numerics in Triton's interpreter and needs no device. Exit status: 0 if every check that
ran passed, 1 if one failed, 2 without a CUDA device. See docs/cuda.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from on_cuda import document, extension, page, parts, results
from on_cuda.document import STATUSES, Document, Part
from on_cuda.sizes import TOLERANCES

_BUDGET_S = 470.0
_FOR_THE_PAGE_S = 10.0
_LONGEST_BUILD_S = 150.0


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.facts is not None:
        parts.say_machine(options.facts)
        return 0
    if options.part is not None:
        parts.run_here(
            options.part,
            options.lines,
            options.allowed_s,
            options.turn,
            interpreted=options.interpreter,
            has_extension=not options.without_extension,
        )
        return 0
    if options.table is not None:
        print(results.markdown(document.parse(options.table.read_text(encoding="utf-8"))), end="")
        return 0
    if options.render is not None:
        found = document.parse(options.render.read_text(encoding="utf-8"))
        print(page.write(found, options.render.with_suffix(".html")))
        return 0
    return check(options.out, options.budget_s, interpreted=options.interpreter, only=options.only)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Check and time the CUDA kernels on this machine.")
    names = [part.name for part in parts.PARTS]
    parser.add_argument("--out", type=Path, default=extension.PROJECT / "build" / "cuda-check", help="folder")
    parser.add_argument("--budget-s", type=float, default=_BUDGET_S, help="seconds for everything")
    parser.add_argument("--only", action="append", choices=names, help="only this part; may be repeated")
    parser.add_argument("--interpreter", action="store_true", help="numerics without a device, no times")
    parser.add_argument(
        "--render", type=Path, metavar="JSON", help="check a document again and write its page"
    )
    parser.add_argument(
        "--table", type=Path, metavar="JSON", help="print the results of a document as Markdown"
    )
    for name in ("--part", "--facts"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--lines", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--allowed-s", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--turn", type=_turn, default=(0, 1), help=argparse.SUPPRESS)
    parser.add_argument("--without-extension", action="store_true", help=argparse.SUPPRESS)
    return parser


def _turn(text: str) -> tuple[int, int]:
    number, n = map(int, text.split("/"))
    return number, n


def check(out: Path, budget_s: float, *, interpreted: bool, only: Sequence[str] | None) -> int:
    """Run the parts one after the other, write document and page, print a summary; return the exit status."""
    start = time.monotonic()
    try:
        machine = parts.ask_machine("not looked for")
    except RuntimeError as error:
        print(f"torch cannot be asked: {error}", file=sys.stderr)
        return 1
    if machine.device is None and not interpreted:
        print("no device: torch sees no CUDA device (--interpreter checks the numerics without one)")
        return parts.NO_DEVICE
    if machine.triton is None:
        print("triton is not installed: there is no kernel to check", file=sys.stderr)
        return 1
    out.mkdir(parents=True, exist_ok=True)
    state = _extension(min(_LONGEST_BUILD_S, budget_s / 3))
    where = machine.device or "Triton interpreter"
    print(f"{where}, torch {machine.torch}, triton {machine.triton}; extension: {state}")
    found = _run(
        out, None if interpreted else start + budget_s, only, has_extension=not state.startswith("missing")
    )
    result = Document(
        format_version=document.FORMAT_VERSION,
        mode="interpreter" if interpreted else "device",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        package_version=_package_version(),
        revision=_revision(),
        budget_s=None if interpreted else budget_s,
        took_s=None if interpreted else round(time.monotonic() - start, 1),
        schema_check=document.how_checked(),
        machine=dataclasses.replace(machine, extension=state),
        tolerances=TOLERANCES,
        parts=tuple(found),
    )
    document.write(result, out / "cuda-check.json")
    print(out / "cuda-check.json", page.write(result, out / "cuda-check.html"), sep="\n")
    print(", ".join(f"{result.count(status)} {status}" for status in STATUSES))
    return result.exit_status


def _extension(longest_s: float) -> str:
    """Build the compiled extension if it is missing; return what became of it."""
    why = extension.why_missing()
    if why is None:
        return "was there"
    lacking = extension.what_building_lacks()
    if lacking:
        return f"missing ({why}); to build it, there would have to be {', '.join(lacking)}"
    print("building the compiled extension ...", flush=True)
    try:
        extension.build(longest_s)
    except RuntimeError as error:
        return f"missing ({error})"
    why = extension.why_missing()
    return "built here" if why is None else f"missing, although built ({why})"


def _run(out: Path, end: float | None, only: Sequence[str] | None, *, has_extension: bool) -> list[Part]:
    """Run every part; what one leaves of its share, the others get."""
    chosen = [part for part in parts.PARTS if only is None or part.name in only]
    if end is None:
        chosen = [parts.find("attention")]
    found = []
    for number, part in enumerate(chosen):
        last_s = None if end is None else max(1.0, end - _FOR_THE_PAGE_S - time.monotonic())
        share = part.share / sum(other.share for other in chosen[number:])
        allowed_s = None if last_s is None else share * last_s
        made = parts.run_part(part, out, allowed_s=allowed_s, last_s=last_s, has_extension=has_extension)
        found.append(made)
        _print(made)
    return found


def _print(part: Part) -> None:
    counts = ", ".join(f"{sum(c.status == status for c in part.checks)} {status}" for status in STATUSES)
    print(f"{part.title}: {counts}" + ("" if part.took_s is None else f" ({part.took_s:.0f} s)"), flush=True)
    for one in part.checks:
        if one.status == "failed":
            print(f"  failed: {one.name}: {one.detail}", flush=True)


def _package_version() -> str:
    text = (extension.PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    return next(line.split('"')[1] for line in text.splitlines() if line.startswith("version = "))


def _revision() -> str | None:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=extension.PROJECT, timeout=10)
    except OSError:
        return None
    return done.stdout.strip() or None


if __name__ == "__main__":
    sys.exit(main())
