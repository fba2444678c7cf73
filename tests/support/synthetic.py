"""Small, learnable, made-up accelerometer data shared by the tests. Nothing here uses the package."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

CLASSES = ("running", "sitting", "walking")
SAMPLE_RATE_HZ = 100.0
START_NS = 1_700_000_000_000_000_000
_STEP_HZ = {"running": 3.0, "sitting": 0.0, "walking": 2.0}
_SWING_G = {"running": 0.9, "sitting": 0.0, "walking": 0.3}
_NOISE_G = {"running": 0.12, "sitting": 0.01, "walking": 0.05}


def activity_signal(
    activity: str, n_samples: int, rng: np.random.Generator, *, sample_rate_hz: float = SAMPLE_RATE_HZ
) -> NDArray[np.float32]:
    """Return (n_samples, 3) acceleration in g of one bout: gravity, steps with a harmonic, noise."""
    time_s = np.arange(n_samples) / sample_rate_hz
    still = activity == "sitting"
    gravity = np.array([0.1, 0.2, 0.97] if still else [-0.9, 0.25, 0.3]) + rng.normal(0, 0.05, 3)
    gravity /= np.linalg.norm(gravity)
    step_hz = _STEP_HZ[activity] * rng.uniform(0.93, 1.07)
    phase = rng.uniform(0, 2 * np.pi)
    swing = _SWING_G[activity] * rng.uniform(0.85, 1.15)
    wave = np.sin(2 * np.pi * step_hz * time_s + phase) + 0.4 * np.sin(
        4 * np.pi * step_hz * time_s + 2 * phase
    )
    axes = np.array([1.0, 0.5, 0.3])
    noise = rng.normal(0, _NOISE_G[activity], (n_samples, 3))
    signal: NDArray[np.float32] = (gravity + swing * wave[:, None] * axes + noise).astype(np.float32)
    return signal


def make_prepared(
    folder: Path,
    *,
    n_participants: int = 6,
    bouts_per_class: int = 3,
    windows_per_bout: int = 4,
    window_size: int = 1000,
    seed: int = 0,
) -> None:
    """Write a prepared data set: people P01.., three classes in bouts, windows back to back within a bout.

    Bouts come in a random order a person and are separated by a pause of 30 s, so a person has
    ``3 * bouts_per_class * windows_per_bout`` windows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["participant,status,outfile"]
    for number in range(1, n_participants + 1):
        participant = f"P{number:02d}"
        rng = np.random.default_rng([seed, number])
        bouts = rng.permutation(np.repeat(CLASSES, bouts_per_class))
        hop_ns = round(window_size / SAMPLE_RATE_HZ * 1e9)
        windows, start_ns = [], []
        clock = START_NS + number * 86_400 * 10**9
        for activity in bouts:
            signal = activity_signal(str(activity), windows_per_bout * window_size, rng)
            windows.append(signal.reshape(windows_per_bout, window_size, 3))
            start_ns.append(clock + hop_ns * np.arange(windows_per_bout, dtype=np.int64))
            clock += hop_ns * windows_per_bout + 30 * 10**9
        np.savez(
            folder / f"{participant}.npz",
            windows=np.concatenate(windows),
            labels_str=np.repeat(bouts, windows_per_bout),
            first_ts_epoch_ns=np.concatenate(start_ns),
        )
        rows.append(f"{participant},ok,{participant}.npz")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "classes.json").write_text(json.dumps(list(CLASSES)), encoding="utf-8")
    encoder = {name: index for index, name in enumerate(CLASSES)}
    (folder / "label_encoder.json").write_text(json.dumps(encoder), encoding="utf-8")


def make_recording(
    *,
    bouts: tuple[tuple[str | None, float], ...] = (("sitting", 30.0), ("walking", 30.0), ("running", 30.0)),
    sample_rate_hz: float = SAMPLE_RATE_HZ,
    start: str = "2024-03-01 08:00:00",
    seed: int = 0,
) -> pd.DataFrame:
    """Return one continuous recording: `time` index (ns, naive), x, y, z in g, `annotation`.

    `bouts` are pairs of activity and seconds; an activity of None is quiet and carries no annotation.
    """
    rng = np.random.default_rng(seed)
    parts, annotation = [], []
    for activity, seconds in bouts:
        n_samples = round(seconds * sample_rate_hz)
        parts.append(activity_signal(activity or "sitting", n_samples, rng, sample_rate_hz=sample_rate_hz))
        annotation += [activity] * n_samples
    signal = np.concatenate(parts)
    offsets_ns = np.rint(np.arange(len(signal)) * (1e9 / sample_rate_hz)).astype(np.int64)
    index = pd.DatetimeIndex(pd.Timestamp(start).as_unit("ns").value + offsets_ns, name="time")
    frame = pd.DataFrame(signal, index=index, columns=["x", "y", "z"])
    frame["annotation"] = pd.Series(annotation, index=index, dtype=object)
    return frame
