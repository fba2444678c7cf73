"""Cut a recording by its own stamps, without resampling: the windows of published data sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from patchtst_har.config import DataConfig
from patchtst_har.data.frames import check_recording
from patchtst_har.data.signal_steps import prepared_samples
from patchtst_har.data.units import MOST_G
from patchtst_har.data.windows import Windows, annotation_codes

if TYPE_CHECKING:
    import pandas as pd

_UNLABELLED, _INCOMPLETE, _UNUSABLE = -1, -2, -3


def cut_file_windows(
    recording: pd.DataFrame, config: DataConfig | None = None, *, idle_ns: ArrayLike | None = None
) -> Windows:
    """Cut a recording into consecutive windows of time that begin with its first sample.

    Samples are taken as they are. A window is kept if it holds exactly `window_size` samples, all of them
    finite, and any of them is annotated. Its label is the most frequent annotation of its annotated samples,
    the alphabetically first on a tie.

    Where a recording has exactly `sample_rate_hz` samples a second and no gap, `cut_windows` gives the same
    windows with ``label_policy="mode"``. It differs by resampling to a grid that begins anew after each gap,
    by bridging short gaps, and by leaving out samples that are exactly zero.

    Parameters
    ----------
    recording : pandas.DataFrame
        See `patchtst_har.data.recording`.
    config : DataConfig, optional
        `sample_rate_hz` and `window_size`; windows do not overlap.
    idle_ns : array_like of int64, shape (k, 2), optional
        Spans of idle sleep that the file lists, for ``info``.

    Returns
    -------
    Windows
        Possibly none. ``start_ns`` is the begin of the window's time, ``dropped`` has the keys ``unlabelled``
        (no annotation), ``incomplete`` (another number of samples) and ``unusable`` (NaN, infinity, or beyond
        50 g), each counted among those that are left of the one before.

    Raises
    ------
    DataError
        If the recording is not valid.
    """
    config = config or DataConfig()
    info = prepared_samples(recording, config.replace(calibration="off"), idle_ns=idle_ns, worn=True).info
    time_ns, acceleration = check_recording(recording)
    firsts, counts, start_ns = _spans(time_ns, round(config.window_size * 1e9 / config.sample_rate_hz))
    names, codes = annotation_codes(recording)
    chosen = np.zeros(len(firsts), np.int64)
    if codes is not None:
        chosen[~np.logical_or.reduceat(codes >= 0, firsts)] = _UNLABELLED
    chosen[(chosen >= 0) & (counts != config.window_size)] = _INCOMPLETE
    for number in np.flatnonzero(chosen >= 0):
        rows = slice(firsts[number], firsts[number] + config.window_size)
        # NaN is not below it either.
        if not (np.abs(acceleration[rows]) <= MOST_G).all():
            chosen[number] = _UNUSABLE
        elif codes is not None:
            chosen[number] = np.bincount(codes[rows] + 1, minlength=2)[1:].argmax()
    kept = np.flatnonzero(chosen >= 0)
    windows = np.empty((len(kept), config.window_size, 3), np.float32)
    for window, first in zip(windows, firsts[kept], strict=True):
        window[:] = acceleration[first : first + config.window_size]
    reasons = {"unlabelled": _UNLABELLED, "incomplete": _INCOMPLETE, "unusable": _UNUSABLE}
    return Windows(
        windows=windows,
        start_ns=start_ns[kept],
        labels=None if codes is None else names[chosen[kept]],
        clock="wall" if getattr(recording.index, "tz", None) is None else "utc",
        dropped={name: int(np.count_nonzero(chosen == code)) for name, code in reasons.items()},
        info=info | {"resampling": {"sample_rate_hz": config.sample_rate_hz, "method": "none"}},
    )


def _spans(
    time_ns: NDArray[np.int64], length_ns: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return first row, number of rows and begin of each span of time that holds samples."""
    if not len(time_ns):
        empty = np.empty(0, np.int64)
        return empty, empty, empty
    # Spans without samples are not made: a gap may last for years.
    number = (time_ns - time_ns[0]) // length_ns
    firsts = np.concatenate([[0], np.flatnonzero(number[1:] != number[:-1]) + 1])
    counts = np.diff(np.append(firsts, len(time_ns)))
    return firsts, counts, time_ns[0] + number[firsts] * length_ns
