"""The compiled extension `patchtst_har._core`: whether it is there, how it is built, what does without."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import types
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
_BUILD = PROJECT / "build" / "cuda-check"


def why_missing() -> str | None:
    """Return why the extension cannot be imported by a Python like this one; None if it can."""
    command = [sys.executable, "-c", "import patchtst_har._core"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=60)
    return done.stderr.strip().splitlines()[-1] if done.returncode else None


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment; the package is found that this process has, else the checkout's."""
    package = importlib.util.find_spec("patchtst_har")
    folder = PROJECT / "src" if package is None else Path(str(package.origin)).parents[1]
    paths = [str(folder), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "PYTHONUNBUFFERED": "1",
        **more,
    }


def what_building_lacks() -> list[str]:
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    found = {
        "cmake": shutil.which("cmake"),
        "a C++ compiler": compiler,
        "pybind11": importlib.util.find_spec("pybind11"),
    }
    return [name for name, what in found.items() if not what]


def build(timeout_s: float) -> None:
    """Build the extension with cmake and put it into the package of this checkout.

    Raises
    ------
    RuntimeError
        If cmake or the compiler fails, or the time is up; the message has the end of what they said.
    """
    pybind11 = _run([sys.executable, "-m", "pybind11", "--cmakedir"], timeout_s).strip()
    ninja = ["-G", "Ninja"] if shutil.which("ninja") else []
    configure = ["cmake", "-S", str(PROJECT), "-B", str(_BUILD), *ninja, "-DCMAKE_BUILD_TYPE=Release"]
    configure += ["-DSKBUILD_PROJECT_VERSION=0.0.0", f"-DPython_EXECUTABLE={sys.executable}"]
    _run([*configure, f"-Dpybind11_DIR={pybind11}"], timeout_s)
    parallel = str(len(os.sched_getaffinity(0)))
    _run(["cmake", "--build", str(_BUILD), "--target", "_core", "--parallel", parallel], timeout_s)
    name = f"_core{sysconfig.get_config_var('EXT_SUFFIX')}"
    target = PROJECT / "src" / "patchtst_har" / name
    temporary = target.with_name(f".{name}.part")
    shutil.copyfile(_BUILD / name, temporary)
    temporary.replace(target)


def _run(command: list[str], timeout_s: float) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{command[0]} took more than {timeout_s:.0f} s") from error
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} failed: {(done.stdout + done.stderr).strip()[-800:]}")
    return done.stdout


def do_without() -> None:
    """Put a module in the extension's place, so that what does not call it can be imported.

    Only for a process that checks nothing but Triton and plain torch: each use raises.
    """

    class _Missing(types.ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            raise RuntimeError(f"patchtst_har._core is not built: {name} cannot be called")

    module = _Missing("patchtst_har._core")
    module.__version__ = "not built"
    sys.modules[module.__name__] = module
