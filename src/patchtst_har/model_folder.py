"""The model folder: configuration, class names, tensors, provenance. Needs no torch.

``config.json`` (the experiment's configuration, the format version and the names of the features that the
model was trained on), ``model.safetensors`` (weights and scaling), ``classes.json``; from the trainer also
``smoothing.json``, ``familiarity.safetensors`` (where the embeddings of training windows lie),
``provenance.json`` (who it was trained on) and ``MODEL_CARD.md``. Never a pickle.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from patchtst_har.architecture import checked_weights
from patchtst_har.config import ExperimentConfig
from patchtst_har.errors import ConfigError, DataError, FeatureError, ModelFolderError
from patchtst_har.features import TOPOLOGICAL_FEATURE_NAMES, extended_statistics_names
from patchtst_har.support.files import atomic_path, atomic_write_json, ensure_folder, read_json
from patchtst_har.support.names import unusable_name
from patchtst_har.support.tensors import read_tensors

FORMAT_VERSION = 1
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
CLASSES_FILE = "classes.json"
SMOOTHING_FILE = "smoothing.json"
PROVENANCE_FILE = "provenance.json"
FAMILIARITY_FILE = "familiarity.safetensors"
NAMES_KEY = "feature_names"


@dataclass(frozen=True)
class StoredModel:
    """What a model folder holds.

    Attributes
    ----------
    config : ExperimentConfig
        What the model was trained with.
    classes : tuple of str
        Class names in the order of the logits.
    tensors : dict of str to ndarray
        Weights and scaling by name, as `checked_weights` asks for.
    """

    config: ExperimentConfig
    classes: tuple[str, ...]
    tensors: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class TrainedOn:
    """What a model was trained on, as far as its folder says.

    Attributes
    ----------
    n_people : int
        People whose windows trained it.
    source_rates_hz : tuple of two floats, optional
        Lowest and highest sampling rate of their recordings, before resampling.
    """

    n_people: int
    source_rates_hz: tuple[float, float] | None = None


def write_model_folder(
    folder: Path | str,
    tensors: Mapping[str, NDArray[Any]],
    classes: tuple[str, ...],
    config: ExperimentConfig,
) -> Path:
    """Write the model's three files.

    Parameters
    ----------
    folder : path-like
        Created if missing.
    tensors : mapping of str to ndarray
        Weights and scaling by name.
    classes : tuple of str
        Class names in the order of the logits.
    config : ExperimentConfig
        The configuration that the model was trained with; its paths are left out.

    Raises
    ------
    ModelFolderError
        If a class has a name that `read_model_folder` would refuse.
    OSError
        If the folder cannot be written.
    """
    _check_class_names(Path(folder) / CLASSES_FILE, classes)
    folder = ensure_folder(folder)
    with atomic_path(folder / WEIGHTS_FILE) as temporary:
        ordered = {name: np.array(values, order="C") for name, values in tensors.items()}
        safetensors.numpy.save_file(ordered, temporary)
    atomic_write_json(folder / CLASSES_FILE, list(classes))
    # Paths of this machine are of no use elsewhere, and a model must not say where others write.
    description = {
        "format_version": FORMAT_VERSION,
        NAMES_KEY: _used_names(config),
        **config.without_paths().model_dump(mode="json"),
    }
    atomic_write_json(folder / CONFIG_FILE, description)
    return folder


def read_model_folder(folder: Path | str) -> StoredModel:
    """Read configuration, class names and tensors.

    Raises
    ------
    ModelFolderError
        If a file is missing, empty or damaged, or memory does not suffice; the message names it.
    """
    folder = Path(folder)
    with memory_errors_named(folder):
        return _read_files(folder)


@contextmanager
def memory_errors_named(folder: Path | str) -> Iterator[None]:
    """Say of which model folder it was that memory did not suffice."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch has no error of its own for it.
        if isinstance(error, RuntimeError) and "allocate memory" not in str(error):
            raise
        raise ModelFolderError(f"{folder}: needs more memory than this process can get") from error


def _read_files(folder: Path) -> StoredModel:
    if not folder.is_dir():
        raise ModelFolderError(f"{folder}: no such model folder")
    if not (folder / CONFIG_FILE).exists() and (folder / "model" / CONFIG_FILE).exists():
        raise ModelFolderError(f"{folder}: is a run folder, its model is {folder / 'model'}")
    config = _read_config(folder / CONFIG_FILE)
    classes = _read_classes(folder / CLASSES_FILE)
    tensors = _read(folder / WEIGHTS_FILE, read_tensors)
    try:
        checked_weights(tensors, config.model, len(classes))
    except ValueError as error:
        raise ModelFolderError(f"{folder / WEIGHTS_FILE}: does not fit {CONFIG_FILE}: {error}") from error
    return StoredModel(config, classes, tensors)


