"""What other trained models say of the training windows: soft targets for distillation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from patchtst_har.config import DataConfig
from patchtst_har.datasets.training_set import TrainingSet, blocks_of
from patchtst_har.errors import DataError
from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.support.progress import OnProgress

_BLOCK = 1024


def teachers_probabilities(
    folders: Sequence[Path], windows: TrainingSet, data: DataConfig, on_progress: OnProgress | None = None
) -> NDArray[np.float32]:
    """Return the mean class probabilities of models on training windows, not varied, not smoothed.

    Parameters
    ----------
    folders : sequence of pathlib.Path
        Model folders, at least one.
    windows : TrainingSet
        n windows.
    data : DataConfig
        Their length and rate, and the zone of their clock.
    on_progress : callable, optional
        Called with (participants done, all for all teachers, what).

    Returns
    -------
    ndarray of float32, shape (n, K)
        Columns in the order of ``windows.classes``.

    Raises
    ------
    ModelFolderError
        If a folder is missing or damaged.
    DataError
        If a model has other classes, or windows of another length or rate; the message names the folder.
    """
    mean = np.zeros((len(windows), len(windows.classes)))
    blocks = list(blocks_of(windows.participants))
    for number, folder in enumerate(folders):
        teacher = Recognizer.from_pretrained(folder, smoothing="none").in_zone(data.timezone)
        _check(folder, teacher, windows.classes, data)
        columns = [teacher.classes.index(name) for name in windows.classes]
        for done, (rows, participant) in enumerate(blocks, start=1):
            for first in range(rows.start, rows.stop, _BLOCK):
                some = slice(first, min(first + _BLOCK, rows.stop))
                block = windows.stretches.windows(windows.cuts.starts[some])
                found = teacher.probabilities(teacher.inputs(block, windows.start_ns[some]))
                mean[some] += found[:, columns] / len(folders)
            if on_progress is not None:
                on_progress(number * len(blocks) + done, len(folders) * len(blocks), participant)
    return mean.astype(np.float32)


def _check(folder: Path, teacher: Recognizer, classes: tuple[str, ...], data: DataConfig) -> None:
    if set(teacher.classes) != set(classes):
        raise DataError(
            f"training.teachers: {folder} knows the classes {', '.join(teacher.classes)}, the data set has "
            f"{', '.join(classes)}"
        )
    for name in ("window_size", "sample_rate_hz"):
        its, ours = getattr(teacher.config.data, name), getattr(data, name)
        if its != ours:
            raise DataError(f"training.teachers: {folder} needs data.{name} {its}, it is {ours}")
