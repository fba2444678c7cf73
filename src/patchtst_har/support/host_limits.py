"""What Linux lets this process use, and how it governs the processor's clock."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# A limit of "none" of the first version of control groups: whole pages below 2**63.
_UNLIMITED_BYTES = 2**60
# user, nice, system, idle, iowait, irq, softirq, steal; what follows is counted in these, too.
_N_TICKS = 8


def clock_settings(cpus: Path = Path("/sys/devices/system/cpu")) -> dict[str, Any]:
    """Return the ``governor`` of the usable cores (several with commas) and whether ``turbo`` is on.

    None for what the machine does not show, as most virtual ones.
    """
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    governors = {_read(cpus / f"cpu{number}" / "cpufreq" / "scaling_governor") for number in usable}
    forbidden = _read(cpus / "intel_pstate" / "no_turbo")
    boost = _read(cpus / "cpufreq" / "boost")
    turbo = None if boost is None else boost == "1"
    return {
        "governor": ",".join(sorted(name for name in governors if name)) or None,
        "turbo": turbo if forbidden is None else forbidden == "0",
    }


def container_limits(
    groups: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> dict[str, float | None]:
    """Return the tightest limits of this process's control groups and all above them.

    Returns
    -------
    dict
        ``cpus``, processor seconds per second; ``memory_mb``; None where no limit exists or can be read.
    """
    cpus: list[float] = []
    memory_mb: list[float] = []
    for line in (_read(membership) or "").splitlines():
        _, controllers, path = line.split(":", 2)
        roots = [groups / controllers] if controllers else [groups, groups / "unified"]
        for root in roots:
            for folder in _upwards(root, path):
                cpus += _cpus_of(folder)
                memory_mb += _memory_of(folder)
    return {"cpus": min(cpus, default=None), "memory_mb": min(memory_mb, default=None)}


@dataclass(frozen=True)
class ProcessorUse:
    """Processor time used so far by the main thread, and taken by the hypervisor.

    Attributes
    ----------
    ran_ns, waited_ns : int
        Time on a core, and time ready to run while others did.
    all_ticks, stolen_ticks : int
        Of all cores of the machine.
    """

    ran_ns: int
    waited_ns: int
    all_ticks: int
    stolen_ticks: int

    @classmethod
    def now(cls, processes: Path = Path("/proc")) -> ProcessorUse | None:
        """Return the counters of this moment; None where the system does not show them."""
        scheduled = (_read(processes / "self" / "schedstat") or "").split()
        ticks = (_read(processes / "stat") or "").partition("\n")[0].split()[1:]
        if len(scheduled) < 2 or len(ticks) < _N_TICKS:
            return None
        return cls(
            int(scheduled[0]), int(scheduled[1]), sum(map(int, ticks[:_N_TICKS])), int(ticks[_N_TICKS - 1])
        )

    def until(self, later: ProcessorUse | None) -> dict[str, float]:
        """Return the shares of the time until `later`; empty if that is None.

        Returns
        -------
        dict
            ``waited_share``, of the thread's time; ``stolen_share``, of the machine's.
        """
        if later is None:
            return {}
        ran, waited = later.ran_ns - self.ran_ns, later.waited_ns - self.waited_ns
        ticks = later.all_ticks - self.all_ticks
        return {
            "waited_share": waited / max(ran + waited, 1),
            "stolen_share": (later.stolen_ticks - self.stolen_ticks) / max(ticks, 1),
        }


def _upwards(root: Path, path: str) -> list[Path]:
    folder = root / path.lstrip("/")
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(root))]


def _cpus_of(folder: Path) -> list[float]:
    both = (_read(folder / "cpu.max") or "").split()
    quota, period = both or (_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))
    if quota in (None, "max", "-1") or period is None:
        return []
    return [int(quota) / int(period)]


def _memory_of(folder: Path) -> list[float]:
    limits = (_read(folder / "memory.max"), _read(folder / "memory.limit_in_bytes"))
    numbers = [int(limit) for limit in limits if limit not in (None, "max")]
    return [number / 2**20 for number in numbers if number < _UNLIMITED_BYTES]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return None
