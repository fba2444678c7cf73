"""The smoother as JSON: `smoothing.json` in a model folder."""

from __future__ import annotations

import os
from typing import Any

from patchtst_har.errors import DataError, ModelFolderError
from patchtst_har.support.files import atomic_write_json, read_json

FORMAT_VERSION = 1
SETTINGS = ("n_classes", "pseudo_count", "hop_s")
TABLES = ("start_probabilities", "transition_matrix", "emission_matrix")
_FIELDS = {"format_version", *SETTINGS, *TABLES}


def write_document(path: str | os.PathLike[str], parameters: dict[str, Any]) -> None:
    """Write the parameters with the version of their format."""
    atomic_write_json(path, {"format_version": FORMAT_VERSION, **parameters})


def read_document(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the parameters that `write_document` wrote; errors name the file and the field."""
    try:
        document = read_json(path)
    except OSError as error:
        raise ModelFolderError(f"{path}: cannot be read ({error.strerror})") from error
    except DataError as error:
        raise ModelFolderError(str(error)) from error
    if not isinstance(document, dict):
        raise ModelFolderError(f"{path}: needs an object at the top, has {type(document).__name__}")
    for problem, fields in (("lacks", _FIELDS - set(document)), ("has unknown", set(document) - _FIELDS)):
        if fields:
            raise ModelFolderError(f"{path}: {problem} {', '.join(sorted(fields))}")
    version = document.pop("format_version")
    if version != FORMAT_VERSION:
        raise ModelFolderError(f"{path}: format_version is {version!r}, this version reads {FORMAT_VERSION}")
    return document
