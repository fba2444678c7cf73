"""Writing the model folder, and reading it as a torch module (see `patchtst_har.model_folder`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from patchtst_har.config import ExperimentConfig
from patchtst_har.model_folder import memory_errors_named, read_model_folder, write_model_folder
from patchtst_har.models.patchtst import PatchTSTClassifier
from patchtst_har.pretrained import find_model


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
    tensors = {name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}
    return write_model_folder(folder, tensors, classes, config)


def load_model(folder: Path | str) -> tuple[PatchTSTClassifier, tuple[str, ...], ExperimentConfig]:
    """Read a shipped model or what `save_model` wrote (`find_model`), in evaluation mode, on the CPU.

    Raises
    ------
    ModelFolderError
        If a file is missing, empty, damaged, or does not fit the others; the message names it.
    """
    folder = find_model(folder)
    stored = read_model_folder(folder)
    with memory_errors_named(folder):
        model = PatchTSTClassifier(stored.config.model, len(stored.classes))
    load_tensors(model, stored.tensors)
    return model.eval(), stored.classes, stored.config


def load_tensors(model: PatchTSTClassifier, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Copy tensors into a module; a `RuntimeError` of torch names those that do not fit."""
    # Copied first: torch has no read-only tensors.
    model.load_state_dict({name: torch.from_numpy(values.copy()) for name, values in tensors.items()})
