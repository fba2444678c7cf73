"""The stand-alone programs of csrc/tests, built for this machine or for another."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from patchtst_har import _core

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "csrc/tests"


def native_sweep(name: str, folder: Path, *others: str) -> Path:
    """Compile a sweep, and sources it needs, with the kernels of the installed package; skip without them."""
    compiler = shutil.which("c++")
    libraries = sorted((ROOT / "build").glob("cp*/libpatchtst_har_kernels.a"))
    if compiler is None or not libraries:
        pytest.skip("no compiler, or no build folder with the library of kernels")
    definitions = ["-DPATCHTST_HAR_X86"] if len(_core.available_isas()) > 1 else []
    sources = [SOURCES / f"{source}.cpp" for source in (name, "sweep", *others)]
    command = [compiler, "-std=c++17", "-O1", *definitions, "-I", ROOT / "csrc", *sources, libraries[0]]
    subprocess.run([*command, "-pthread", "-o", folder / name], check=True)
    return folder / name


def arm64_build(values: Path, *targets: str) -> Path:
    """Build sweeps for 64-bit ARM in the folder of `make arm64-check`, so that only what changed is compiled.

    `values` is what they are compared with.
    """
    tools = Path(sys.executable).parent
    cmake, ninja = (shutil.which(name, path=tools) or shutil.which(name) for name in ("cmake", "ninja"))
    if cmake is None or ninja is None:
        pytest.skip("no cmake or no ninja: install the extra dev")
    folder = ROOT / "build/arm64"
    settings = {
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_MAKE_PROGRAM": ninja,
        "CMAKE_TOOLCHAIN_FILE": ROOT / "cmake/aarch64-linux-gnu.cmake",
        "PATCHTST_HAR_BINDINGS": "OFF",
        "PATCHTST_HAR_VALUES": values,
        "SKBUILD_PROJECT_VERSION": "0.0.0",
    }
    definitions = [f"-D{name}={value}" for name, value in settings.items()]
    subprocess.run([cmake, "-S", ROOT, "-B", folder, "-G", "Ninja", *definitions], check=True)
    subprocess.run([cmake, "--build", folder, "--target", *targets], check=True)
    return folder


def run_tests(folder: Path, names: str) -> subprocess.CompletedProcess[str]:
    """Run the tests of a build folder whose names match a regular expression, under its emulator."""
    ctest = shutil.which("ctest", path=Path(sys.executable).parent) or "ctest"
    command = [ctest, "--test-dir", folder, "--no-tests=error", "--verbose", "--tests-regex", names]
    return subprocess.run(command, capture_output=True, text=True, check=False)
