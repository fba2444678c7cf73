"""Memory of this process, as Linux counts it."""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class MemoryMark:
    """Memory at one moment: resident kB (0 where it is not known), blocks of Python's allocator."""

    rss_kb: float
    python_blocks: int


def mark() -> MemoryMark:
    """Return the memory used now."""
    return MemoryMark((resident_bytes() or 0) / 1024, sys.getallocatedblocks())


def resident_bytes() -> int | None:
    """Return the resident memory now; None where it is not known."""
    content = _content("statm")
    return None if content is None else int(content.split()[1]) * _PAGE_BYTES


def peak_resident_bytes() -> int | None:
    """Return the largest resident memory since `reset_peak`; None where it is not known."""
    content = _content("status")
    if content is None or b"VmHWM:" not in content:
        return None
    return int(content.split(b"VmHWM:", 1)[1].split(b"kB", 1)[0]) * 1024


def reset_peak() -> bool:
    """Reset the peak; return whether the system allows that."""
    try:
        Path("/proc/self/clear_refs").write_bytes(b"5")
    except OSError:
        return False
    return True


def peak_rss_mb() -> float:
    """Return the largest resident memory since `reset_peak`, or of the process's life."""
    peak = peak_resident_bytes()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 if peak is None else peak / 2**20


def _content(name: str) -> bytes | None:
    """Return the first 8 KiB of a file of this process in /proc; None if it cannot be read."""
    # Without `pathlib` and decoding: who measures microseconds pays for this.
    try:
        handle = os.open(f"/proc/self/{name}", os.O_RDONLY)
    except OSError:
        return None
    try:
        return os.read(handle, 8192)
    finally:
        os.close(handle)


def pooled_slope(groups: list[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> float:
    """Return the common least-squares slope of several lines (x, y), each with its own level."""
    products = squares = 0.0
    for x, y in groups:
        centred = x - x.mean()
        products += float(centred @ (y - y.mean()))
        squares += float(centred @ centred)
    return products / squares if squares else 0.0
