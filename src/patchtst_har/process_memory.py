"""Memory of this process, as Linux counts it."""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_PROC = Path("/proc/self")
_PAGE_KB = os.sysconf("SC_PAGE_SIZE") / 1024


@dataclass(frozen=True)
class MemoryMark:
    """Memory at one moment: resident kB (0 where the system does not tell), blocks of Python's allocator."""

    rss_kb: float
    python_blocks: int


def mark() -> MemoryMark:
    """Return the memory used now."""
    try:
        pages = int((_PROC / "statm").read_text(encoding="ascii").split()[1])
    except OSError:
        pages = 0
    return MemoryMark(pages * _PAGE_KB, sys.getallocatedblocks())


def reset_peak() -> bool:
    """Begin to count the peak anew; return whether the system allows that."""
    try:
        (_PROC / "clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def peak_rss_mb() -> float:
    """Return the largest resident memory since `reset_peak`, or of the process's life."""
    try:
        status = (_PROC / "status").read_text(encoding="ascii")
    except OSError:
        status = ""
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def pooled_slope(groups: list[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> float:
    """Return the common least-squares slope of several lines (x, y), each with its own level."""
    products = squares = 0.0
    for x, y in groups:
        centred = x - x.mean()
        products += float(centred @ (y - y.mean()))
        squares += float(centred @ centred)
    return products / squares if squares else 0.0
