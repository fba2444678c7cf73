"""Small cohorts for tests: recordings of seconds, and what labelling them left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from patchtst_har.records.cohort import CohortSettings
from streams import make_samples

COHORT_CLASSES = ("sitting", "walking")
COHORT_SETTINGS = CohortSettings(version="1", model={"name": "wrist"}, options={"units": "mg"}, outputs={})


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


def cohort_table(n, seed=0):
    """Return a table as it is collated: n recordings of up to a week."""
    rng = np.random.default_rng(seed)
    worn, unworn = rng.uniform(300, 10_000, n), rng.gamma(1, 400, n)
    sitting, n_windows = rng.uniform(0.5, 0.9, n), (worn * 6).astype(int)
    n_unfamiliar = (rng.beta(1, 12, n) * n_windows).astype(int)
    return pd.DataFrame(
        {
            "recording": [f"P{number:05d}" for number in range(n)],
            "start": "2024-03-01 08:00:00",
            "hours": (worn + unworn) / 60,
            "wear_minutes": worn,
            "non_wear_minutes": unworn,
            "wear_share": worn / (worn + unworn),
            "minutes_sitting": sitting * worn,
            "minutes_walking": (1 - sitting) * worn,
            "n_windows": n_windows,
            "n_unfamiliar": n_unfamiliar,
            "unfamiliar_share": n_unfamiliar / n_windows,
            "rest_magnitude_g": 1.0,
            "n_warnings": rng.poisson(0.2, n),
        }
    )
