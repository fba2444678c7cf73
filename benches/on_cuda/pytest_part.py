"""The parts ``tests`` and ``benchmarks``: what pytest has for a device, reported check by check."""

from __future__ import annotations

import importlib.util
import json
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from on_cuda.document import Check
from on_cuda.extension import PROJECT

# The rounds of a benchmark are made for an afternoon, not for minutes.
_CHOSEN = {"tests": ("-m", "cuda"), "benchmarks": ("-k", "cuda", "--benchmark-only", "--rounds-factor=0.2")}
_NEEDED = {"tests": ("pytest", "pydantic", "pandas", "numba", "scipy"), "benchmarks": ("pytest_benchmark",)}
_MARK = "@pytest.mark.cuda"
_PYTEST_RAN = (0, 1, 5)


def missing(part: str) -> list[str]:
    """Return the packages that the part needs and that are not installed."""
    needed = dict.fromkeys((*_NEEDED["tests"], *_NEEDED[part]))
    return [name for name in needed if importlib.util.find_spec(name) is None]


def files(part: str) -> list[str]:
    """Return the files that have something for a device: collecting every test would take longer."""
    if part == "benchmarks":
        return [str(PROJECT / "benches")]
    return sorted(
        str(path) for path in (PROJECT / "tests").rglob("test_*.py") if _MARK in path.read_text("utf-8")
    )


def run(part: str, lines: Path, deadline: float) -> None:
    """Run pytest in this process; no test begins after `deadline` (of `time.monotonic`)."""
    import pytest

    with lines.open("a", encoding="utf-8") as file:
        recorder = Recorder(file, deadline)
        options = [
            "--rootdir",
            str(PROJECT),
            "-c",
            str(PROJECT / "pyproject.toml"),
            "-q",
            "-p",
            "no:cacheprovider",
        ]
        options += ["--continue-on-collection-errors"]
        status = pytest.main([*files(part), *_CHOSEN[part], *options], plugins=[recorder])
        if int(status) not in _PYTEST_RAN:
            recorder.say(planned=["pytest"])
            recorder.check("pytest", "failed", f"pytest ended with {int(status)}; see what it printed")


class Recorder:
    """A plugin of pytest that writes the lines of `checks.run_planned`."""

    def __init__(self, file: TextIO, deadline: float) -> None:
        self._file = file
        self._deadline = deadline
        self._reports: dict[str, list[Any]] = {}
        self._figures: dict[str, dict[str, float]] = {}

    def say(self, **line: object) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def check(self, name: str, status: Any, detail: str = "", seconds: float | None = None) -> None:
        figures = self._figures.get(name, {})
        self.say(check=asdict(Check(name, status, detail, seconds, figures)))

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            text = str(report.longrepr).strip().splitlines()[-1]
            self.say(planned=[report.nodeid])
            absent = "No module named" in text and "patchtst_har" not in text
            self.check(report.nodeid, "not run" if absent else "failed", text)

    def pytest_collection_finish(self, session: Any) -> None:
        self.say(planned=[item.nodeid for item in session.items])

    def pytest_runtest_protocol(self, item: Any) -> bool | None:
        return True if time.monotonic() > self._deadline else None

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.say(started=nodeid)
        self._reports[nodeid] = []

    def pytest_runtest_teardown(self, item: Any) -> None:
        """Keep what a benchmark measured."""
        benchmark = getattr(item, "funcargs", {}).get("benchmark")
        found = getattr(benchmark, "extra_info", {})
        numbers = {name: value for name, value in found.items() if isinstance(value, int | float)}
        self._figures[item.nodeid] = {
            name: float(value)
            for name, value in numbers.items()
            if not isinstance(value, bool) and math.isfinite(value)
        }

    def pytest_runtest_logreport(self, report: Any) -> None:
        self._reports[report.nodeid].append(report)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        reports = self._reports.pop(nodeid)
        seconds = round(sum(report.duration for report in reports), 3)
        failed = [report for report in reports if report.failed]
        skipped = [report for report in reports if report.skipped]
        if failed:
            self.check(nodeid, "failed", str(failed[0].longrepr)[-1500:], seconds)
        elif skipped:
            reason = skipped[0].longrepr
            self.check(nodeid, "not run", str(reason[2] if isinstance(reason, tuple) else reason))
        else:
            self.check(nodeid, "passed", "", seconds)
