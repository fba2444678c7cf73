"""The model folder: safetensors and JSON, never a pickle.

``config.json`` (the experiment's configuration and the format version), ``model.safetensors`` (weights and
scaling), ``classes.json``. The trainer adds ``smoothing.json``, ``provenance.json`` (who it was
trained on) and ``MODEL_CARD.md``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError

from patchtst_har.config import ExperimentConfig
from patchtst_har.errors import ConfigError, DataError, ModelFolderError
from patchtst_har.files import atomic_path, atomic_write_json, ensure_folder, read_json
from patchtst_har.models.patchtst import PatchTSTClassifier

FORMAT_VERSION = 1
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
CLASSES_FILE = "classes.json"
SMOOTHING_FILE = "smoothing.json"
PROVENANCE_FILE = "provenance.json"


def save_model(
    folder: Path | str, model: PatchTSTClassifier, classes: tuple[str, ...], config: ExperimentConfig
) -> Path:
    """Write the model's three files.

    Parameters
    ----------
    folder : path-like
        Created if missing.
    model : PatchTSTClassifier
        Its weights and scaling are written as float32 on the CPU.
    classes : tuple of str
        Class names in the order of the logits.
    config : ExperimentConfig
        The configuration that the model was trained with; its paths are left out.

    Raises
    ------
    ValueError
        If the number of classes and the model's outputs differ.
    OSError
        If the folder cannot be written.
    """
    if len(classes) != model.num_classes:
        raise ValueError(f"{len(classes)} classes for a model with {model.num_classes} outputs")
    folder = ensure_folder(folder)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic_path(folder / WEIGHTS_FILE) as temporary:
        safetensors.torch.save_file(tensors, temporary)
    atomic_write_json(folder / CLASSES_FILE, list(classes))
    # Paths of this machine are of no use elsewhere, and a model must not say where others write.
    description = {"format_version": FORMAT_VERSION, **config.without_paths().model_dump(mode="json")}
    atomic_write_json(folder / CONFIG_FILE, description)
    return folder


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


def load_model(folder: Path | str) -> tuple[PatchTSTClassifier, tuple[str, ...], ExperimentConfig]:
    """Read what `save_model` wrote; the model is in evaluation mode, on the CPU.

    Raises
    ------
    ModelFolderError
        If a file is missing, empty, damaged, or does not fit the others; the message names it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ModelFolderError(f"{folder}: no such model folder")
    if not (folder / CONFIG_FILE).exists() and (folder / "model" / CONFIG_FILE).exists():
        raise ModelFolderError(f"{folder}: is a run folder, its model is {folder / 'model'}")
    config = _read_config(folder / CONFIG_FILE)
    classes = _read_classes(folder / CLASSES_FILE)
    model = PatchTSTClassifier(config.model, len(classes))
    _load_weights(folder / WEIGHTS_FILE, model)
    return model.eval(), classes, config


def _read_config(path: Path) -> ExperimentConfig:
    values = _read(path)
    if not isinstance(values, dict) or values.get("format_version") != FORMAT_VERSION:
        raise ModelFolderError(f"{path}: needs format_version {FORMAT_VERSION}")
    try:
        return ExperimentConfig.from_mapping(
            {key: value for key, value in values.items() if key != "format_version"}, source=str(path)
        ).without_paths()
    except ConfigError as error:
        raise ModelFolderError(str(error)) from error


def _read_classes(path: Path) -> tuple[str, ...]:
    values = _read(path)
    valid = isinstance(values, list) and len(values) >= 2 and all(isinstance(name, str) for name in values)
    if not valid or len(set(values)) != len(values):
        raise ModelFolderError(f"{path}: needs a list of at least two different class names")
    return tuple(values)


def _load_weights(path: Path, model: PatchTSTClassifier) -> None:
    _require(path)
    try:
        tensors = safetensors.torch.load_file(path)
        model.load_state_dict(tensors, strict=True)
    except SafetensorError as error:
        raise ModelFolderError(f"{path}: not a safetensors file ({error})") from error
    except RuntimeError as error:
        raise ModelFolderError(
            f"{path}: does not fit {CONFIG_FILE}: {' '.join(str(error).split())}"
        ) from error
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ModelFolderError(f"{path}: {name} has values that are not finite")


def _read(path: Path) -> Any:
    _require(path)
    try:
        return read_json(path)
    except DataError as error:
        raise ModelFolderError(str(error)) from error


def _require(path: Path) -> None:
    if not path.is_file():
        raise ModelFolderError(f"{path}: missing from the model folder")
