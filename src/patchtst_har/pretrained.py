"""The models that the package ships, found by name; what each says of itself. Needs no torch."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

from patchtst_har.errors import ModelFolderError
from patchtst_har.model_folder import CONFIG_FILE, untrained_parts
from patchtst_har.records.pretrained import PretrainedModel
from patchtst_har.records.reading import read_record
from patchtst_har.support.formatting import counted

WEIGHTS = Path(__file__).parent / "weights"
"""One model folder per shipped model, named after it. Nothing is ever written there."""
DEFAULT = "wrist"
"""What labels recordings and streams if no model is named."""
SUMMARY_FILE = "summary.json"


def pretrained_folders() -> dict[str, Path]:
    """Return the folders of the shipped models by name, in the order of their names."""
    return {path.parent.name: path.parent for path in sorted(WEIGHTS.glob(f"*/{CONFIG_FILE}"))}


def find_model(model: str | Path) -> Path:
    """Return the model folder that a name or a path means.

    Parameters
    ----------
    model : str or pathlib.Path
        A text that is exactly the name of a shipped model means that model; every other text, and every
        `Path`, is a folder. A folder that has the name of a shipped model is written with a separator, such
        as ``./wrist``, or given as a `Path`.

    Raises
    ------
    ModelFolderError
        If a text without separator is neither the name of a shipped model nor a folder.

    Warns
    -----
    UserWarning
        If the name of a shipped model is also that of a model folder in the working directory.
    """
    if isinstance(model, Path):
        return model
    shipped = pretrained_folders()
    if model in shipped:
        if (Path(model) / CONFIG_FILE).exists():
            warnings.warn(
                f"{model}: the shipped model is used, not the folder of the same name here; "
                f".{os.sep}{model} is the folder",
                stacklevel=2,
            )
        return shipped[model]
    if os.sep in model or (model and Path(model).is_dir()):
        return Path(model)
    raise ModelFolderError(
        f"{model or repr(model)}: no such model folder, and no shipped model is called so ({_names(shipped)})"
    )


def default_model() -> Path:
    """Return the folder of the model that is used if none is named.

    Raises
    ------
    ModelFolderError
        If this installation lacks it.
    """
    shipped = pretrained_folders()
    if DEFAULT not in shipped:
        raise ModelFolderError(
            f"no model was named, and this installation lacks the model {DEFAULT} ({_names(shipped)})"
        )
    return shipped[DEFAULT]


def read_summary(folder: Path | str) -> PretrainedModel | None:
    """Return ``summary.json`` of a model folder; None for a model that does not come with the package.

    Raises
    ------
    DataError
        If the file is damaged; the message names it and the field.
    """
    return read_record(Path(folder) / SUMMARY_FILE, PretrainedModel)


def shown_name(folder: Path | str) -> str:
    """Return how messages call a model: by the name of a shipped one, else by its folder."""
    summary = read_summary(folder)
    return str(folder) if summary is None else summary.name


def names_of(folder: Path, people: Sequence[str]) -> tuple[str, ...]:
    """Return the names that people whom a model was trained on may have in the data sets of others.

    Their own; of ``SET/NAME``, as `pretrain` calls those of several data sets, and of a shipped model's
    ``SET-NAME``, also the name alone.
    """
    alone = [name.rpartition("/")[2] for name in people]
    if read_summary(folder) is not None:
        alone += [name.partition("-")[2] for name in people if "-" in name]
    return tuple(dict.fromkeys([*people, *alone]))


def refuse_encoder(folder: Path | str) -> None:
    """Raise a `ModelFolderError` if a model is there to be fine-tuned and gives no labels.

    That is a shipped model of that purpose, and one of which the heads were never trained.
    """
    summary, name = read_summary(folder), shown_name(folder)
    fine_tuning = summary is not None and summary.purpose == "fine-tuning"
    if fine_tuning or "head.project" in untrained_parts(folder):
        labels = ", ".join(
            other
            for other, path in pretrained_folders().items()
            if (known := read_summary(path)) is not None and known.purpose == "labels"
        )
        raise ModelFolderError(
            f"{name}: is for fine-tuning (patchtst-har train --init {name}) and gives no labels; models that "
            f"do: {labels or 'none in this installation'}"
        )


def score_text(model: PretrainedModel) -> str | None:
    """Return the cross-validated macro F1 of a model with its interval; None for an encoder."""
    if model.cross_validated is None:
        return None
    score = model.cross_validated.macro_f1
    bounds = "" if score.low is None or score.high is None else f" ({score.low:.2f} to {score.high:.2f})"
    return f"{score.estimate:.2f}{bounds}"


def headline(model: PretrainedModel) -> str:
    """Return what is known of a model on other people, in words."""
    if model.cross_validated is None:
        return "none: it gives no labels"
    people = counted(model.cross_validated.n_people, "person", "people")
    return f"cross-validated macro F1 {score_text(model)} on {people}"


def _names(shipped: dict[str, Path]) -> str:
    return ", ".join(shipped) or "it ships none"