def read_provenance(folder: Path | str) -> dict[str, Any] | None:
    """Return ``provenance.json`` (``split`` and ``n_windows``), or None if the folder has none.

    Raises
    ------
    ModelFolderError
        If the file is damaged.
    """
    path = Path(folder) / PROVENANCE_FILE
    if not path.exists():
        return None
    values = _read(path)
    split = values.get("split") if isinstance(values, dict) else None
    groups = [split.get(name) for name in ("train", "val", "test")] if isinstance(split, dict) else [None]
    if not all(isinstance(group, list) for group in groups):
        raise ModelFolderError(f"{path}: split: needs the lists train, val and test")
    return dict(values)


def untrained_parts(folder: Path | str) -> tuple[str, ...]:
    """Return the parts of a stored network that its training left as they were made, as its folder says.

    Raises
    ------
    ModelFolderError
        If the file is damaged.
    """
    parts = (read_provenance(folder) or {}).get("untrained", [])
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise ModelFolderError(f"{Path(folder) / PROVENANCE_FILE}: untrained: needs a list of names")
    return tuple(parts)


def read_trained_on(folder: Path | str) -> TrainedOn | None:
    """Return what ``provenance.json`` says of the training people; None without the file.

    Raises
    ------
    ModelFolderError
        If the file is damaged.
    """
    values = read_provenance(folder)
    if values is None:
        return None
    rates = values.get("source_rates_hz")
    if rates is not None:
        valid = isinstance(rates, list) and len(rates) == 2 and all(isinstance(r, int | float) for r in rates)
        if not valid or not 0 < rates[0] <= rates[1] < float("inf"):
            path = Path(folder) / PROVENANCE_FILE
            raise ModelFolderError(f"{path}: source_rates_hz: needs the lowest and the highest rate")
        rates = (float(rates[0]), float(rates[1]))
    return TrainedOn(len(values["split"]["train"]), rates)


def _read_config(path: Path) -> ExperimentConfig:
    values = _read(path)
    if not isinstance(values, dict) or values.get("format_version") != FORMAT_VERSION:
        raise ModelFolderError(f"{path}: needs format_version {FORMAT_VERSION}")
    settings = {key: value for key, value in values.items() if key not in ("format_version", NAMES_KEY)}
    # First: where the features differ, so do their numbers, of which the configuration would complain.
    if NAMES_KEY in values:
        _check_names(path, values[NAMES_KEY], settings)
    try:
        return ExperimentConfig.from_mapping(settings, source=str(path)).without_paths()
    except ConfigError as error:
        raise ModelFolderError(str(error)) from error


def _used_names(config: ExperimentConfig) -> dict[str, list[str]]:
    """Return the names of the features that a model gets; none of a kind that it does not use."""
    n_used = {"statistical": config.model.n_stat_features, "topological": config.model.n_topo_features}
    return {
        kind: names if n_used[kind] else []
        for kind, names in _computed_names(config.features.plugins, config.features.movement).items()
    }


def _computed_names(plugins: Sequence[str], movement: bool) -> dict[str, list[str]]:
    """Return the names of what this installation computes, in the order of the columns."""
    return {
        "statistical": list(extended_statistics_names(plugins, movement=movement)),
        "topological": list(TOPOLOGICAL_FEATURE_NAMES),
    }


def _check_names(path: Path, stored: Any, settings: Mapping[str, Any]) -> None:
    """Refuse a model that was trained on other features than this installation computes."""
    features = settings.get("features")
    features = features if isinstance(features, dict) else {}
    try:
        computed = _computed_names(
            tuple(features.get("plugins", ())), "movement" in features.get("groups", ())
        )
    except (FeatureError, TypeError):
        return  # The configuration is refused for it, with a better message.
    for kind, names in computed.items():
        trained = stored.get(kind) if isinstance(stored, dict) else None
        if not isinstance(trained, list):
            raise ModelFolderError(f"{path}: {NAMES_KEY}: needs the lists {' and '.join(computed)}")
        if trained and trained != names:
            raise ModelFolderError(
                f"{path}: the model was trained on other {kind} features than this installation computes: "
                + _first_differences(trained, names)
            )


def _first_differences(trained: list[Any], computed: list[str], most: int = 3) -> str:
    columns = itertools.zip_longest(trained, computed, fillvalue="none")
    different = [
        f"column {i} is {ours}, was {theirs}" for i, (theirs, ours) in enumerate(columns) if theirs != ours
    ]
    more = f" and {len(different) - most} more" if len(different) > most else ""
    return ", ".join(different[:most]) + more


def _read_classes(path: Path) -> tuple[str, ...]:
    values = _read(path)
    valid = isinstance(values, list) and len(values) >= 2 and all(isinstance(name, str) for name in values)
    if not valid or len(set(values)) != len(values):
        raise ModelFolderError(f"{path}: needs a list of at least two different class names")
    _check_class_names(path, values)
    return tuple(values)


def _check_class_names(path: Path, classes: Sequence[str]) -> None:
    for name in classes:
        if (problem := unusable_name(name)) is not None:
            raise ModelFolderError(f"{path}: class {problem}")


def _read(path: Path, reader: Callable[[Path], Any] = read_json) -> Any:
    if not path.is_file():
        raise ModelFolderError(f"{path}: missing from the model folder")
    try:
        return reader(path)
    except DataError as error:
        raise ModelFolderError(str(error)) from error
