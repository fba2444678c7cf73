"""A small prepared data set of the package's own simulated recordings, shared by the tests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from patchtst_har.synthetic import ACTIVITIES as CLASSES
from patchtst_har.synthetic import SAMPLE_RATE_HZ, bout

START_NS = 1_700_000_000_000_000_000


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
            signal = bout(str(activity), windows_per_bout * window_size, rng)
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
