"""From a model folder to one checked file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from patchtst_har.errors import DataError
from patchtst_har.inference.export import onnx_file, pt2_file, pte_file
from patchtst_har.inference.export.check import check, example_windows
from patchtst_har.inference.export.description import describe
from patchtst_har.inference.export.program import Run, require
from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.models import PatchTSTClassifier
from patchtst_har.pretrained import find_model
from patchtst_har.support.files import atomic_path, ensure_folder
from patchtst_har.support.names import printable

Format = Literal["onnx", "torch-export", "executorch"]

ENDINGS: dict[str, Format] = {".onnx": "onnx", ".pt2": "torch-export", ".pte": "executorch"}

N_EXAMPLES = 33
"""Made-up windows on which a file is checked if none are given."""


class Writer(Protocol):
    """What the module of each format offers."""

    NEEDS: tuple[str, ...]
    """Arguments of `require`: the format, the extra that brings the packages, the packages."""

    def write(
        self,
        model: PatchTSTClassifier,
        path: Path,
        description: Mapping[str, Any],
        *,
        probabilities: bool = ...,
    ) -> None:
        """Write a model.

        Parameters
        ----------
        model : PatchTSTClassifier
            Is not changed.
        path : pathlib.Path
            Is replaced if it exists.
        description : mapping
            Goes into the file, as JSON, under the name ``patchtst_har``.
        probabilities : bool
            Whether the file returns them behind the logits.

        Raises
        ------
        MissingDependencyError
            If one of the packages is not installed.
        """

    def load(self, path: Path) -> Run:
        """Return a file as its run time runs it; only for files that this process wrote."""


_WRITERS: dict[Format, Writer] = {"onnx": onnx_file, "torch-export": pt2_file, "executorch": pte_file}


@dataclass(frozen=True)
class Exported:
    """A file that was written and checked.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    n_windows : int
        Windows on which it was compared with the torch module and the compiled engine.
    largest_difference : float
        Of a logit.
    """

    path: Path
    n_windows: int
    largest_difference: float


def export_model(
    folder: Path | str,
    target: Path | str,
    format: Format = "onnx",  # noqa: A002 - the word for it, as on the command line
    *,
    probabilities: bool = False,
    windows: NDArray[np.float32] | None = None,
    start_ns: NDArray[np.int64] | None = None,
    adaptation: Path | str | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write a model for another run time: from patches and features to logits.

    The features and the smoothing stay outside. The file appears only after it was read back and computed
    what the torch module and the compiled engine do, within 1e-4.

    Parameters
    ----------
    folder : str or pathlib.Path
        The model folder, or the name of a shipped model.
    target : path-like
        The file to write; its folder is created if missing.
    format : {"onnx", "torch-export", "executorch"}
        What to write.
    probabilities : bool
        Whether the file returns them in addition to the logits.
    windows : ndarray of float32, shape (n, window_size, 3), optional
        In g: what to check the file on; 33 made-up windows if not given.
    start_ns : ndarray of int64, shape (n,), optional
        Needed with `windows` if the model uses the time of day.
    adaptation : path-like, optional
        As `Recognizer.from_pretrained`: what is written is the model adapted to that person.
    overwrite : bool
        Replace `target` if it exists.

    Returns
    -------
    Exported
        The file, and how far it is from what the model computes.

    Raises
    ------
    ModelFolderError
        If a file of the model is missing or damaged, or the model is for fine-tuning only.
    DataError
        If there is no such format, `target` has the ending of another one, is not UTF-8, or exists and
        `overwrite` is not set, `windows` are malformed or none, or the adaptation is damaged or belongs to
        another model.
    MissingDependencyError
        If the format needs a package that is not installed; the message names the extra.
    ExportError
        If the file does not compute what the model does; it is not left.
    """
    if format not in get_args(Format):
        raise DataError(f"format must be one of {', '.join(get_args(Format))}, not {format!r}")
    writer, folder, target = _WRITERS[format], find_model(folder), Path(target)
    recognizer = Recognizer.from_pretrained(folder, engine="torch", smoothing="none", adaptation=adaptation)
    model, classes, config = recognizer.torch_module(), recognizer.classes, recognizer.config
    require(*writer.NEEDS)
    _check_target(target, format, overwrite)
    if windows is None:
        windows = example_windows(N_EXAMPLES, config.data.window_size, config.data.sample_rate_hz)
        # Steps of five hours meet every hour and, over a week, every weekday.
        start_ns = np.arange(N_EXAMPLES, dtype=np.int64) * (5 * 3600 * 10**9)
    if not len(windows):
        raise DataError("windows: at least one is needed to check the file on")
    inputs = recognizer.inputs(windows, start_ns)
    description = describe(folder, config, classes)
    if (adapted := recognizer.adaptation) is not None:
        description["adapted_with"] = {"n_windows": adapted.n_windows, "labelled_s": adapted.labelled_s}
    ensure_folder(target.parent)
    with atomic_path(target) as temporary:
        writer.write(model, temporary, description, probabilities=probabilities)
        difference = check(writer.load(temporary), model, inputs, str(target))
    return Exported(target, len(inputs), difference)


def _check_target(target: Path, chosen: Format, overwrite: bool) -> None:
    # Not every run time takes a path as bytes.
    if printable(str(target)) != str(target):
        raise DataError(f"{target}: a model's path must be UTF-8")
    if target.is_dir():
        raise DataError(f"{target}: is a folder, the name of a file is needed")
    usual = ENDINGS.get(target.suffix.lower(), chosen)
    if usual != chosen:
        raise DataError(f"{target}: is the name of a file of format {usual}, the format is {chosen}")
    if target.exists() and not overwrite:
        raise DataError(f"{target}: exists already; choose another file or pass --overwrite")
