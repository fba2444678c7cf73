"""Sequences: runs of consecutive windows of one person without a gap."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from patchtst_har.errors import DataError
from patchtst_har.support.names import participant_array

_NS_PER_S = 1e9


def sequence_ids(
    participants: npt.ArrayLike, start_ns: npt.ArrayLike, *, hop_s: float, max_gap_s: float
) -> npt.NDArray[np.int64]:
    """Identify runs of consecutive windows, so that nothing is counted or decoded across a gap.

    Parameters
    ----------
    participants : array_like, shape (n,)
        Whose window each is; all windows of one person stand together.
    start_ns : array_like of int64, shape (n,)
        Starts of the windows in nanoseconds since the epoch, increasing within a person.
    hop_s : float
        Seconds between the starts of consecutive windows.
    max_gap_s : float
        A step that differs from the hop by more than this begins a new sequence.

    Returns
    -------
    ndarray of int64, shape (n,)
        0, 0, ..., 1, 1, ...: the sequence of each window.

    Raises
    ------
    DataError
        If the lengths differ, a participant is missing (None, NaN), some are strings and others are not, the
        starts are not integers or do not increase within a person, or a person's windows stand in more than
        one block; the message names the row.
    """
    people = participant_array(participants)
    starts = np.asarray(start_ns)
    if people.ndim != 1 or starts.shape != people.shape:
        raise DataError(
            f"participants and start_ns: need one shape (n,), have {people.shape} and {starts.shape}"
        )
    if starts.size and starts.dtype.kind not in "iu":
        raise DataError(f"start_ns: needs integer nanoseconds, has {starts.dtype}")
    if not 0 < hop_s < math.inf:
        raise DataError(f"hop_s: needs a finite positive number, is {hop_s}")
    if not 0 <= max_gap_s < math.inf:
        raise DataError(f"max_gap_s: needs a finite non-negative number, is {max_gap_s}")
    if people.size == 0:
        return np.zeros(0, dtype=np.int64)
    starts = starts.astype(np.int64)
    new_person = people[1:] != people[:-1]
    step = np.diff(starts)
    _refuse_split("participants", people, _firsts(new_person))
    backwards = np.flatnonzero(~new_person & (step <= 0))
    if backwards.size:
        row = int(backwards[0]) + 1
        raise DataError(
            f"start_ns: does not increase within participant {str(people[row])!r} at row {row} "
            f"({starts[row - 1]} then {starts[row]})"
        )
    gap = np.abs(step - round(hop_s * _NS_PER_S)) > round(max_gap_s * _NS_PER_S)
    return np.concatenate([[0], np.cumsum(new_person | gap)]).astype(np.int64)


def sequence_bounds(sequences: npt.ArrayLike, n_windows: int) -> npt.NDArray[np.int64]:
    """Return where each sequence begins, with the end of the last appended.

    Parameters
    ----------
    sequences : array_like of int, shape (n_windows,)
        One identifier a window; windows of a sequence stand together.
    n_windows : int
        The length that is expected.

    Returns
    -------
    ndarray of int64, shape (n_sequences + 1,)
        Sequence i holds the rows ``bounds[i]:bounds[i + 1]``.

    Raises
    ------
    DataError
        If the shape or type is wrong, or an identifier appears again after another one.
    """
    ids = np.asarray(sequences)
    if ids.shape != (n_windows,):
        raise DataError(f"sequences: needs shape ({n_windows},), has {ids.shape}")
    if n_windows == 0:
        return np.zeros(1, dtype=np.int64)
    if ids.dtype.kind not in "iu":
        raise DataError(f"sequences: needs integers, has {ids.dtype}")
    first = _firsts(ids[1:] != ids[:-1])
    _refuse_split("sequences", ids, first)
    return np.append(first, n_windows).astype(np.int64)


def _firsts(changes: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Return the first row of each block; `changes` says which rows after the first begin one."""
    return np.flatnonzero(np.append(True, changes))


def _refuse_split(name: str, values: npt.NDArray[Any], first: npt.NDArray[np.intp]) -> None:
    heads = values[first]
    kept, counts = np.unique(heads, return_counts=True)
    if kept.size < heads.size:
        again = kept[counts > 1][0]
        row = int(first[heads == again][1])
        raise DataError(f"{name}: {str(again)!r} appears in more than one block (again at row {row})")
