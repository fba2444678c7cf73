"""What must be equal for a training to be resumed, and what may differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from patchtst_har.config import ExperimentConfig
from patchtst_har.training.processes import Processes

_COPIES = {"tracking"}
"""Where copies of the record go is no part of a run."""
_ELSEWHERE = {*_COPIES, "output_dir", "experiment_name", "features"}
"""Where the run lies; what the features are shows in their values."""
_MISSING = "not known"
_MOST_CHARACTERS = 1000
"""Of a name or value in an error: those of a stored run may be anything."""


@dataclass(frozen=True)
class Identity:
    """What a training depends on.

    Attributes
    ----------
    settings : mapping
        Settings by their path, in JSON values.
    data : mapping or None
        A digest of each part of the data by its name; None if they are not loaded yet.
    """

    settings: Mapping[str, Any]
    data: Mapping[str, str] | None = None

    def refusals(self, before: Identity, n_done: int) -> list[str]:
        """Return in what it differs from a run of which `n_done` epochs are done; both values are named.

        The number of epochs may differ, and the patience of early stopping be larger, where the run would
        have been the same up to now: a schedule over `epochs` would not.
        """
        differing = differences(before.settings, self.settings)
        problems = named([each for each in differing if not may_differ(*each, n_done)])
        if before.data is not None and self.data is not None:
            others = differences(before.data, self.data)
            problems += [f"{name[:_MOST_CHARACTERS]}: other values" for name, *_ in others]
        return problems


def settings_of(config: ExperimentConfig, *, every: bool = False) -> dict[str, Any]:
    """Return the settings on which the weights of a training depend, or `every` one, by their path."""
    settings = flattened(config.model_dump(mode="json", exclude=_COPIES if every else _ELSEWHERE))
    settings["training.schedule_epochs"] = config.training.n_schedule_epochs
    return settings if every else {**settings, "processes": Processes.current().size}


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values under dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        nested = isinstance(value, Mapping)
        flat |= flattened(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return flat


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return path, earlier and present value of what differs."""
    paths: Iterable[str] = sorted({*before, *now})
    pairs = ((path, before.get(path, _MISSING), now.get(path, _MISSING)) for path in paths)
    return [(path, old, new) for path, old, new in pairs if old != new]


def named(differing: Iterable[tuple[str, Any, Any]]) -> list[str]:
    """Return what to say of each difference."""
    texts = ([str(each)[:_MOST_CHARACTERS] for each in difference] for difference in differing)
    return [f"{path}: {old} in the run, {new} now{_hint(path)}" for path, old, new in texts]


def may_differ(path: str, old: Any, new: Any, n_done: int = 0) -> bool:
    """Whether a run would have been the same up to now with another value of a setting."""
    least = {"training.epochs": n_done, "training.early_stop_patience": old}.get(path)
    return isinstance(least, int) and isinstance(new, int) and new >= least


def _hint(path: str) -> str:
    if path != "training.schedule_epochs":
        return ""
    return (
        ' (the rates of the epochs so far would have been others; more epochs need schedule="plateau", or a '
        "schedule_epochs from the start; --init begins a new training with these weights)"
    )
