"""Prepared data sets and cached features: NPZ files, the manifest, the classes."""

from __future__ import annotations

import json
import logging
import shutil
from functools import cache
from pathlib import Path

import numpy as np

from fuzz.choices import Choices, by_choice, changed_bytes, changed_document, two_ways
from fuzz.frame import Finding, Target, place
from fuzz.targets.documents import table_of
from fuzz.targets.recordings import npz_of
from patchtst_har.config import FeatureConfig
from patchtst_har.datasets.feature_cache import FeatureCache, cache_key
from patchtst_har.datasets.prepared import PreparedDataset

_LENGTH = 100


@cache
def _prepared() -> tuple[Path, dict[str, bytes]]:
    from prepared_data import make_prepared

    folder = place() / "prepared"
    make_prepared(folder, n_participants=2, bouts_per_class=1, windows_per_bout=2, window_size=_LENGTH)
    (folder / "preparation.json").write_text('{"clock": "utc", "window_size": 100}')
    return folder, {path.name: path.read_bytes() for path in folder.iterdir()}


def _changed(name: str, content: bytes, choices: Choices) -> bytes:
    if name.endswith(".npz"):
        with np.load(_prepared()[0] / name) as archive:
            arrays = {member: archive[member] for member in archive.files}
        return npz_of(arrays, choices)
    if name.endswith(".csv"):
        return table_of(content.decode(), choices)
    text = json.dumps(changed_document(json.loads(content), choices)).encode("utf-8", "surrogatepass")
    return changed_bytes(text, choices) if choices.below(4) == 3 else text


def _use_prepared(data: bytes) -> None:
    folder, files = _prepared()
    content, choices = two_ways(data)
    names = sorted(files)
    if content is None:
        name = choices.one_of(names)
        changed = _changed(name, files[name], choices)
    else:
        name, changed = names[content[0] % len(names)] if content else names[0], content[1:]
    (folder / name).write_bytes(changed)
    try:
        dataset = PreparedDataset.open(folder)
        _ = dataset.clock
        for participant in dataset.participants:
            whole = dataset.load(participant)
            stored = dataset.stored(participant, place() / "extracted")
            if not np.array_equal(stored.windows[: len(whole)], whole.windows):
                raise Finding("promise: stored windows are those that are loaded")
        dataset.fingerprint(dataset.participants)
    finally:
        (folder / name).write_bytes(files[name])
        shutil.rmtree(place() / "extracted", ignore_errors=True)


@cache
def _cached() -> tuple[FeatureCache, np.ndarray, FeatureConfig, Path, dict[str, np.ndarray]]:
    logging.getLogger("patchtst_har.datasets.feature_cache").setLevel(logging.ERROR)
    config = FeatureConfig(n_threads=1)
    windows = np.random.default_rng(0).normal(0, 0.3, (3, _LENGTH, 3)).astype(np.float32)
    store = FeatureCache(place() / "features")
    made = store.features(windows, 100.0, config)
    path = store.folder / f"{cache_key(windows, 100.0, config)}.npz"
    return store, windows, config, path, {"stats": made.stats, "topo": made.topo}


def _use_features(data: bytes) -> None:
    store, windows, config, path, arrays = _cached()
    content, choices = two_ways(data)
    path.write_bytes(npz_of(arrays, choices) if content is None else content)
    made = store.features(windows, 100.0, config)
    if made.stats.shape != arrays["stats"].shape or not np.isfinite(made.stats).all():
        raise Finding("promise: a damaged entry is computed again")


TARGETS = {
    "prepared": Target("prepared data sets", lambda: by_choice(24), _use_prepared),
    "features": Target("cached features", lambda: by_choice(16), _use_features),
}
