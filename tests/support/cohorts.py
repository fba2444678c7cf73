"""Small cohorts for tests: recordings of seconds, and what labelling them left."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from streams import make_samples


def write_npz(path: Path, seed: int = 0, seconds: float = 20.0) -> Path:
    """Write a recording; folders are made."""
    samples, stamps = make_samples(seconds, seed=seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, time_ns=stamps, acc=samples)
    return path


def write_cohort(folder: Path, n: int = 6, **more: float) -> Path:
    """Write recordings P00, P01, ... into the folders site0 and site1; return the folder above."""
    for number in range(n):
        write_npz(folder / f"site{number % 2}" / f"P{number:02d}.npz", seed=number, **more)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Return what a run left that must not depend on how it ran: all files but the times."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "timings.csv"
    }


def summaries(folder: Path) -> dict[str, tuple[int, int]]:
    """Return of each finished recording what shows whether its summary was written again."""
    return {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in sorted((folder / "recordings").rglob("*_summary.json"))
    }
