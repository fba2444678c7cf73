"""Simulated wrist accelerometer data: the same samples for the same seed, in g, imports numpy alone.

`signal` and `windows` make kinds of movement whose processing costs differ, for measuring. `bout` and
`recording` make activities that differ clearly and vary from bout to bout, for trying out models.
Simulated data say nothing about accuracy on people.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from patchtst_har.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Samples = NDArray[np.float32]

KINDS = ("walking", "still", "noise")
"""Kinds of movement of `signal`."""
ACTIVITIES = ("running", "sitting", "walking")
"""Activities of `bout`."""
SAMPLE_RATE_HZ = 100.0

_GRID_PER_G = 64
# Of each activity: steps a second, their acceleration and the noise in g.
_BOUTS = {"running": (3.0, 0.9, 0.12), "sitting": (0.0, 0.0, 0.01), "walking": (2.0, 0.3, 0.05)}


def signal(
    kind: str,
    n_samples: int,
    rng: np.random.Generator,
    *,
    sample_rate_hz: float = SAMPLE_RATE_HZ,
    step_hz: float | None = None,
) -> Samples:
    """Return one segment of a kind of movement.

    Parameters
    ----------
    kind : {"walking", "still", "noise"}
        A swinging arm and heel strikes at a pace that wanders; a sensor at rest that records steps of 1/64 g
        (few values, many ties); white noise of 0.3 g about gravity.
    n_samples : int
        Length.
    rng : numpy.random.Generator
        Source of everything random.
    sample_rate_hz : float
        Samples per second.
    step_hz : float, optional
        Mean steps per second of walking; by default drawn from 1.5 to 2.3, and the phase at the start too.

    Returns
    -------
    ndarray of float32, shape (n_samples, 3)
        Acceleration in g.

    Raises
    ------
    DataError
        If the kind is unknown.
    """
    if kind == "walking":
        return _walking(n_samples, rng, sample_rate_hz, step_hz)
    if kind == "still":
        at_rest = np.array([0.1, 0.2, 0.97]) + rng.normal(0, 0.006, (n_samples, 3))
        return (np.round(at_rest * _GRID_PER_G) / _GRID_PER_G).astype(np.float32)
    if kind == "noise":
        return (np.array([0.3, 0.5, 0.8]) + rng.normal(0, 0.3, (n_samples, 3))).astype(np.float32)
    raise DataError(f"kind: must be one of {', '.join(KINDS)}, is {kind!r}")


def _walking(n_samples: int, rng: np.random.Generator, rate_hz: float, step_hz: float | None) -> Samples:
    first = 0.0
    if step_hz is None:
        step_hz, first = rng.uniform(1.5, 2.3), rng.uniform(0, 2 * np.pi)
    time_s = np.arange(n_samples) / rate_hz
    wander = np.cumsum(rng.normal(0, 0.02, n_samples)) * np.sqrt(np.diff(time_s, prepend=0))
    phase = 2 * np.pi * step_hz * time_s + wander + first
    arm = np.sin(phase / 2)[:, np.newaxis] * [0.25, 0.15, 0.05]
    heel = np.exp(4 * (np.cos(phase) - 1))[:, np.newaxis] * [0.5, 0.1, 0.3]
    samples: Samples = np.array([-0.8, 0.3, 0.5]) + arm + heel
    return (samples + rng.normal(0, 0.05, samples.shape)).astype(np.float32)


def windows(
    kind: str,
    n_windows: int,
    *,
    window_size: int = 1000,
    sample_rate_hz: float = SAMPLE_RATE_HZ,
    seed: int = 0,
) -> Samples:
    """Return independent windows of one kind of movement, or of all in turn.

    Parameters
    ----------
    kind : {"walking", "still", "noise", "mixed"}
        See `signal`; ``mixed`` takes the kinds in turn.
    n_windows, window_size : int
        How many, and samples of each.
    sample_rate_hz : float
        Samples per second.
    seed : int
        The same windows for the same arguments.

    Returns
    -------
    ndarray of float32, shape (n_windows, window_size, 3)
        Acceleration in g, C order.

    Raises
    ------
    DataError
        If the kind is unknown.
    """
    kinds = KINDS if kind == "mixed" else (kind,)
    # A generator for each kind: the windows of a kind are the same alone and among others.
    rngs = [np.random.default_rng(seed) for _ in kinds]
    made = np.empty((n_windows, window_size, 3), np.float32)
    for number in range(n_windows):
        which = number % len(kinds)
        made[number] = signal(kinds[which], window_size, rngs[which], sample_rate_hz=sample_rate_hz)
    return made


def bout(
    activity: str, n_samples: int, rng: np.random.Generator, *, sample_rate_hz: float = SAMPLE_RATE_HZ
) -> Samples:
    """Return one bout of an activity: gravity, steps with a harmonic, noise, each a little different.

    Parameters
    ----------
    activity : {"running", "sitting", "walking"}
        What is done.
    n_samples : int
        Length.
    rng : numpy.random.Generator
        Source of everything random.
    sample_rate_hz : float
        Samples per second.

    Returns
    -------
    ndarray of float32, shape (n_samples, 3)
        Acceleration in g.

    Raises
    ------
    DataError
        If the activity is unknown.
    """
    if activity not in _BOUTS:
        raise DataError(f"activity: must be one of {', '.join(ACTIVITIES)}, is {activity!r}")
    steps_hz, swing_g, noise_g = _BOUTS[activity]
    time_s = np.arange(n_samples) / sample_rate_hz
    gravity = np.array([0.1, 0.2, 0.97] if steps_hz == 0 else [-0.9, 0.25, 0.3]) + rng.normal(0, 0.05, 3)
    gravity /= np.linalg.norm(gravity)
    step_hz = steps_hz * rng.uniform(0.93, 1.07)
    phase = rng.uniform(0, 2 * np.pi)
    swing = swing_g * rng.uniform(0.85, 1.15)
    angle = 2 * np.pi * step_hz * time_s + phase
    wave = np.sin(angle) + 0.4 * np.sin(2 * angle)
    noise = rng.normal(0, noise_g, (n_samples, 3))
    return (gravity + swing * wave[:, np.newaxis] * [1.0, 0.5, 0.3] + noise).astype(np.float32)


def recording(
    bouts: Sequence[tuple[str | None, float]] = (("sitting", 30.0), ("walking", 30.0), ("running", 30.0)),
    *,
    sample_rate_hz: float = SAMPLE_RATE_HZ,
    start: str = "2024-03-01 08:00:00",
    seed: int = 0,
) -> pd.DataFrame:
    """Return one continuous annotated recording, as `data.read_recording` does; imports pandas.

    Parameters
    ----------
    bouts : sequence of (str or None, float)
        Activities of `bout` and seconds; None is quiet and carries no annotation.
    sample_rate_hz : float
        Samples per second.
    start : str
        Time of the first sample.
    seed : int
        The same recording for the same arguments.

    Returns
    -------
    DataFrame
        Index ``time`` (ns, naive), columns ``x, y, z`` in g (float32) and ``annotation``.

    Raises
    ------
    DataError
        If an activity is unknown.
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    parts, annotation = [], []
    for activity, seconds in bouts:
        n_samples = round(seconds * sample_rate_hz)
        parts.append(bout(activity or "sitting", n_samples, rng, sample_rate_hz=sample_rate_hz))
        annotation += [activity] * n_samples
    samples = np.concatenate(parts)
    offsets_ns = np.rint(np.arange(len(samples)) * (1e9 / sample_rate_hz)).astype(np.int64)
    index = pd.DatetimeIndex(pd.Timestamp(start).as_unit("ns").value + offsets_ns, name="time")
    frame = pd.DataFrame(samples, index=index, columns=["x", "y", "z"])
    frame["annotation"] = pd.Series(annotation, index=index, dtype=object)
    return frame
