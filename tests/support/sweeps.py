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


def native_sweep(name: str, folder: Path) -> Path:
    """Compile a sweep with the kernels of the installed package; skip without them."""
    compiler = shutil.which("c++")
    libraries = sorted((ROOT / "build").glob("cp*/libpatchtst_har_kernels.a"))
    if compiler is None or not libraries:
        pytest.skip("no compiler, or no build folder with the library of kernels")
    definitions = ["-DPATCHTST_HAR_X86"] if len(_core.available_isas()) > 1 else []
    sources = [SOURCES / f"{source}.cpp" for source in (name, "sweep")]
    command = [compiler, "-std=c++17", "-O1", *definitions, "-I", ROOT / "csrc", *sources, libraries[0]]
    subprocess.run([*command, "-pthread", "-o", folder / name], check=True)
    return folder / name


def arm64_build(*targets: str) -> Path:
    """Build sweeps for 64-bit ARM where `make arm64-check` does, so that only what changed is compiled."""
    tools = Path(sys.executable).parent
    cmake, ninja = (shutil.which(name, path=tools) or shutil.which(name) for name in ("cmake", "ninja"))
    if cmake is None or ninja is None:
        pytest.skip("no cmake or no ninja: install the extra dev")
    folder = ROOT / "build/arm64"
    settings = {
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_MAKE_PROGRAM": ninja,
        "CMAKE_TOOLCHAIN_FILE": ROOT / "cmake/arm64.cmake",
        "PATCHTST_HAR_BINDINGS": "OFF",
        "SKBUILD_PROJECT_VERSION": "0.0.0",
    }
    definitions = [f"-D{name}={value}" for name, value in settings.items()]
    subprocess.run([cmake, "--fresh", "-S", ROOT, "-B", folder, "-G", "Ninja", *definitions], check=True)
    subprocess.run([cmake, "--build", folder, "--target", *targets], check=True)
    return folder


def run_arm64(program: Path) -> subprocess.CompletedProcess[str]:
    """Run a program for 64-bit ARM under emulation."""
    command = ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", program]
    return subprocess.run(command, capture_output=True, text=True, check=False)
