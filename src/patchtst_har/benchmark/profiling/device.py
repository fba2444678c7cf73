"""Memory and utilisation of a CUDA device, where there is one. Imports torch only if asked to."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from patchtst_har.benchmark.profiling.memory import PeakMeter

UTILISATION_PERIOD_NS = 1_000_000_000
"""NVML's utilisation is of the last sixth of a second to second: of a shorter operation it says nothing."""


class Device:
    """The current CUDA device as torch and NVML see it.

    Parameters
    ----------
    imports_torch : bool
        Import torch to look for a device; otherwise it is looked for if somebody else has imported torch.
    """

    def __init__(self, imports_torch: bool = False) -> None:
        self._imports_torch = imports_torch
        self._cuda: Any = None
        self._nvml: Any = None
        self._handle: Any = None
        self._status = {"cuda": "torch is not imported", "nvml": "not looked for"}
        self._identified = False

    def status(self) -> dict[str, str]:
        """Return what there is under ``cuda`` and ``nvml``: a device's name, or why there is none."""
        self._find()
        return dict(self._status)

    def synchronise(self) -> bool:
        """Wait for everything that was started on the device; return whether there is one."""
        self._find()
        if self._cuda is None:
            return False
        if self._cuda.is_initialized():
            self._identify()
            self._cuda.synchronize()
        return True

    def utilisation_percent(self) -> int | None:
        """Return which share of NVML's last period the device was busy; None without NVML."""
        if self._handle is None:
            return None
        try:
            return int(self._nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu)
        except self._nvml.NVMLError as error:
            self._status["nvml"] = f"failed: {error}"
            self._handle = None
            return None

    def _find(self) -> None:
        torch = importlib.import_module("torch") if self._imports_torch else sys.modules.get("torch")
        if self._cuda is not None or torch is None:
            return
        if torch.cuda.is_available():
            self._cuda = torch.cuda
            self._status = {"cuda": "not in use", "nvml": "not in use"}
        else:
            self._status = {"cuda": "no device", "nvml": "no device"}

    def _identify(self) -> None:
        # Not before somebody uses the device: asking for its name would start CUDA in this process.
        if self._identified:
            return
        self._identified = True
        properties = self._cuda.get_device_properties(self._cuda.current_device())
        self._status["cuda"] = str(properties.name)
        self._find_in_nvml(f"GPU-{properties.uuid}")

    def _find_in_nvml(self, uuid: str) -> None:
        try:
            self._nvml = importlib.import_module("pynvml")
        except ImportError:
            self._status["nvml"] = "nvidia-ml-py is not installed (extra 'cuda')"
            return
        try:
            self._nvml.nvmlInit()
            # By its identity: NVML knows nothing of CUDA_VISIBLE_DEVICES.
            self._handle = self._nvml.nvmlDeviceGetHandleByUUID(uuid)
            self._status["nvml"] = str(self._nvml.nvmlSystemGetDriverVersion())
        except self._nvml.NVMLError as error:
            self._status["nvml"] = f"failed: {error}"


def _read_cuda_peak() -> int:
    return int(sys.modules["torch"].cuda.max_memory_allocated())


def _reset_cuda_peak() -> bool:
    cuda = sys.modules["torch"].cuda
    if cuda.is_initialized():
        cuda.reset_peak_memory_stats()
    return True


# Of the current device, one for the process, as for resident memory.
CUDA_PEAK = PeakMeter(_read_cuda_peak, _reset_cuda_peak)
