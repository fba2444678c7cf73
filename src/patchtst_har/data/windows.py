"""Cut a recording into windows of equal length, each with one label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from patchtst_har.config import DataConfig
from patchtst_har.data.resample import (
    CleanSamples,
    grid_length,
    grid_ns,
    nearest_rows,
    resample_block,
)
from patchtst_har.data.signal_steps import prepared_samples
from patchtst_har.data.times import Clock

if TYPE_CHECKING:
    import pandas as pd

_BLOCK_SAMPLES = 2**16
_UNLABELLED = -1
_MIXED = -2
_SPARSE = -3


@dataclass(frozen=True, eq=False, kw_only=True)
class Windows:
    """Windows of one recording or participant, in order of time; made with keywords only."""

    windows: NDArray[np.float32]
    """(n, T, 3) acceleration in g, finite, C order."""
    start_ns: NDArray[np.int64]
    """(n,) stamp of each window's first sample: ns since 1970 by `clock`."""
    labels: NDArray[np.str_] | None
    """(n,) one label per window; None if the recording has no annotation."""
    clock: Clock | None
    """``"utc"`` if the recording has a zone, else ``"wall"``; None if a prepared data set does not say."""
    dropped: dict[str, int] = field(default_factory=dict)
    """How many windows were dropped for which reason, and how many segments were shorter than a window:
    ``unlabelled, mixed_labels, too_few_labels, short_stretches``."""
    info: dict[str, Any] = field(default_factory=dict)
    """What `patchtst_har.data.signal_steps` reports; empty for windows of a prepared data set."""

    def __len__(self) -> int:
        return len(self.windows)


@dataclass(frozen=True)
class _Block:
    """Consecutive windows of one segment."""

    bounds: tuple[int, int]
    first: int
    count: int


def cut_windows(
    recording: pd.DataFrame, config: DataConfig | None = None, *, idle_ns: ArrayLike | None = None
) -> Windows:
    """Resample a recording and cut it into windows.

    Windows begin at the first usable sample of each segment and every `hop_size` samples after
    it; what is left at the end of a segment is dropped. A resampled sample has the annotation of the nearest
    original sample. Then, by `label_policy`:

    - ``mode``: the most frequent annotation among the annotated samples, the alphabetically first on a tie;
    - ``unanimous``: the only annotation among the annotated samples; windows with several are dropped;
    - ``centre``: the annotation of sample ``window_size // 2``.

    A window without an annotation by this rule is dropped, and so is one of which less than
    `min_labelled_fraction` is annotated. Without a column `annotation`, all windows are kept, unlabelled, but
    there are none of time without wear (`patchtst_har.data.signal_steps`).

    Parameters
    ----------
    recording : pandas.DataFrame
        See `patchtst_har.data.recording`.
    config : DataConfig, optional
        `sample_rate_hz`, `window_size`, `hop_size`, `max_gap_s`, `label_policy`, `min_labelled_fraction`,
        `calibration`, `non_wear`.
    idle_ns : array_like of int64, shape (k, 2), optional
        Spans of idle sleep that the file lists (`patchtst_har.data.signal_steps`).

    Returns
    -------
    Windows
        Possibly none.

    Raises
    ------
    DataError
        If the recording is not valid, or `calibration` is ``require`` and it cannot be calibrated.
    """
    config = config or DataConfig()
    clean = prepared_samples(recording, config, idle_ns=idle_ns, worn="annotation" in recording)
    blocks, n_short = _plan(clean, config)
    classes, codes = annotation_codes(recording)
    chosen = [_vote(clean, block, codes, len(classes), config) for block in blocks]
    # Without annotation, nothing can be dropped: every choice is 0.
    n_kept = sum(int(np.count_nonzero(labels >= 0)) for labels in chosen)
    windows = np.empty((n_kept, config.window_size, 3), np.float32)
    start_ns = np.empty(n_kept, np.int64)
    filled = 0
    for block, labels in zip(blocks, chosen, strict=True):
        kept = np.flatnonzero(labels >= 0)
        target = slice(filled, filled + len(kept))
        _fill(windows[target], clean, block, kept, config)
        start_ns[target] = _start_ns(clean, block, kept, config)
        filled += len(kept)
    every = np.concatenate(chosen) if chosen else np.empty(0, np.int64)
    reasons = {"unlabelled": _UNLABELLED, "mixed_labels": _MIXED, "too_few_labels": _SPARSE}
    dropped = {name: int(np.count_nonzero(every == code)) for name, code in reasons.items()}
    return Windows(
        windows=windows,
        start_ns=start_ns,
        labels=None if codes is None else classes[every[every >= 0]],
        clock=_clock(recording),
        dropped={**dropped, "short_stretches": n_short},
        info=clean.info,
    )


