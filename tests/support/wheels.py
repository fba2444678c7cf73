"""Build and test wheels of this machine: python wheels.py FOLDER PYTHON...

The source distribution is made first; from it, without an index, comes the wheel of each Python. Each is
repaired by auditwheel and installed in a new environment without torch, where the tests that pyproject.toml
names for cibuildwheel run from the unpacked source distribution, with no compiler in reach.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MOST_BYTES = 6_000_000


def main(folder: Path, pythons: list[str]) -> int:
    """Print a line for each wheel; 1 if the tests of one fail or it is too large."""
    if not pythons:
        print("name the Pythons: make wheels WHEEL_PYTHONS='python3.11 python3.12'", file=sys.stderr)
        return 2
    shutil.rmtree(folder, ignore_errors=True)
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", folder, ROOT)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder / "source", filter="data")
    (source,) = (folder / "source").iterdir()
    project = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))
    lines = [one_wheel(python, folder, source, project) for python in pythons]
    print(*(line for line, _ in lines), sep="\n")
    return int(not all(good for _, good in lines))


def one_wheel(python: str, folder: Path, source: Path, project: dict[str, Any]) -> tuple[str, bool]:
    """Build, repair, install and test; return what to print and whether all is well."""
    wheel = repaired(python, folder, source, project["build-system"]["requires"])
    used = environment(python, wheel.with_name("use"))
    settings = project["tool"]["cibuildwheel"]
    needed = [one for one in project["project"]["dependencies"] if not one.startswith("torch")]
    run(used, "-m", "pip", "install", "--quiet", "--no-compile", *needed, *settings["test-requires"])
    run(used, "-m", "pip", "install", "--quiet", "--no-deps", wheel)
    command = shlex.split(settings["test-command"].replace("{project}", str(source)))
    tests = subprocess.run(
        [used, *command[1:]],
        env={"PATH": str(used.parent), "HOME": str(wheel.parent)},
        cwd=wheel.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if tests.returncode:
        print(tests.stdout, tests.stderr, file=sys.stderr)
    size, summary = wheel.stat().st_size, tests.stdout.strip().rpartition("\n")[2]
    line = f"{wheel.name}: {size / 1e6:.1f} MB, {summary.strip(' =')}"
    return line, tests.returncode == 0 and size < MOST_BYTES


def repaired(python: str, folder: Path, source: Path, requires: list[str]) -> Path:
    """Return the wheel of a Python, built without an index and repaired."""
    folder = folder / Path(python).name
    builder = environment(python, folder / "build")
    run(builder, "-m", "pip", "install", "--quiet", *requires)
    offline = ("--no-index", "--no-build-isolation", "--no-deps")
    run(builder, "-m", "pip", "wheel", *offline, "--wheel-dir", folder / "plain", source)
    (plain,) = (folder / "plain").iterdir()
    run(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", folder, plain)
    (wheel,) = folder.glob("*.whl")
    return wheel


def environment(python: str, folder: Path) -> Path:
    """Return the Python of a new virtual environment."""
    run(python, "-m", "venv", folder)
    return folder / "bin/python"


def run(program: str | Path, *arguments: str | Path) -> None:
    """Show a command and run it, with the other tools of its environment; raise if it fails."""
    print("+", program, *arguments, flush=True)
    path = f"{Path(program).parent}:{os.environ['PATH']}"
    subprocess.run([program, *arguments], env={**os.environ, "PATH": path}, check=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute(), sys.argv[2:]))
