"""The parts of the check: their shares of the time, the processes they run in, what comes of them."""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
import sys
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

from on_cuda import extension, pytest_part
from on_cuda.checks import collect, run_planned
from on_cuda.document import Check, Machine, Part

SCRIPT = Path(__file__).resolve().parents[1] / "cuda_check.py"
NO_DEVICE = 2
_GRACE_S = 20.0
_HANGS_S = 90.0
_LONGEST_INTERPRETED_S = 300.0


@dataclass(frozen=True)
class PlannedPart:
    """A part: its name and title, its share of the time, and the function that plans its checks."""

    name: str
    title: str
    share: float
    function: str | None
    needs: tuple[str, ...] = ()
    needs_extension: bool = False


PARTS = (
    PlannedPart("attention", "Attention compared with the CPU", 120, "attention_checks:planned"),
    PlannedPart(
        "model", "The model compared with the CPU", 30, "model_checks:planned_eager", ("pydantic", "yaml")
    ),
    PlannedPart("compiler", "torch.compile", 60, "model_checks:planned_compiled", ("pydantic", "yaml")),
    PlannedPart("tests", "Tests that need a device", 40, None, needs_extension=True),
    PlannedPart("attention times", "Times of the attention", 85, "attention_timing:planned"),
    PlannedPart("model times", "Times of the model", 85, "model_timing:planned", ("pydantic", "yaml")),
    PlannedPart("benchmarks", "Benchmarks on the device", 50, None, needs_extension=True),
)


def find(name: str) -> PlannedPart:
    return next(part for part in PARTS if part.name == name)


def run_here(
    name: str, lines: Path, allowed_s: float | None, *, interpreted: bool, has_extension: bool
) -> None:
    """Run a part in this process, which is its own."""
    deadline = None if allowed_s is None else time.monotonic() + allowed_s
    part = find(name)
    if not has_extension:
        extension.do_without()
    if interpreted:
        # numpy computes for the interpreter, and warns of the NaN that are put in.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module="triton")
    if part.function is None:
        pytest_part.run(name, lines, deadline or float("inf"))
        return
    from on_cuda.attention_cases import Where

    module, _, function = part.function.partition(":")
    plan = getattr(importlib.import_module(f"on_cuda.{module}"), function)
    planned = plan(Where(interpreted, has_extension))
    run_planned(planned, lines, deadline, timed=not interpreted)


def why_not(part: PlannedPart, *, has_extension: bool) -> str | None:
    """Return what the machine lacks for a part, None if nothing."""
    if part.needs_extension and not has_extension:
        return "needs the compiled extension"
    if part.function is None:
        lacking = pytest_part.missing(part.name)
    else:
        lacking = [name for name in part.needs if importlib.util.find_spec(name) is None]
    return f"not installed: {', '.join(lacking)}" if lacking else None


def run_part(
    part: PlannedPart, folder: Path, *, allowed_s: float | None, last_s: float | None, has_extension: bool
) -> Part:
    """Run a part in a process of its own.

    Parameters
    ----------
    part : PlannedPart
        What to run.
    folder : Path
        For the lines that the process writes, and what it prints.
    allowed_s : float, optional
        Seconds after which it begins no further check; None in Triton's interpreter.
    last_s : float, optional
        Seconds after which it is killed, at most 20 more.
    has_extension : bool
        Whether the compiled kernels can be imported.
    """
    lacks = why_not(part, has_extension=has_extension)
    if lacks is not None:
        return Part(part.name, part.title, (Check(part.title, "not run", lacks),))
    stem = part.name.replace(" ", "-")
    lines, log = folder / f"{stem}.jsonl", folder / f"{stem}.log"
    lines.unlink(missing_ok=True)
    command = [sys.executable, str(SCRIPT), "--part", part.name, "--lines", str(lines)]
    command += [] if has_extension else ["--without-extension"]
    command += ["--interpreter"] if allowed_s is None else ["--allowed-s", str(allowed_s)]
    limit = _LONGEST_INTERPRETED_S if allowed_s is None else min(allowed_s + _GRACE_S, last_s or allowed_s)
    more = {"TRITON_INTERPRET": "1"} if allowed_s is None else {}
    start = time.monotonic()
    with log.open("w", encoding="utf-8") as output:
        try:
            status = subprocess.run(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=limit,
                env=extension.environment(**more),
                cwd=extension.PROJECT,
            ).returncode
            stopped = False
        except subprocess.TimeoutExpired:
            status, stopped = 0, True
    took_s = time.monotonic() - start
    checks = _checks_of(
        part, lines, log, status, f"stopped after {took_s:.0f} s" if stopped else None, took_s
    )
    took = None if allowed_s is None else round(took_s, 1)
    return Part(part.name, part.title, tuple(checks), allowed_s and round(allowed_s, 1), took)


def _checks_of(
    part: PlannedPart, lines: Path, log: Path, status: int, stopped: str | None, took_s: float
) -> list[Check]:
    ended = stopped
    if status and not stopped:
        ended = f"the process ended with {status}: {_tail(log)}"
    texts = lines.read_text(encoding="utf-8").splitlines() if lines.exists() else []
    checks = collect(texts, ended)
    if not checks:
        cause = ended or "nothing was planned"
        hangs = took_s > _HANGS_S or (ended is not None and not stopped)
        return [Check(part.title, "failed" if hangs or not stopped else "not run", cause)]
    if stopped and took_s < _HANGS_S:
        # Cut off by the budget: that says nothing about the check.
        checks = [
            Check(check.name, "not run", check.detail) if check.detail == stopped else check
            for check in checks
        ]
    return checks


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace").strip()[-1200:]


def say_machine(extension_state: str) -> None:
    """Print the facts of this machine as a line of JSON."""
    from on_cuda.machine import machine

    print(json.dumps(asdict(machine(extension_state))))


def ask_machine(extension_state: str) -> Machine:
    """Return the facts of the machine, found in a process of its own.

    Raises
    ------
    RuntimeError
        If torch cannot be imported; the message has what Python said.
    """
    command = [sys.executable, str(SCRIPT), "--facts", extension_state]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=extension.environment())
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-800:])
    return Machine(**json.loads(done.stdout.strip().splitlines()[-1]))
