"""Windows of labelled recordings as the device wrote them.

Neither resampled nor filtered, ties included.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from patchtst_har.data import read_recording

N_SAMPLES = 1000
LONGEST_PAUSE = pd.Timedelta(seconds=1)


def windows_by_activity(folder: Path, per_activity: int) -> dict[str, np.ndarray]:
    """Return (at most `per_activity`, 1000, 3) float32 windows in g of each activity, the stillest first.

    `folder` holds recordings that `read_recording` reads, with annotations. The windows of an activity are
    spread evenly over the people.
    """
    found: dict[str, list[np.ndarray]] = {}
    for path in sorted(folder.glob("*.npz")):
        for activity, window in _windows(read_recording(path)[0]):
            found.setdefault(activity, []).append(window)
    chosen = {activity: _spread(windows, per_activity) for activity, windows in found.items()}
    return dict(sorted(chosen.items(), key=lambda item: _restlessness(item[1])))


@cache
def windows_of_all(folder: Path, count: int) -> np.ndarray:
    """Return (at most `count`, 1000, 3) windows, spread evenly over activities and people."""
    return _spread(list(np.concatenate(list(windows_by_activity(folder, count).values()))), count)


def _windows(recording: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    """Yield activities and windows, back to back from every stretch of one annotation without a pause."""
    samples = recording[["x", "y", "z"]].to_numpy(np.float32)
    codes = recording["annotation"].cat.codes.to_numpy()
    names = recording["annotation"].cat.categories
    pauses = np.diff(recording.index) > LONGEST_PAUSE
    changes = np.flatnonzero((np.diff(codes) != 0) | pauses) + 1
    for start, stop in pairwise([0, *changes, len(codes)]):
        for first in range(start, stop - N_SAMPLES + 1, N_SAMPLES) if codes[start] >= 0 else ():
            yield str(names[codes[start]]), samples[first : first + N_SAMPLES]


def _spread(windows: list[np.ndarray], count: int) -> np.ndarray:
    places = np.linspace(0, len(windows) - 1, min(count, len(windows))).round().astype(int)
    return np.stack([windows[place] for place in places])


def _restlessness(windows: np.ndarray) -> float:
    """Return the median, over windows, of the standard deviation of the magnitude."""
    return float(np.median(np.linalg.norm(windows, axis=2).std(axis=1)))
