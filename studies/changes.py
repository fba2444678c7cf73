"""Changes of a recording that another sensor, another way to wear it, or a fault would make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from patchtst_har.data.resample import resample_recording

_AXES = ["x", "y", "z"]


@dataclass(frozen=True)
class Person:
    """Whose recording is changed.

    Attributes
    ----------
    rng : numpy.random.Generator
        The person's own draws of a change.
    forearm : {"x", "y"}
        The sensor's axis along the forearm; z stands on the back of the wrist.
    """

    rng: np.random.Generator
    forearm: str


Change = Callable[[pd.DataFrame, Person], pd.DataFrame]
"""From a recording (index `time`, x, y, z in g, annotation) to another."""


def _turned(recording: pd.DataFrame, person: Person, degrees: float, axis: str) -> pd.DataFrame:
    """Turn the sensor about the forearm, or about an axis that is drawn for the person."""
    own = np.eye(3)[_AXES.index(person.forearm)]
    direction = own if axis == "forearm" else person.rng.normal(size=3)
    return _mapped(recording, rotation(direction, degrees))


def _scaled(recording: pd.DataFrame, person: Person, factor: float) -> pd.DataFrame:
    return _mapped(recording, factor * np.eye(3))


def _mirrored(recording: pd.DataFrame, person: Person) -> pd.DataFrame:
    """Change the sign of the axis across the wrist: the same movement of the other arm, worn alike."""
    signs = [1.0 if axis in (person.forearm, "z") else -1.0 for axis in _AXES]
    return _mapped(recording, np.diag(signs))


def _reversed(recording: pd.DataFrame, person: Person) -> pd.DataFrame:
    """Turn by 180 degrees about z: the sensor was put on the other way round."""
    return _mapped(recording, np.diag([-1.0, -1.0, 1.0]))


def _clipped(recording: pd.DataFrame, person: Person, limit_g: float) -> pd.DataFrame:
    return _replaced(recording, np.clip(recording[_AXES].to_numpy(), -limit_g, limit_g))


def _stuck(recording: pd.DataFrame, person: Person, axis: str) -> pd.DataFrame:
    """Let an axis keep its first value."""
    return recording.assign(**{axis: recording[axis].iloc[0]})


def _thinned(recording: pd.DataFrame, person: Person, share: float) -> pd.DataFrame:
    """Lose single samples at random."""
    return recording[person.rng.random(len(recording)) >= share]


def _slower(recording: pd.DataFrame, person: Person, rate_hz: float) -> pd.DataFrame:
    """Sample every stretch at another rate, low-passed before; the nearest annotations stay."""
    parts = []
    for segment in resample_recording(recording, rate_hz):
        after_ns = np.rint(np.arange(len(segment.samples)) * (1e9 / rate_hz)).astype(np.int64)
        stamps = (segment.start_ns + after_ns).view("datetime64[ns]")
        index = pd.DatetimeIndex(stamps, name=recording.index.name)
        parts.append(pd.DataFrame(segment.samples, index=index, columns=_AXES))
    changed = pd.concat(parts)
    nearest = recording.index.get_indexer(changed.index, method="nearest")
    return changed.assign(annotation=recording["annotation"].array.take(nearest))


CHANGES: dict[str, Change] = {
    **{
        f"turned {degrees} degrees about {'the forearm' if axis == 'forearm' else 'a random axis'}": partial(
            _turned, degrees=degrees, axis=axis
        )
        for axis in ("forearm", "random")
        for degrees in (15, 30, 90)
    },
    "9 % too large": partial(_scaled, factor=1.09),
    "9 % too small": partial(_scaled, factor=0.91),
    **{f"{rate_hz} Hz": partial(_slower, rate_hz=rate_hz) for rate_hz in (25, 50, 80)},
    **{f"clipped at {limit_g} g": partial(_clipped, limit_g=limit_g) for limit_g in (2, 8)},
    "5 % of the samples missing": partial(_thinned, share=0.05),
    **{f"axis {axis} stuck": partial(_stuck, axis=axis) for axis in _AXES},
    "the other wrist (mirrored)": _mirrored,
    "sensor reversed (x and y change sign)": _reversed,
}
"""Each change by the words of the table."""


def rotation(axis: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
    """Return the rotation matrix (3, 3) about an axis (3,) of any length, by Rodrigues' formula."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.deg2rad(degrees)
    matrix: NDArray[np.float64] = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return matrix


def _mapped(recording: pd.DataFrame, matrix: NDArray[np.float64]) -> pd.DataFrame:
    return _replaced(recording, recording[_AXES].to_numpy() @ matrix.T)


def _replaced(recording: pd.DataFrame, samples: NDArray[np.floating]) -> pd.DataFrame:
    columns = samples.astype(np.float32)
    return recording.assign(**{axis: columns[:, index] for index, axis in enumerate(_AXES)})
