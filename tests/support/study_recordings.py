"""Simulated recordings in the folders and the form that the studies read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from patchtst_har.synthetic import bout

ACTIVITIES = {
    "selfback_wrist": {
        **dict.fromkeys(("lying", "sitting", "standing"), "sitting"),
        **dict.fromkeys(("walk_slow", "walk_mod", "walk_fast", "upstairs", "downstairs"), "walking"),
        "jogging": "running",
    },
    "wisdm_watch": {
        **dict.fromkeys(("walking", "stairs", "kicking"), "walking"),
        "jogging": "running",
        **dict.fromkeys(("sitting", "standing"), "sitting"),
    },
}
"""What is simulated for each activity of each source."""
RATES_HZ = {"selfback_wrist": 100.0, "wisdm_watch": 20.0}


def write_study_recordings(data: Path, *, n_people: int = 5, bout_s: float = 51.0) -> None:
    """Write people P001.. of selfBACK and W001.. of WISDM: one bout of every activity, a pause after each."""
    for source, activities in ACTIVITIES.items():
        folder = data / source
        folder.mkdir(parents=True)
        for number in range(1, n_people + 1):
            name = f"{source[0].replace('s', 'P').replace('w', 'W')}{number:03d}"
            np.savez(folder / f"{name}.npz", **_person(activities, RATES_HZ[source], bout_s, number))


def _person(activities: dict[str, str], rate_hz: float, bout_s: float, number: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([number, int(rate_hz)])
    n_samples = int(bout_s * rate_hz)
    parts = []
    for index, (activity, simulated) in enumerate(activities.items()):
        samples = bout(simulated, int(bout_s * 100), rng)[:: int(100 / rate_hz)]
        # An activity's own direction of gravity tells it from those that are simulated alike.
        turned = np.roll(samples, index, axis=1)
        stamps = np.rint(1000 * (index * (bout_s + 30) + np.arange(n_samples) / rate_hz)).astype(np.int32)
        parts.append((turned, stamps, np.full(n_samples, index), activity))
    acceleration, stamps, index, names = zip(*parts, strict=True)
    return {
        "acc": np.concatenate(acceleration).astype(np.float32),
        "t_ms": np.concatenate(stamps),
        "seg": np.concatenate(index).astype(np.int16),
        "y": np.concatenate(index).astype(np.int8),
        "classes": np.array(names),
        "fs": np.array(rate_hz),
    }
