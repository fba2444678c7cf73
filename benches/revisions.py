"""Build two states of the package side by side and run the same benchmarks on each in turn."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Sequence
from pathlib import Path

from patchtst_har.errors import DataError

ROOT = Path(__file__).resolve().parents[1]
_FOLDER = ROOT / "build" / "bench-compare"


def run_benchmarks(
    python: Path | str, result: Path, arguments: Sequence[str], *, may_fail: bool = False
) -> Path:
    """Run the benchmarks as they lie here with an interpreter; return the file with the results.

    Raises
    ------
    DataError
        If one fails (unless `may_fail`: then it is missing in the results) or nothing was measured.
    """
    result.parent.mkdir(parents=True, exist_ok=True)
    result.unlink(missing_ok=True)
    options = ["--benchmark-only", f"--benchmark-json={result}", *arguments]
    done = _done(python, "-m", "pytest", "benches", *options)
    if (done.returncode and not may_fail) or not result.is_file() or not result.stat().st_size:
        tail = "\n".join(done.stdout.splitlines()[-30:])
        raise DataError(f"the benchmarks failed with {python}:\n{tail}\n{done.stderr}")
    return result


def commit_of(revision: str) -> str:
    """Return the commit of a git revision.

    Raises
    ------
    DataError
        If there is none.
    """
    done = _done("git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if done.returncode:
        raise DataError(f"{revision!r} is neither a file nor a git revision")
    return done.stdout.strip()


def install_commit(commit: str) -> Path:
    """Build a commit's package once; return an interpreter that has it."""
    folder = _FOLDER / commit[:12]
    python = folder / "venv" / "bin" / "python"
    if not (folder / "installed").exists():
        source = folder / "source"
        source.mkdir(parents=True, exist_ok=True)
        archive = folder / "source.tar"
        _run("git", "archive", "--format=tar", f"--output={archive}", commit)
        with tarfile.open(archive) as members:
            members.extractall(source, filter="data")
        _install(source, folder)
        (folder / "installed").touch()
    return python


def install_here() -> Path:
    """Build the working tree; return an interpreter that has it."""
    folder = _FOLDER / "here"
    _install(ROOT, folder)
    return folder / "venv" / "bin" / "python"


def _install(source: Path, folder: Path) -> None:
    """Put the built package into an environment of its own that finds all else in this one.

    Both states are installed in the same way. A path in a .pth file does not bring the .pth files there, so
    this environment's editable install has no influence.
    """
    environment, wheels = folder / "venv", folder / "wheels"
    _run(sys.executable, "-m", "venv", "--clear", "--without-pip", environment)
    python = environment / "bin" / "python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = environment / "lib" / version / "site-packages"
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    for old in wheels.glob("*.whl"):
        old.unlink()
    pip = (sys.executable, "-m", "pip", "--quiet")
    constraints = f"--build-constraint={ROOT / 'constraints.txt'}"
    _run(*pip, "wheel", "--no-deps", constraints, "--wheel-dir", wheels, source)
    _run(*pip, "--python", python, "install", "--no-deps", "--force-reinstall", *wheels.glob("*.whl"))
    where = _run(python, "-c", "import patchtst_har; print(patchtst_har.__file__)").strip()
    if not Path(where).is_relative_to(packages):
        raise DataError(f"{python} would measure {where}, not the package built from {source}")


def _done(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def _run(*command: str | Path) -> str:
    done = _done(*command)
    if done.returncode:
        raise DataError(f"{' '.join(map(str, command))}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout
