"""What the machine and its device say of themselves."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import subprocess

from on_cuda.document import Clocks, Machine

_PACKAGES = ("numpy", "pydantic", "pytest", "pytest-benchmark", "nvidia-ml-py", "scipy", "numba")
_CLOCKS = ("clocks.sm", "clocks.mem", "temperature.gpu", "power.draw", "clocks_event_reasons.active")


def machine(extension: str) -> Machine:
    """Return the facts that a measured time depends on; `extension` is the state of the compiled kernels."""
    import torch

    here = torch.cuda.is_available()
    properties = torch.cuda.get_device_properties(torch.cuda.current_device()) if here else None
    return Machine(
        platform=platform.platform(),
        python=platform.python_version(),
        torch=torch.__version__,
        triton=_version("triton") or _version("pytorch-triton"),
        cuda=torch.version.cuda,
        device=properties.name if properties else None,
        n_devices=torch.cuda.device_count() if here else 0,
        compute_capability=f"{properties.major}.{properties.minor}" if properties else None,
        memory_bytes=properties.total_memory if properties else None,
        n_multiprocessors=properties.multi_processor_count if properties else None,
        driver=(_nvidia_smi("driver_version") or [None])[0] if here else None,
        c_compiler=shutil.which("cc") or shutil.which("gcc") or shutil.which("clang"),
        extension=extension,
        packages={name: version for name in _PACKAGES if (version := _version(name))},
    )


def clocks() -> Clocks:
    """Return clocks, temperature, power and why the clocks are held back, by nvidia-smi; reads only."""
    values = _nvidia_smi(*_CLOCKS) or _nvidia_smi(*_CLOCKS[:-1])
    if values is None:
        return Clocks()
    numbers = [_number(value) for value in values[:4]]
    return Clocks(*numbers, throttling=values[4] if len(values) > 4 else None)


def one_process_only() -> bool:
    """Whether a device is set to serve one process at a time."""
    command = ["nvidia-smi", "--query-gpu=compute_mode", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return "Exclusive" in done.stdout


def _nvidia_smi(*names: str) -> list[str] | None:
    """Return what nvidia-smi answers for the current device, None if it does not."""
    import torch

    command = ["nvidia-smi", f"--query-gpu={','.join(names)}", "--format=csv,noheader,nounits"]
    try:
        uuid = torch.cuda.get_device_properties(torch.cuda.current_device()).uuid
        command.append(f"--id=GPU-{uuid}")
    except (AttributeError, RuntimeError, AssertionError):
        pass
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return None
    return [value.strip() for value in lines[0].split(",")]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
