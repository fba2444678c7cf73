"""What else a measurement takes: pauses of the garbage collector, and energy where it can be read."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns
from typing import Self

from patchtst_har.records.measurement import Energy, GarbageCollection

_POWERCAP = Path("/sys/class/powercap")

ReadJoules = Callable[[], float]


class GarbageWatch:
    """Counts collections and the longest pause while it is entered; changes nothing about the collector.

    Attributes
    ----------
    collections : list of int
        By generation.
    longest_pause_ns : int
        Of one collection; 0 if there was none.
    """

    def __init__(self) -> None:
        self.collections = [0, 0, 0]
        self.longest_pause_ns = 0
        self._began_ns = 0

    def __enter__(self) -> Self:
        gc.callbacks.append(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        gc.callbacks.remove(self._note)

    def record(self) -> GarbageCollection:
        """Return the counts."""
        return GarbageCollection(
            enabled=gc.isenabled(),
            collections=tuple(self.collections),
            longest_pause_us=self.longest_pause_ns / 1e3,
        )

    def _note(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began_ns = perf_counter_ns()
            return
        self.collections[info["generation"]] += 1
        self.longest_pause_ns = max(self.longest_pause_ns, perf_counter_ns() - self._began_ns)


class EnergyMeter:
    """Joules between `start` and `record`, of the whole processor package or GPU.

    Parameters
    ----------
    device : {"cpu", "cuda"}
        The processor is read through RAPL, a GPU through NVML.
    powercap : pathlib.Path
        Where Linux shows RAPL.
    """

    def __init__(self, device: str, powercap: Path = _POWERCAP) -> None:
        self._source = "NVML" if device == "cuda" else "RAPL"
        self._read: ReadJoules | None = None
        self._joules = 0.0
        self._why = ""
        try:
            self._read = _nvml() if device == "cuda" else _rapl(powercap)
        except _NotReadableError as error:
            self._why = str(error)

    def start(self) -> None:
        """Begin to count."""
        if self._read is not None:
            self._joules = self._read()

    def record(self, n_decisions: int) -> Energy:
        """Return the energy since `start` for each of so many decisions."""
        if self._read is None:
            return Energy(status="not measured", why=self._why)
        joules = self._read() - self._joules
        return Energy(status="measured", source=self._source, joules_per_decision=joules / n_decisions)


class _NotReadableError(Exception):
    """Says why."""


def _rapl(powercap: Path) -> ReadJoules:
    """Return what adds up the energy of all packages."""
    names = sorted(powercap.glob("*/name"))
    packages = [name.parent for name in names if name.read_text(encoding="ascii").startswith("package")]
    counters = [_RaplCounter(zone) for zone in packages]
    if not counters:
        raise _NotReadableError(f"{powercap} shows no energy counter of a processor package (RAPL)")
    return lambda: sum(counter.joules() for counter in counters)


class _RaplCounter:
    """One package's counter, which starts from 0 again at the end of its range (after minutes to hours)."""

    def __init__(self, zone: Path) -> None:
        self._file = zone / "energy_uj"
        self._range_uj = int((zone / "max_energy_range_uj").read_text(encoding="ascii"))
        self._before_uj = self._read_uj()
        self._total_uj = 0

    def joules(self) -> float:
        """Return the energy since the counter was made; to be asked at least once a range."""
        now_uj = self._read_uj()
        self._total_uj += (now_uj - self._before_uj) % (self._range_uj + 1)
        self._before_uj = now_uj
        return self._total_uj * 1e-6

    def _read_uj(self) -> int:
        try:
            return int(self._file.read_text(encoding="ascii"))
        except OSError as error:
            raise _NotReadableError(f"{self._file}: {error.strerror}") from error


def _nvml() -> ReadJoules:
    try:
        import pynvml
    except ImportError as error:
        raise _NotReadableError("nvidia-ml-py is not installed (extra cuda)") from error
    import torch

    try:
        pynvml.nvmlInit()
        # torch may number devices otherwise than NVML: the name that both know is the UUID.
        uuid = torch.cuda.get_device_properties(torch.cuda.current_device()).uuid
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError as error:
        raise _NotReadableError(f"NVML: {error}") from error
    return lambda: float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) * 1e-3
