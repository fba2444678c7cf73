"""Writing the model folder, and reading it as a torch module (see `patchtst_har.model_folder`)."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
import torch

from patchtst_har.config import ExperimentConfig
from patchtst_har.files import atomic_path, atomic_write_json, ensure_folder
from patchtst_har.model_folder import (
    CLASSES_FILE,
    CONFIG_FILE,
    FORMAT_VERSION,
    WEIGHTS_FILE,
    read_model_folder,
)
from patchtst_har.models.patchtst import PatchTSTClassifier


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


def load_model(folder: Path | str) -> tuple[PatchTSTClassifier, tuple[str, ...], ExperimentConfig]:
    """Read what `save_model` wrote; the model is in evaluation mode, on the CPU.

    Raises
    ------
    ModelFolderError
        If a file is missing, empty, damaged, or does not fit the others; the message names it.
    """
    stored = read_model_folder(folder)
    model = PatchTSTClassifier(stored.config.model, len(stored.classes))
    # Copied: torch has no read-only tensors.
    tensors = {name: torch.from_numpy(values.copy()) for name, values in stored.tensors.items()}
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise stored.misfit(" ".join(str(error).split())) from error
    return model.eval(), stored.classes, stored.config
