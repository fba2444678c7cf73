"""How a part runs its checks: in a process of its own, one after the other, within its time.

The process writes a line before and after each check. So nothing is lost when it crashes or is stopped: a
kernel that reads where it must not leaves a CUDA context in which nothing works any more.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from on_cuda.document import Check, Clocks, Timing

TIME_IS_UP = "the time of this part was spent"


class NotRunError(Exception):
    """A check that cannot be made here; the message says what is missing."""


@dataclass
class Found:
    """What a check that passed has to say."""

    detail: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    timings: Sequence[Timing] = ()
    clocks: Sequence[Clocks] = ()


@dataclass(frozen=True)
class Planned:
    """A check that is still to be made: `run` returns what it found, or raises."""

    name: str
    run: Callable[[], Found | None]


def run_planned(
    planned: Sequence[Planned],
    lines: Path,
    deadline: float | None,
    turn: tuple[int, int] = (0, 1),
    *,
    timed: bool,
) -> None:
    """Make the checks, and write the plan, each start and each result to `lines`.

    Parameters
    ----------
    planned : sequence of Planned
        Names must differ.
    lines : Path
        File that is appended to.
    deadline : float, optional
        On the clock of `time.monotonic`; no check begins later.
    turn : (int, int)
        Which of how many processes this is: of n processes, each makes every n-th check.
    timed : bool
        Whether to say how long each took.
    """
    with lines.open("a", encoding="utf-8") as file:

        def say(**line: object) -> None:
            file.write(json.dumps(line) + "\n")
            file.flush()

        first, n = turn
        mine = planned[first::n]
        say(listed=[one.name for one in planned])
        say(planned=[one.name for one in mine])
        for one in mine:
            if deadline is not None and time.monotonic() > deadline:
                continue
            say(started=one.name)
            say(check=dataclasses.asdict(run_one(one, timed=timed)))


def run_one(planned: Planned, *, timed: bool) -> Check:
    """Make one check; whatever it raises but `NotRunError` is a failure."""
    start = time.monotonic()
    try:
        found = planned.run() or Found()
    except NotRunError as error:
        return Check(planned.name, "not run", str(error))
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error}".strip()
        detail = f"{text[:1500]} ({Path(where.filename).name}:{where.lineno})"
        return Check(planned.name, "failed", detail, _seconds(start, timed))
    figures = {name: value for name, value in found.figures.items() if math.isfinite(value)}
    # JSON has no such numbers.
    odd = [f"{name} is {found.figures[name]}" for name in found.figures if name not in figures]
    return Check(
        planned.name,
        "passed",
        "; ".join(filter(None, (found.detail, *odd))),
        _seconds(start, timed),
        figures,
        tuple(found.timings),
        tuple(found.clocks),
    )


def _seconds(start: float, timed: bool) -> float | None:
    return round(time.monotonic() - start, 3) if timed else None


def collect(lines: Iterable[str], ended: str | None) -> list[Check]:
    """Return a check for each planned one out of the lines of a process.

    Parameters
    ----------
    lines : iterable of str
        What `run_planned` wrote, perhaps cut off.
    ended : str, optional
        Why the process did not come to its end; None if it did. The check in which it ended failed, those
        after it were not run.
    """
    planned: list[str] = []
    found: dict[str, Check] = {}
    started: list[str] = []
    for text in lines:
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        planned += line.get("planned", [])
        if "started" in line:
            started.append(line["started"])
        if "check" in line:
            check = _read(line["check"])
            found[check.name] = check
    checks = []
    for name in planned:
        if name in found:
            checks.append(found[name])
        elif name in started:
            checks.append(Check(name, "failed", ended or "it did not end"))
        else:
            checks.append(Check(name, "not run", ended or TIME_IS_UP))
    return checks


def join(texts: Sequence[Sequence[str]], checks: Sequence[Sequence[Check]]) -> list[Check]:
    """Return the checks of several processes in the order in which they are listed.

    Those of a process that ended before its plan are listed by the others, and were not run.

    Parameters
    ----------
    texts : sequence of sequence of str
        What each process wrote (`run_planned`).
    checks : sequence of sequence of Check
        What came of each (`collect`), or one failed check with the reason.
    """
    found = {check.name: check for one in checks for check in one}
    listed: list[str] = next(filter(None, map(_listed, texts)), [])
    for number, name in enumerate(listed):
        ended = checks[number % len(checks)][0]
        found.setdefault(name, Check(name, "not run", ended.detail))
    position = {name: number for number, name in enumerate(listed)}
    return sorted(found.values(), key=lambda check: position.get(check.name, len(listed)))


def _listed(texts: Sequence[str]) -> list[str]:
    """Return every check of the part, of all processes; empty if the process did not come so far."""
    try:
        names: list[str] = json.loads(texts[0])["listed"] if texts else []
    except (json.JSONDecodeError, KeyError):
        return []
    return names


def _read(row: dict[str, object]) -> Check:
    timings = tuple(Timing(**timing) for timing in row.pop("timings"))
    clocks = tuple(Clocks(**one) for one in row.pop("clocks"))
    return Check(**row, timings=timings, clocks=clocks)
