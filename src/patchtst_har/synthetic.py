"""Simulated wrist accelerometer data: the same samples for the same seed, in g, imports numpy alone.

`signal` and `windows` make kinds of movement whose processing costs differ, for measuring. `bout` and
`recording` make activities that differ clearly and vary from bout to bout, for trying out models.
`daily_bout` makes six daily activities with the postures, cadences and harmonics that a wrist has, so that
the shipped models have something to recognise. Simulated data say nothing about accuracy on people.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
DAILY_ACTIVITIES = ("lying", "sitting", "standing", "walking", "stairs", "running")
"""Activities of `daily_bout`."""
SAMPLE_RATE_HZ = 100.0

_GRID_PER_G = 64
# Of each activity: steps a second, their acceleration and the noise in g.
_BOUTS = {"running": (3.0, 0.9, 0.12), "sitting": (0.0, 0.0, 0.01), "walking": (2.0, 0.3, 0.05)}


@dataclass(frozen=True)
class _Daily:
    """An activity of a wrist; all but `steps_hz` in g.

    Postures, steps and harmonics are rounded medians over the people of selfBACK (Sani et al., KSEM 2017;
    stairs: downstairs); how much they vary is set by hand.
    """

    posture: tuple[float, float, float]
    sway_g: float
    sway_s: float
    """Irregular movement, and the time after which it is another one."""
    steps_hz: tuple[float, float] = (0.0, 0.0)
    """Mean and deviation over bouts; 0 without steps."""
    harmonics: tuple[tuple[float, ...], ...] = ()
    """Of the stride (two steps), for x, y and z."""
    uneven: float = 0.15
    """How much each harmonic grows and shrinks, as a part of it."""


_DAILY = {
    "lying": _Daily((-0.45, 0.57, 0.58), 0.008, 0.5),
    "sitting": _Daily((-0.52, 0.02, 0.75), 0.008, 0.5),
    "standing": _Daily((-0.38, -0.92, 0.0), 0.02, 0.5),
    "walking": _Daily(
        *((-0.33, -0.94, 0.05), 0.05, 0.1, (1.85, 0.1)),
        (
            (0.12, 0.06, 0.037, 0.041, 0.028, 0.022),
            (0.064, 0.172, 0.052, 0.067, 0.029, 0.05),
            (0.106, 0.054, 0.039, 0.027, 0.02, 0.021),
        ),
    ),
    "stairs": _Daily(
        *((-0.33, -0.94, 0.02), 0.2, 0.2, (2.15, 0.2)),
        (
            (0.1, 0.1, 0.078, 0.055, 0.04, 0.03),
            (0.094, 0.36, 0.09, 0.095, 0.045, 0.041),
            (0.115, 0.09, 0.06, 0.04, 0.03, 0.023),
        ),
        0.3,
    ),
    "running": _Daily(
        *((-0.97, -0.2, 0.03), 0.25, 0.1, (2.6, 0.08)),
        (
            (0.232, 1.518, 0.116, 0.551, 0.103, 0.243),
            (0.766, 0.321, 0.135, 0.12, 0.112, 0.083),
            (0.151, 0.369, 0.077, 0.121, 0.046, 0.068),
        ),
    ),
}


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


def daily_bout(
    activity: str, n_samples: int, rng: np.random.Generator, *, sample_rate_hz: float = SAMPLE_RATE_HZ
) -> Samples:
    """Return one bout of a daily activity as a sensor at the wrist that records steps of 1/64 g has it.

    The posture of the forearm drifts, steps are a sum of six harmonics of the stride whose pace and size
    wander, irregular movement is added. Only the medians are those of people: nobody moves so evenly.

    Parameters
    ----------
    activity : {"lying", "sitting", "standing", "walking", "stairs", "running"}
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
        Acceleration in g; y along the forearm, towards the hand.

    Raises
    ------
    DataError
        If the activity is unknown.
    """
    if activity not in _DAILY:
        raise DataError(f"activity: must be one of {', '.join(DAILY_ACTIVITIES)}, is {activity!r}")
    made = _DAILY[activity]

    def wander(seconds: float) -> NDArray[np.float64]:
        """Return a curve of deviation 1 that takes another value every so many seconds."""
        knots = np.arange(0, n_samples / sample_rate_hz + 2 * seconds, seconds)
        return np.interp(np.arange(n_samples) / sample_rate_hz, knots, rng.normal(size=len(knots)))

    def wandering(seconds: float) -> NDArray[np.float64]:
        return np.stack([wander(seconds) for _ in range(3)], axis=1)

    posture = np.array(made.posture) + rng.normal(0, 0.06, 3) + 0.02 * wandering(20.0)
    samples = posture / np.linalg.norm(posture, axis=1, keepdims=True)
    samples = samples + made.sway_g * wandering(made.sway_s) + rng.normal(0, 0.006, samples.shape)
    if made.harmonics:
        stride_hz = rng.normal(*made.steps_hz) / 2 * (1 + 0.03 * wander(2.0))
        stride = 2 * np.pi * np.cumsum(stride_hz) / sample_rate_hz
        size = np.array(made.harmonics) * rng.uniform(0.85, 1.15)
        begin = rng.uniform(0, 2 * np.pi, size.shape)
        for h in range(size.shape[1]):
            wave = size[:, h] * np.sin((h + 1) * stride[:, np.newaxis] + begin[:, h])
            samples += (1 + made.uneven * wander(1.0))[:, np.newaxis] * wave
    recorded: Samples = (np.round(samples * _GRID_PER_G) / _GRID_PER_G).astype(np.float32)
    return recorded


def recording(
    bouts: Sequence[tuple[str | None, float]] = (("sitting", 30.0), ("walking", 30.0), ("running", 30.0)),
    *,
    make: Callable[..., Samples] = bout,
    sample_rate_hz: float = SAMPLE_RATE_HZ,
    start: str = "2024-03-01 08:00:00",
    seed: int = 0,
) -> pd.DataFrame:
    """Return one continuous annotated recording, as `data.read_recording` does; imports pandas.

    Parameters
    ----------
    bouts : sequence of (str or None, float)
        Activities of `make` and seconds; None is quiet and carries no annotation.
    make : callable
        `bout` or `daily_bout`.
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
        parts.append(make(activity or "sitting", n_samples, rng, sample_rate_hz=sample_rate_hz))
        annotation += [activity] * n_samples
    samples = np.concatenate(parts)
    offsets_ns = np.rint(np.arange(len(samples)) * (1e9 / sample_rate_hz)).astype(np.int64)
    index = pd.DatetimeIndex(pd.Timestamp(start).as_unit("ns").value + offsets_ns, name="time")
    frame = pd.DataFrame(samples, index=index, columns=["x", "y", "z"])
    frame["annotation"] = pd.Series(annotation, index=index, dtype=object)
    return frame
