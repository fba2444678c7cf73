"""The parts of the check: their shares of the time, the processes they run in, what comes of them."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from on_cuda import extension, pytest_part
from on_cuda.checks import collect, join, run_planned
from on_cuda.document import Check, Machine, Part
from on_cuda.machine import one_process_only

SCRIPT = Path(__file__).resolve().parents[1] / "cuda_check.py"
NO_DEVICE = 2
_GRACE_S = 20.0
_HANGS_S = 90.0
_LONGEST_INTERPRETED_S = 300.0
_MOST_PROCESSES = 6


@dataclass(frozen=True)
class PlannedPart:
    """A part: its name and title, its share of the time, and the function that plans its checks.

    The checks of a `divided` part run in several processes at once: nothing is timed, and most of the time is
    Triton's compiler's.
    """

    name: str
    title: str
    share: float
    function: str | None
    needs: tuple[str, ...] = ()
    needs_extension: bool = False
    divided: bool = False


PARTS = (
    PlannedPart(
        "attention", "Attention compared with the CPU", 155, "attention_checks:planned", divided=True
    ),
    PlannedPart(
        "model", "The model compared with the CPU", 25, "model_checks:planned_eager", ("pydantic", "yaml")
    ),
    PlannedPart("compiler", "torch.compile", 60, "model_checks:planned_compiled", ("pydantic", "yaml")),
    PlannedPart("tests", "Tests that need a device", 40, None, needs_extension=True),
    PlannedPart("attention times", "Times of the attention", 65, "attention_timing:planned"),
    PlannedPart("model times", "Times of the model", 95, "model_timing:planned", ("pydantic", "yaml")),
    PlannedPart("benchmarks", "Benchmarks on the device", 30, None, needs_extension=True),
)


def find(name: str) -> PlannedPart:
    return next(part for part in PARTS if part.name == name)


def run_here(
    name: str,
    lines: Path,
    allowed_s: float | None,
    turn: tuple[int, int] = (0, 1),
    *,
    interpreted: bool,
    has_extension: bool,
) -> None:
    """Run a part, or process `turn[0]`'s checks of `turn[1]` processes, in this process, which is its own."""
    deadline = None if allowed_s is None else time.monotonic() + allowed_s
    part = find(name)
    if not has_extension:
        extension.do_without()
    if interpreted:
        # numpy computes for the interpreter, and warns of the NaN that are put in.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module="triton")
    # The compiler would have products rounded, which is not what is checked.
    warnings.filterwarnings("ignore", message="TensorFloat32 tensor cores")
    if part.function is None:
        pytest_part.run(name, lines, deadline or float("inf"))
        return
    from on_cuda.attention_cases import Where

    module, _, function = part.function.partition(":")
    plan = getattr(importlib.import_module(f"on_cuda.{module}"), function)
    planned = plan(Where(interpreted, has_extension))
    run_planned(planned, lines, deadline, turn, timed=not interpreted)


def why_not(part: PlannedPart, *, has_extension: bool) -> str | None:
    """Return what the machine lacks for a part, None if nothing."""
    if part.needs_extension and not has_extension:
        return "needs the compiled extension"
    if part.function is None:
        lacking = pytest_part.missing(part.name)
    else:
        lacking = [name for name in part.needs if importlib.util.find_spec(name) is None]
    return f"not installed: {', '.join(lacking)}" if lacking else None


def n_processes(part: PlannedPart) -> int:
    """Return how many processes share the checks of a part: two cores each, at most 6."""
    cores = len(os.sched_getaffinity(0))
    return 1 if not part.divided or one_process_only() else max(1, min(_MOST_PROCESSES, cores // 2))


def run_part(
    part: PlannedPart, folder: Path, *, allowed_s: float | None, last_s: float | None, has_extension: bool
) -> Part:
    """Run a part in processes of its own.

    Parameters
    ----------
    part : PlannedPart
        What to run.
    folder : Path
        For the lines that the processes write, and what they print.
    allowed_s : float, optional
        Seconds after which they begin no further check; None in Triton's interpreter.
    last_s : float, optional
        Seconds after which they are killed, at most 20 more.
    has_extension : bool
        Whether the compiled kernels can be imported.
    """
    lacks = why_not(part, has_extension=has_extension)
    if lacks is not None:
        return Part(part.name, part.title, (Check(part.title, "not run", lacks),))
    limit = _LONGEST_INTERPRETED_S if allowed_s is None else min(allowed_s + _GRACE_S, last_s or allowed_s)
    options = [] if has_extension else ["--without-extension"]
    options += ["--interpreter"] if allowed_s is None else ["--allowed-s", str(allowed_s)]
    start = time.monotonic()
    running = _start(part, folder, options, interpreted=allowed_s is None)
    try:
        ends = [one.wait_until(start, limit) for one in running]
    finally:
        for one in running:
            one.process.kill()
            one.process.wait()
    took_s = time.monotonic() - start
    checks = join([one.texts() for one in running], [_checks_of(*end) for end in ends])
    took = None if allowed_s is None else round(took_s, 1)
    return Part(part.name, part.title, tuple(checks), allowed_s and round(allowed_s, 1), took)


@dataclass(frozen=True)
class _Running:
    """A process that runs checks; `title` names it where its checks are not known."""

    title: str
    lines: Path
    log: Path
    process: subprocess.Popen[bytes]

    def texts(self) -> list[str]:
        return self.lines.read_text(encoding="utf-8").splitlines() if self.lines.exists() else []

    def wait_until(self, start: float, limit: float) -> tuple[_Running, int, float, str | None]:
        """Return the exit status, when it ended, and why it was stopped, if it was."""
        try:
            status = self.process.wait(max(0.0, start + limit - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            took_s = time.monotonic() - start
            return self, 0, took_s, f"stopped after {took_s:.0f} s"
        return self, status, time.monotonic() - start, None


def _start(part: PlannedPart, folder: Path, options: Sequence[str], *, interpreted: bool) -> list[_Running]:
    stem, n = part.name.replace(" ", "-"), n_processes(part)
    for old in folder.glob(f"{stem}-[0-9]*"):
        old.unlink()
    more = {"TRITON_INTERPRET": "1"} if interpreted else {}
    if n > 1:
        more["OMP_NUM_THREADS"] = str(len(os.sched_getaffinity(0)) // n)
    running = []
    for number in range(n):
        name = stem if n == 1 else f"{stem}-{number + 1}"
        lines, log = folder / f"{name}.jsonl", folder / f"{name}.log"
        lines.unlink(missing_ok=True)
        command = [sys.executable, str(SCRIPT), "--part", part.name, "--lines", str(lines)]
        command += [*options, "--turn", f"{number}/{n}"]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=extension.environment(**more),
                cwd=extension.PROJECT,
            )
        title = part.title if n == 1 else f"{part.title}, process {number + 1} of {n}"
        running.append(_Running(title, lines, log, process))
    return running


def _checks_of(one: _Running, status: int, took_s: float, stopped: str | None) -> list[Check]:
    ended = stopped
    if status and not stopped:
        ended = f"the process ended with {status}: {_tail(one.log)}"
    checks = collect(one.texts(), ended)
    if not checks:
        cause = ended or "nothing was planned"
        hangs = took_s > _HANGS_S or (ended is not None and not stopped)
        return [Check(one.title, "failed" if hangs or not stopped else "not run", cause)]
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
