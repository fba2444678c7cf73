"""Put the classes of a stored model into another order: that of its tables, legends and colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from patchtst_har.errors import ModelFolderError
from patchtst_har.inference.familiarity import load_familiarity
from patchtst_har.model_folder import (
    FAMILIARITY_FILE,
    SMOOTHING_FILE,
    StoredModel,
    read_model_folder,
    write_model_folder,
)

HEADS = ("head.project", "head.encoder", "head.branch")


def in_order(stored: StoredModel, classes: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return the tensors of a stored model with the rows of its heads in the order of `classes`, its own."""
    rows = [stored.classes.index(name) for name in classes]
    names = [f"{head}.{part}" for head in HEADS for part in ("weight", "bias")]
    return {
        **stored.tensors,
        **{name: stored.tensors[name][rows] for name in names if name in stored.tensors},
    }


def order_classes(folder: Path, classes: Sequence[str]) -> None:
    """Write a model folder again with its classes in another order; it computes the same.

    Parameters
    ----------
    folder : pathlib.Path
        A model folder without a smoother.
    classes : sequence of str
        The model's classes, in the order that they shall have.

    Raises
    ------
    ModelFolderError
        If the folder cannot be read, has other classes, or a smoother.
    """
    stored = read_model_folder(folder)
    if sorted(classes) != sorted(stored.classes):
        raise ModelFolderError(f"{folder}: has the classes {', '.join(stored.classes)}")
    if (folder / SMOOTHING_FILE).exists():
        raise ModelFolderError(f"{folder / SMOOTHING_FILE}: was fitted to classes in the order of the model")
    familiarity = load_familiarity(folder, len(classes), stored.tensors)
    write_model_folder(folder, in_order(stored, classes), tuple(classes), stored.config)
    if familiarity is not None:
        rows = [stored.classes.index(name) for name in classes]
        means, counts = familiarity.class_means[rows], familiarity.class_windows[rows]
        replace(familiarity, class_means=means, class_windows=counts).save(folder / FAMILIARITY_FILE)
