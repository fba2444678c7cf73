"""Settings that the configuration leaves out, chosen from the prepared data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from patchtst_har.config import ExperimentConfig
from patchtst_har.datasets.prepared import WINDOW_FIELDS, PreparedDataset

_DAY_S = 86_400.0
_MOST_FOLDS = 5


def fit_to_data(
    config: ExperimentConfig, *, cross_validation: bool = False
) -> tuple[ExperimentConfig, dict[str, Any]]:
    """Fill in what a configuration leaves out from the data set that it names.

    Windows are as they were prepared. The time of day is an input only if most recordings last a day or more
    and its clock is known. Training windows that would begin further apart than a window begin a quarter of
    one apart. Cross-validation splits people into up to five folds.

    Parameters
    ----------
    config : ExperimentConfig
        Built from what the user gave (`ExperimentConfig.from_mapping`, `load`): only fields that were not
        given are filled in.
    cross_validation : bool
        Whether folds are needed.

    Returns
    -------
    config : ExperimentConfig
    chosen : dict of str to value
        The fields that differ from their default now, by ``section.field``.

    Raises
    ------
    DataError
        If the data set cannot be opened.
    ConfigError
        If its windows do not fit the model; `model.patch_len` must then be given.
    """
    dataset = PreparedDataset.open(config.data.proc_dir)
    prepared = dataset.preparation or {}
    given = {"data": config.data.model_fields_set, "model": config.model.model_fields_set, "training": set()}
    data = {name: prepared[name] for name in WINDOW_FIELDS if name in prepared}
    window_size = data.get("window_size", config.model.window_size)
    window_s = window_size / data.get("sample_rate_hz", config.data.sample_rate_hz)
    wanted: dict[str, dict[str, Any]] = {"data": data, "model": {"window_size": window_size}, "training": {}}
    if config.training.hop_s is not None and config.training.hop_s > window_s:
        # A preset's, for windows of another length.
        wanted["training"]["hop_s"] = window_s / 4
    if not _knows_hours(dataset, config):
        wanted["model"]["n_time_features"] = 0
    if cross_validation:
        wanted["data"] |= {"split": "kfold", "n_folds": min(_MOST_FOLDS, len(dataset.participants))}
    chosen = {
        f"{section}.{name}": value
        for section, fields in wanted.items()
        for name, value in fields.items()
        if name not in given[section] and value != getattr(getattr(config, section), name)
    }
    sections = {
        section: getattr(config, section).replace(
            **{name: value for name, value in fields.items() if f"{section}.{name}" in chosen}
        )
        for section, fields in wanted.items()
    }
    return (config.replace(**sections) if chosen else config), chosen


def _knows_hours(dataset: PreparedDataset, config: ExperimentConfig) -> bool:
    """Whether most recordings show whole days, and their clock can be read."""
    if dataset.clock == "utc" and config.data.timezone is None:
        return False
    recordings = ((dataset.preparation or {}).get("participants") or {}).values()
    durations_s = [_duration_s(recording) for recording in recordings]
    return bool(durations_s) and float(np.median(durations_s)) >= _DAY_S


def _duration_s(recording: Any) -> float:
    """Return how long the sensor measured, by the counts in ``preparation.json``; 0 without them."""
    signal = recording.get("signal") if isinstance(recording, Mapping) else None
    if not isinstance(signal, Mapping):
        return 0.0
    n_samples, rate_hz = signal.get("n_samples"), signal.get("sample_rate_hz")
    if not isinstance(n_samples, int | float) or not isinstance(rate_hz, int | float) or rate_hz <= 0:
        return 0.0
    return n_samples / rate_hz
