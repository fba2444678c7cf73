"""The windows of an annotated recording to which a model can be adapted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from patchtst_har.config import ExperimentConfig
from patchtst_har.data.times import check_clock
from patchtst_har.errors import DataError
from patchtst_har.support.formatting import listed

if TYPE_CHECKING:
    import pandas as pd

    from patchtst_har.data.windows import Windows

_HOPS_PER_WINDOW = 4


def keep_classes(recording: pd.DataFrame, classes: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """Return a recording in which only annotations that are classes are left, and the names of the others.

    Raises
    ------
    DataError
        If it has annotations, but none is a class.
    """
    if "annotation" not in recording.columns:
        return recording, []
    column = recording["annotation"].astype("category").cat.remove_unused_categories()
    names = [str(name) for name in column.cat.categories if str(name)]
    others = [name for name in names if name not in classes]
    if others and len(others) == len(names):
        raise DataError(f"no annotation is a class of the model ({', '.join(classes)}): {listed(others)}")
    kept = [name for name in column.cat.categories if str(name) in classes]
    return recording.assign(annotation=column.cat.set_categories(kept)), others


def labelled_windows(recording: pd.DataFrame, config: ExperimentConfig) -> tuple[Windows, list[str]]:
    """Return the windows of which every sample has the same annotation, overlapping by three quarters.

    Parameters
    ----------
    recording : DataFrame
        See `data.read_recording`.
    config : ExperimentConfig
        The model's.

    Returns
    -------
    windows : Windows
        At least one.
    labels : list of str
        Their labels.

    Raises
    ------
    DataError
        If the recording is malformed, has no annotation, or no such window.
    """
    from patchtst_har.data.windows import cut_windows

    data = config.data.replace(
        hop_size=max(1, config.data.window_size // _HOPS_PER_WINDOW),
        label_policy="unanimous",
        min_labelled_fraction=1.0,
    )
    windows = cut_windows(recording, data)
    if config.model.n_time_features:
        check_clock(windows.clock, config.data.timezone, "recording")
    if windows.labels is None:
        raise DataError("the recording has no column annotation: what was done when must be known")
    if not len(windows):
        seconds = config.data.window_size / config.data.sample_rate_hz
        raise DataError(f"the recording has no {seconds:g} s without a gap that have one annotation")
    return windows, windows.labels.tolist()
