"""Samples whose stamps go back in time: sorted, or left out."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from patchtst_har.data.frames import rows_of
from patchtst_har.data.options import Disorder
from patchtst_har.data.stamps import backward_rows, index_ns
from patchtst_har.support.long_arrays import GrowingArray, blocks, release


def put_in_order(recording: pd.DataFrame, how: Disorder) -> tuple[pd.DataFrame, int]:
    """Return a recording in the order of time, and how many samples were moved or left out.

    Parameters
    ----------
    recording : pandas.DataFrame
        As a reader returns it; stamps may go back.
    how : {"refuse", "sort", "drop"}
        ``refuse`` leaves it as it is, for `check_recording` to say where time goes back.
    """
    time_ns = index_ns(recording.index)  # type: ignore[arg-type]
    if how == "refuse" or not len(backward_rows(time_ns)):
        return recording, 0
    if how == "sort":
        order, n_moved = _order(time_ns)
        return rows_of(recording, order), n_moved
    keep = kept_in_order(time_ns)
    return rows_of(recording, np.flatnonzero(keep)), int(np.count_nonzero(~keep))


def _order(time_ns: NDArray[np.int64]) -> tuple[NDArray[np.intp], int]:
    """Return the rows (n,) in the order of time, equal stamps as they were, and how many rows move.

    Sorted by parts: few samples are far from their place in time.
    """
    parts = list(blocks(len(time_ns), time_ns))
    latest_ns = np.maximum.accumulate([time_ns[rows].max() for rows in blocks(len(time_ns), time_ns)])
    earliest_ns = np.array([time_ns[rows].min() for rows in blocks(len(time_ns), time_ns)])
    earliest_ns = np.minimum.accumulate(earliest_ns[::-1])[::-1]
    # Nothing before such a block belongs behind anything in it or after it.
    whole = np.flatnonzero(np.append(True, latest_ns[:-1] <= earliest_ns[1:]))
    order, n_moved = GrowingArray(), 0
    for begin, end in pairwise([*whole.tolist(), len(parts)]):
        first, stop = parts[begin].start, parts[end - 1].stop
        rows = first + np.argsort(time_ns[first:stop], kind="stable")
        n_moved += int(np.count_nonzero(rows != np.arange(first, stop)))
        order.append(rows)
        release(time_ns)
    return order.whole(), n_moved


def kept_in_order(time_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which samples (n,) stay when those are left out that do not fit the order of time.

    Wherever time goes back, either the samples before that lie ahead of it, or those after that lie behind,
    are left out: the fewer. So one stamp that is too late costs one sample, as does one that is too early,
    and of samples that were sent twice the second copy is left out.
    """
    starts = [0, *backward_rows(time_ns).tolist(), len(time_ns)]
    # Parts (first, stop) that are kept, each in order and all in order.
    kept: list[tuple[int, int]] = []
    for first, stop in pairwise(starts):
        if not kept:
            kept.append((first, stop))
            continue
        latest = time_ns[kept[-1][1] - 1]
        n_behind = int(np.searchsorted(time_ns[first:stop], latest, side="right"))
        if latest > time_ns[first] and not _drop_ahead(time_ns, kept, int(time_ns[first]), n_behind):
            first += n_behind
        if first < stop:
            kept.append((first, stop))
    keep = np.zeros(len(time_ns), bool)
    for first, stop in kept:
        keep[first:stop] = True
    return keep


def _drop_ahead(time_ns: NDArray[np.int64], kept: list[tuple[int, int]], limit_ns: int, most: int) -> bool:
    """Drop what is kept and not before a moment, if that is fewer than `most` samples."""
    n_ahead, at = 0, len(kept)
    while at and n_ahead < most:
        first, stop = kept[at - 1]
        n_part = stop - first - int(np.searchsorted(time_ns[first:stop], limit_ns, side="left"))
        n_ahead += n_part
        if n_part < stop - first or not n_part:
            break
        at -= 1
    if n_ahead >= most:
        return False
    while n_ahead:
        first, stop = kept.pop()
        n_part = min(n_ahead, stop - first)
        if n_part < stop - first:
            kept.append((first, stop - n_part))
        n_ahead -= n_part
    return True
