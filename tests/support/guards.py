"""Removes every guard of docs/faults.md in turn, in a copy of the sources: its tests must fail then.

`make guards` runs it. `guards.yaml`, next to this file, lists the guards.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from patchtst_har import _core

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_name("guards.yaml")
_COPIED = (
    "src",
    "tests",
    "csrc",
    "cmake",
    "docs",
    "CMakeLists.txt",
    "pyproject.toml",
    "constraints.txt",
    "Makefile",
    "README.md",
)
# A test that would fill memory, or never end, without its guard fails too.
_LONGEST_S = 240
_MOST_BYTES = 6 * 2**30
# Of pytest: some tests failed. Others mean that none was found, or that it could not begin.
_FAILED = 1


@dataclass(frozen=True)
class Guard:
    """What protects from a fault, and the tests that fail without it.

    Attributes
    ----------
    fault : str
        Its row in docs/faults.md.
    file : str
        Where the guard is, below the project's root.
    guard : str
        The guard's text, which stands there once.
    without : str
        What stands there when it is removed.
    tests : tuple of str
        Below tests/, each of which must fail then.
    """

    fault: str
    file: str
    guard: str
    without: str
    tests: tuple[str, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """What a choice of guards looks at."""
        return (self.fault, self.file, *self.tests)

    @property
    def compiled(self) -> bool:
        """Whether the extension has to be built again."""
        return self.file.startswith("csrc") or self.file == "CMakeLists.txt"

    def removed(self, text: str) -> str:
        """Return the file's text without the guard."""
        if text.count(self.guard) != 1:
            raise ValueError(f"{self.file}: stands there {text.count(self.guard)} times: {self.guard!r}")
        return text.replace(self.guard, self.without)


def read_guards() -> list[Guard]:
    """Return the guards of the table."""
    rows = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return [Guard(fault, **{**row, "tests": tuple(row["tests"])}) for fault in rows for row in rows[fault]]


class Copy:
    """A copy of the sources in which guards are removed, with an environment and an extension of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in _COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(ROOT / name, folder / name)
        _checked([sys.executable, "-m", "venv", "--without-pip", folder / "venv"])
        self._python = folder / "venv" / "bin" / "python"
        (packages,) = (folder / "venv").glob("lib/*/site-packages")
        # A path in a .pth file does not bring the .pth files there: an editable package has no influence.
        paths = f"{folder / 'src'}\n{sysconfig.get_path('purelib')}\n"
        (packages / "copy.pth").write_text(paths, encoding="utf-8")
        self._extension = folder / "src" / "patchtst_har" / Path(str(_core.__file__)).name
        shutil.copy2(str(_core.__file__), self._extension)

    def build(self) -> None:
        """Compile what has changed, and put the extension where the package looks for it."""
        import pybind11

        tools, build = Path(sys.executable).parent, self.folder / "build"
        if not build.exists():
            definitions = {
                "CMAKE_BUILD_TYPE": "Release",
                "CMAKE_MAKE_PROGRAM": tools / "ninja",
                "SKBUILD_PROJECT_VERSION": "0.0.0",
                "Python_EXECUTABLE": sys.executable,
                "pybind11_DIR": pybind11.get_cmake_dir(),
            }
            defined = [f"-D{name}={value}" for name, value in definitions.items()]
            _checked([tools / "cmake", "-S", self.folder, "-B", build, "-G", "Ninja", *defined])
        _checked([tools / "cmake", "--build", build, "--target", "_core"])
        shutil.copy2(build / self._extension.name, self._extension)

    def outcome(self, tests: Iterable[str]) -> tuple[int, str]:
        """Return pytest's exit status of some tests, and the end of what it printed."""
        options = ["-q", "-x", "-m", "not study", "-p", "no:cacheprovider", "--no-header", "-rN"]
        command = [self._python, "-m", "pytest", *options]
        with subprocess.Popen(
            [*command, *(self.folder / "tests" / test for test in tests)],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=_limit_memory,
        ) as process:
            try:
                output, _ = process.communicate(timeout=_LONGEST_S)
            except subprocess.TimeoutExpired:
                # The processes that tests start are of its session.
                os.killpg(process.pid, signal.SIGKILL)
                return _FAILED, f"ran for more than {_LONGEST_S} s"
        return process.returncode, output[-2000:]


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (_MOST_BYTES, _MOST_BYTES))


def _checked(command: Sequence[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}:\n{(done.stdout + done.stderr)[-3000:]}")


def uncaught(copy: Copy, guard: Guard) -> list[str]:
    """Remove a guard, put it back, and return its tests that did not fail in between."""
    path = copy.folder / guard.file
    whole = path.read_text(encoding="utf-8")
    path.write_text(guard.removed(whole), encoding="utf-8")
    try:
        if guard.compiled:
            copy.build()
        # Killed by a signal, as one that native code leads out of memory, it has failed as well.
        statuses = {test: copy.outcome([test])[0] for test in guard.tests}
        return [test for test, status in statuses.items() if status != _FAILED and status >= 0]
    finally:
        path.write_text(whole, encoding="utf-8")


def main() -> int:
    """Try all guards, or those whose fault, file or tests contain a text; return 1 if some test passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-k", default="", help="only guards whose fault, file or tests contain this text")
    wanted = parser.parse_args().k
    guards = [guard for guard in read_guards() if any(wanted in text for text in guard.texts)]
    if not guards:
        raise SystemExit(f"no guard has {wanted!r} in it")
    n_missed = 0
    with tempfile.TemporaryDirectory(prefix="guards-") as folder:
        copy = Copy(Path(folder))
        if any(guard.compiled for guard in guards):
            copy.build()
        status, output = copy.outcome(sorted({test for guard in guards for test in guard.tests}))
        if status:
            raise SystemExit(f"with every guard in place, these tests must pass:\n{output}")
        # Those in C++ last: what is compiled for one is compiled again for the next.
        for number, guard in enumerate(sorted(guards, key=lambda guard: guard.compiled), 1):
            began = time.monotonic()
            passed = uncaught(copy, guard)
            n_missed += bool(passed)
            verdict = f"NOT CAUGHT by {', '.join(passed)}" if passed else "caught"
            took = f"{time.monotonic() - began:.0f} s"
            print(f"{number}/{len(guards)} {guard.file}: {guard.fault}: {verdict} ({took})", flush=True)
    print(
        f"{len(guards) - n_missed} of {len(guards)} guards: every test that is named for them fails without"
    )
    return int(n_missed > 0)


if __name__ == "__main__":
    sys.exit(main())
