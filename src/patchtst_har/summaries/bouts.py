"""Bouts: time that is nearly all of one class (`BoutRules`)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from patchtst_har.summaries.rows import Rows, times_of
from patchtst_har.summaries.rules import BoutRules

if TYPE_CHECKING:
    import pandas as pd

LENGTHS_MIN = (1, 5, 10, 30)
"""Bouts of at least so many minutes are counted in the summary."""
_NS_PER_MIN = 60 * 10**9


def bouts_of(rows: Rows, states: NDArray[np.bool_], rules: BoutRules) -> NDArray[np.int64]:
    """Return the bouts of some states, taken together as one.

    Runs of the states are joined over breaks of up to `BoutRules.max_break_s`. Of what is so joined, if the
    states have less than `BoutRules.min_share`, all breaks of the longest length end a bout, and so on for
    what is left between them.

    Parameters
    ----------
    rows : Rows
        The timeline.
    states : ndarray of bool, shape (K + 1,)
        Which states they are; not time without wear, the last.
    rules : BoutRules
        What a bout is.

    Returns
    -------
    ndarray of int64, shape (b, 4)
        First row and one past the last; how long it lasts, and how long its states last in it (ns).
    """
    worn = rows.state < len(rows.classes)
    joined = worn[1:] & worn[:-1] & (rows.start_ns[1:] == rows.end_ns[:-1])
    stretch = np.cumsum(np.append(True, ~joined))[: len(worn)]
    chosen = states[rows.state]
    new = np.append(True, (chosen[1:] != chosen[:-1]) | ~joined)[: len(worn)]
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(worn)) - 1
    of_class = chosen[first]
    first, last = first[of_class], last[of_class]
    begin, end = rows.start_ns[first], rows.end_ns[last]
    breaks = begin[1:] - end[:-1]
    apart = (breaks > rules.max_break_s * 1e9) | (stretch[first[1:]] != stretch[first[:-1]])
    found = []
    edges = [0, *(np.flatnonzero(apart) + 1).tolist(), len(first)]
    for low, high in pairwise(edges):
        for i, j in _dense(begin, end, low, high, rules.min_share):
            lasts = int(end[j - 1] - begin[i])
            if lasts >= rules.min_minutes * _NS_PER_MIN:
                inside = int((end[i:j] - begin[i:j]).sum())
                found.append((int(first[i]), int(last[j - 1]) + 1, lasts, inside))
    return np.array(found, np.int64).reshape(-1, 4)


def _dense(
    begin: NDArray[np.int64], end: NDArray[np.int64], low: int, high: int, min_share: float
) -> Iterator[tuple[int, int]]:
    """Yield the parts of the runs low to high that have the share, in order."""
    waiting = [(low, high)] if high > low else []
    while waiting:
        i, j = waiting.pop()
        inside = (end[i:j] - begin[i:j]).sum()
        if inside >= min_share * (end[j - 1] - begin[i]):
            yield i, j
            continue
        breaks = begin[i + 1 : j] - end[i : j - 1]
        cuts = [i, *(i + 1 + np.flatnonzero(breaks == breaks.max())).tolist(), j]
        waiting += reversed(list(pairwise(cuts)))


def bout_table(rows: Rows, rules: BoutRules) -> pd.DataFrame:
    """Return the bouts of every class in order of time: start, end, label, minutes, share, enmo_mg.

    Times are as in the timeline. Bouts of one class do not overlap; a break in one may be a bout of another.
    ENMO is the mean over the bout with its breaks.
    """
    import pandas as pd

    found, label = [], []
    for k, name in enumerate(rows.classes):
        bouts = bouts_of(rows, np.arange(len(rows.classes) + 1) == k, rules)
        found.append(bouts)
        label += [name] * len(bouts)
    first, stop, lasts, inside = np.concatenate([np.empty((0, 4), np.int64), *found]).T
    weighted = np.append(0.0, np.cumsum(np.nan_to_num(rows.enmo_mg) * rows.lasted_ns))
    known = np.append(0, np.cumsum(np.isnan(rows.enmo_mg)))
    mean = (weighted[stop] - weighted[first]) / np.maximum(lasts, 1)
    table = {
        "start": times_of(rows.start_ns[first], rows.zone),
        "end": times_of(rows.end_ns[stop - 1], rows.zone),
        "label": np.array(label, dtype=object),
        "minutes": lasts / _NS_PER_MIN,
        "share": inside / np.maximum(lasts, 1),
        "enmo_mg": np.where(known[stop] == known[first], mean, np.nan),
    }
    return pd.DataFrame(table).sort_values(["start", "end", "label"], kind="stable", ignore_index=True)
