"""Memory of this process, as Linux counts it; on macOS only the peak of its life, on Windows nothing."""

from __future__ import annotations

import mmap
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from patchtst_har.errors import DataError

try:
    import resource
except ImportError:  # Windows
    _HAS_RESOURCE = False
else:
    _HAS_RESOURCE = True

# Of ru_maxrss.
_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024
# Who cannot have so much has none.
_LITTLE_BYTES = 2**24


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
    return None if content is None else int(content.split()[1]) * mmap.PAGESIZE


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
    """Return the largest resident memory since `reset_peak`, or of the process's life.

    Raises
    ------
    DataError
        If it is not known, as on Windows.
    """
    peak = peak_resident_bytes()
    if peak is None:
        if not _HAS_RESOURCE:
            raise DataError(f"memory: {sys.platform} does not tell that of a process; Linux and macOS do")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT_BYTES
    return peak / 2**20


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


def lacks_memory() -> bool:
    """Whether there is next to none: an error of any class may come from that.

    Python's compiler raises a `SystemError` or `ValueError` then, which says nothing of memory.
    """
    try:
        bytearray(_LITTLE_BYTES)
    except MemoryError:
        return True
    return False