class WindowBatches:
    """The windows of a recording, cut when they are needed: those of `cut_windows` without annotation.

    Parameters
    ----------
    recording : pandas.DataFrame
        See `patchtst_har.data.recording`; must not change while windows are cut. An annotation in it has no
        influence.
    config : DataConfig
        `sample_rate_hz`, `window_size`, `hop_size`, `max_gap_s`, `calibration`, `non_wear`.
    idle_ns : array_like of int64, shape (k, 2), optional
        Spans of idle sleep that the file lists (`patchtst_har.data.signal_steps`).

    Attributes
    ----------
    start_ns : ndarray of int64, shape (n,)
        Stamp of each window's first sample.
    clock : {"utc", "wall"}
        What stamps count from.
    n_short : int
        Segments that are shorter than a window.
    info : dict
        What `patchtst_har.data.signal_steps` reports.
    non_wear_ns : ndarray of int64, shape (k, 2)
        Begin and end of the time without wear, of which there are no windows.

    Raises
    ------
    DataError
        If the recording is not valid, or `calibration` is ``require`` and it cannot be calibrated.
    """

    def __init__(
        self, recording: pd.DataFrame, config: DataConfig, *, idle_ns: ArrayLike | None = None
    ) -> None:
        self._config = config
        self._clean = prepared_samples(recording, config, idle_ns=idle_ns)
        self._blocks, self.n_short = _plan(self._clean, config)
        stamps = [_start_ns(self._clean, block, np.arange(block.count), config) for block in self._blocks]
        self.start_ns = np.concatenate([np.empty(0, np.int64), *stamps])
        self.clock = _clock(recording)
        self.info = self._clean.info
        self.non_wear_ns = self._clean.non_wear_ns

    def __len__(self) -> int:
        return len(self.start_ns)

    def batches(self, size: int) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield rows and windows (size, T, 3), in order of time; the last batch may be smaller."""
        ends = np.cumsum([block.count for block in self._blocks])
        for begin in range(0, len(self), size):
            rows = slice(begin, min(begin + size, len(self)))
            windows = np.empty((rows.stop - begin, self._config.window_size, 3), np.float32)
            filled = 0
            while filled < len(windows):
                number = int(np.searchsorted(ends, begin + filled, side="right"))
                block, end = self._blocks[number], int(ends[number])
                n_taken = min(end - begin, len(windows)) - filled
                first = begin + filled - (end - block.count)
                kept = np.arange(first, first + n_taken)
                _fill(windows[filled : filled + n_taken], self._clean, block, kept, self._config)
                filled += n_taken
            yield rows, windows


def _clock(recording: pd.DataFrame) -> Clock:
    return "wall" if getattr(recording.index, "tz", None) is None else "utc"


def _plan(clean: CleanSamples, config: DataConfig) -> tuple[list[_Block], int]:
    """Return blocks of windows that bound the memory in use, and how many segments are too short for one."""
    per_block = max(1, (_BLOCK_SAMPLES - config.window_size) // config.hop_size)
    blocks, n_short = [], 0
    for bounds in clean.bounds:
        spare = grid_length(clean, bounds, config.sample_rate_hz) - config.window_size
        if spare < 0:
            n_short += 1
            continue
        n_windows = spare // config.hop_size + 1
        blocks += [
            _Block(bounds, first, min(per_block, n_windows - first))
            for first in range(0, n_windows, per_block)
        ]
    return blocks, n_short


def annotation_codes(recording: pd.DataFrame) -> tuple[NDArray[np.str_], NDArray[np.integer] | None]:
    """Return the sorted annotations and each row's index into them, -1 where there is none."""
    from patchtst_har.data.frames import to_categorical

    if "annotation" not in recording.columns:
        return np.empty(0, np.str_), None
    column = recording["annotation"]
    if column.dtype == "category":
        names = to_categorical(np.asarray(column.cat.categories, dtype=object))
        codes = column.cat.codes.to_numpy()
        lookup = np.append(np.asarray(names.codes), -1).astype(codes.dtype)
        return np.asarray(names.categories, dtype=np.str_), lookup[codes]
    values = to_categorical(column.to_numpy(dtype=object))
    return np.asarray(values.categories, dtype=np.str_), np.asarray(values.codes)


