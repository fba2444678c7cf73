"""How the commands take a model: by the name of a shipped one, as a folder, or the default."""

from __future__ import annotations

from pathlib import Path

from patchtst_har.pretrained import default_model, find_model, headline, read_summary


def model_folder(model: str | None) -> Path:
    """Return the folder of the model that a command got, or of the default.

    Raises
    ------
    ModelFolderError
        If there is no such model.
    """
    return default_model() if model is None else find_model(model)


def introduction(folder: Path, classes: tuple[str, ...], trained_on: str, *, named: bool) -> str:
    """Return the line that says which model labels, and how good it is if it is a shipped one.

    Parameters
    ----------
    folder : pathlib.Path
        The model folder.
    classes : tuple of str
        The model's classes.
    trained_on : str
        Whom it was trained on, such as "74 people".
    named : bool
        Whether the user named the model.
    """
    line = f"{len(classes)} classes ({', '.join(classes)}), trained on {trained_on}"
    summary = read_summary(folder)
    if summary is None:
        return line
    return f"{summary.name}{'' if named else ', as none was named'}: {line}; {headline(summary)}"