def _span(block: _Block, config: DataConfig) -> tuple[int, int]:
    """Return the first grid point of a block and how many it spans."""
    return block.first * config.hop_size, (block.count - 1) * config.hop_size + config.window_size


def _vote(
    clean: CleanSamples, block: _Block, codes: NDArray[np.integer] | None, n_classes: int, config: DataConfig
) -> NDArray[np.int64]:
    """Return the label index of each window of a block, or the negative reason for which it is dropped."""
    if codes is None:
        return np.zeros(block.count, np.int64)
    first, length = _span(block, config)
    grid = grid_ns(int(clean.time_ns[block.bounds[0]]), first, length, config.sample_rate_hz)
    samples = codes[nearest_rows(clean, block.bounds, grid)].astype(np.int64)
    names = np.arange(n_classes)
    if n_classes > config.window_size:
        # Measurements taken for annotations: the classes of the block, not all, are counted in each window.
        names = np.unique(samples[samples >= 0])
        samples = np.where(samples >= 0, np.searchsorted(names, samples), samples)
    if not len(names):
        return np.full(block.count, _UNLABELLED, np.int64)
    counts = _class_counts(samples, len(names), block.count, config)
    n_labelled = counts.sum(axis=1)
    if config.label_policy == "centre":
        labels = samples[np.arange(block.count) * config.hop_size + config.window_size // 2]
        labels = np.where(labels >= 0, labels, _UNLABELLED)
    else:
        labels = np.where(n_labelled > 0, counts.argmax(axis=1), _UNLABELLED)
        if config.label_policy == "unanimous":
            labels = np.where(np.count_nonzero(counts, axis=1) > 1, _MIXED, labels)
    sparse = n_labelled < config.min_labelled_fraction * config.window_size
    labels = np.where((labels >= 0) & sparse, _SPARSE, labels)
    labels[labels >= 0] = names[labels[labels >= 0]]
    return labels.astype(np.int64)


def _class_counts(
    samples: NDArray[np.int64], n_classes: int, n_windows: int, config: DataConfig
) -> NDArray[np.int64]:
    """Return (n_windows, n_classes) counts of labelled samples."""
    views = np.lib.stride_tricks.sliding_window_view(samples, config.window_size)[:: config.hop_size]
    counts = np.empty((n_windows, n_classes), np.int64)
    for row, window in enumerate(views):
        counts[row] = np.bincount(window + 1, minlength=n_classes + 1)[1:]
    return counts


def _fill(
    windows: NDArray[np.float32],
    clean: CleanSamples,
    block: _Block,
    kept: NDArray[np.intp],
    config: DataConfig,
) -> None:
    """Write the kept windows of a block into `windows`."""
    for begin, end in _runs(kept):
        first = (block.first + int(kept[begin])) * config.hop_size
        length = (end - begin - 1) * config.hop_size + config.window_size
        samples = resample_block(clean, block.bounds, first, length, config.sample_rate_hz)
        views = np.lib.stride_tricks.sliding_window_view(samples, config.window_size, axis=0)
        windows[begin:end] = views[:: config.hop_size].transpose(0, 2, 1)


def _start_ns(
    clean: CleanSamples, block: _Block, kept: NDArray[np.intp], config: DataConfig
) -> NDArray[np.int64]:
    """Return the stamps of the first samples of the kept windows of a block."""
    first_samples = (block.first + kept) * config.hop_size
    offsets: NDArray[np.int64] = np.rint(first_samples * (1e9 / config.sample_rate_hz)).astype(np.int64)
    return int(clean.time_ns[block.bounds[0]]) + offsets


def _runs(kept: NDArray[np.intp]) -> Iterator[tuple[int, int]]:
    """Yield the bounds of the runs of consecutive numbers in `kept`."""
    breaks = np.flatnonzero(np.diff(kept) > 1) + 1
    edges = [0, *breaks.tolist(), len(kept)]
    yield from ((begin, end) for begin, end in pairwise(edges) if end > begin)
