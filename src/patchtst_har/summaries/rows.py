"""The rows of a timeline as numbers, and how they fall into spans of local time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from patchtst_har.data.non_wear import NON_WEAR
from patchtst_har.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Rows:
    """A timeline in numbers: n rows in order of time that do not overlap.

    Attributes
    ----------
    start_ns, end_ns : ndarray of int64, shape (n,)
        Moments: ns since 1970 in UTC with a zone, else by the wall clock.
    state : ndarray of int64, shape (n,)
        Index of the class, K for time without wear.
    enmo_mg : ndarray of float64, shape (n,)
        NaN for time without wear, and if it is not known.
    classes : tuple of str, length K
    zone : tzinfo, optional
        Whose midnight ends a day; None: the stamps are a wall clock already.
    """

    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    state: NDArray[np.int64]
    enmo_mg: NDArray[np.float64]
    classes: tuple[str, ...]
    zone: tzinfo | None

    @property
    def lasted_ns(self) -> NDArray[np.int64]:
        """How long each row lasts."""
        return self.end_ns - self.start_ns


def is_unworn(timeline: pd.DataFrame) -> pd.Series[bool]:
    """Return which rows are time without wear: a class may have that name, but has a probability."""
    return (timeline["label"] == NON_WEAR) & timeline["probability"].isna()


def rows_of(timeline: pd.DataFrame, classes: Sequence[str]) -> Rows:
    """Return a timeline in numbers.

    Parameters
    ----------
    timeline : DataFrame
        ``start``, ``end``, ``label``, ``probability`` (`patchtst_har.inference`), and ``enmo_mg`` if known.
    classes : sequence of str
        The model's.

    Raises
    ------
    DataError
        If there is no row, or a label is none of the classes.
    """
    import pandas as pd

    if timeline.empty:
        raise DataError("timeline: has no row")
    unworn = is_unworn(timeline).to_numpy()
    state = pd.Index(list(classes), dtype=object).get_indexer(pd.Index(timeline["label"], dtype=object))
    state = np.where(unworn, len(classes), state).astype(np.int64)
    if (state < 0).any():
        label = timeline["label"].iloc[int((state < 0).argmax())]
        raise DataError(f"timeline: label {label!r} is not one of the classes {', '.join(classes)}")
    start_ns, end_ns = (pd.DatetimeIndex(timeline[name]).as_unit("ns").asi8 for name in ("start", "end"))
    known = timeline["enmo_mg"].to_numpy(float) if "enmo_mg" in timeline else np.nan
    enmo_mg = np.where(unworn, np.nan, known)
    return Rows(start_ns, end_ns, state, enmo_mg, tuple(classes), timeline["start"].dt.tz)


def instant_ns(moment: pd.Timestamp) -> int:
    """Return a moment in ns since 1970, by its wall clock if it has no zone."""
    return int(moment.as_unit("ns").value)


def local_edges(first_ns: int, last_ns: int, zone: tzinfo | None, unit: str) -> tuple[Any, NDArray[np.int64]]:
    """Return the days or hours of a zone that hold a span of time, and when each begins and ends.

    Parameters
    ----------
    first_ns, last_ns : int
        The span, ``first_ns < last_ns``.
    zone : tzinfo, optional
        None: the stamps are a wall clock already.
    unit : {"D", "h"}
        Days; or the hours of these whole days.

    Returns
    -------
    DatetimeIndex, length n
        Midnights or full hours by the wall clock, without a zone.
    ndarray of int64, shape (n + 1,)
        Moments between which they lie: where clocks change, an hour lasts none or two. Of a midnight that
        occurs twice, the first counts; one that is skipped is the moment of the change.
    """
    import pandas as pd

    ends = pd.DatetimeIndex(np.array([first_ns, last_ns - 1], "datetime64[ns]"))
    walls = ends if zone is None else ends.tz_localize("UTC").tz_convert(zone).tz_localize(None)
    days = walls.normalize()
    names = pd.date_range(days[0], days[1] + pd.Timedelta(days=1), freq=unit, unit="ns")
    edges = names
    if zone is not None:
        # True is summer time: the first of two.
        ambiguous: Any = np.ones(len(names), bool)
        edges = names.tz_localize(zone, ambiguous=ambiguous, nonexistent="shift_forward")
    # What is shifted over a skipped day may land behind the next midnight.
    edges_ns = np.minimum.accumulate(edges.as_unit("ns").asi8[::-1])[::-1]
    return names[:-1], edges_ns


def pieces(
    start_ns: NDArray[np.int64], end_ns: NDArray[np.int64], edges_ns: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int64]]:
    """Cut spans of time at edges, none of which they reach beyond.

    Parameters
    ----------
    start_ns, end_ns : ndarray of int64, shape (n,)
        Spans, each longer than 0.
    edges_ns : ndarray of int64, shape (m + 1,)
        Not decreasing.

    Returns
    -------
    span, cell : ndarray of int, shape (p,)
        Which span a piece is of, and between which edges it lies.
    lasted_ns : ndarray of int64, shape (p,)
        The lengths of a span's pieces add up to its own.
    """
    first = np.searchsorted(edges_ns, start_ns, side="right") - 1
    last = np.searchsorted(edges_ns, end_ns, side="left") - 1
    count = last - first + 1
    span = np.repeat(np.arange(len(start_ns)), count)
    cell = np.arange(len(span)) - np.repeat(np.cumsum(count) - count, count) + first[span]
    begin, end = np.maximum(start_ns[span], edges_ns[cell]), np.minimum(end_ns[span], edges_ns[cell + 1])
    return span, cell, end - begin


def spans_of(rows: Rows, state: int) -> NDArray[np.int64]:
    """Return begin and end (k, 2) of the time of a state, rows that touch joined."""
    chosen = rows.state == state
    start_ns, end_ns = rows.start_ns[chosen], rows.end_ns[chosen]
    new = start_ns[1:] != end_ns[:-1]
    first, last = np.append(True, new)[: len(start_ns)], np.append(new, True)[: len(start_ns)]
    return np.stack([start_ns[first], end_ns[last]], axis=1)


def times_of(stamps_ns: NDArray[np.int64], zone: tzinfo | None) -> pd.DatetimeIndex:
    """Return moments as they stand in a timeline of this zone."""
    import pandas as pd

    times = pd.DatetimeIndex(stamps_ns.astype("datetime64[ns]"))
    return times if zone is None else times.tz_localize("UTC").tz_convert(zone)


def time_in_cells(rows: Rows, edges_ns: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return how much time of each state lies between edges, and the mean ENMO there.

    Returns
    -------
    lasted_ns : ndarray of int64, shape (m, K + 1)
        The last column is time without wear; the sums over m are the exact totals of the rows.
    enmo_mg : ndarray of float64, shape (m,)
        Mean over the worn time in mg; NaN where there is none, or it is not known.
    """
    n_cells, n_states = len(edges_ns) - 1, len(rows.classes) + 1
    span, cell, lasted_ns = pieces(rows.start_ns, rows.end_ns, edges_ns)
    time_ns = np.zeros((n_cells, n_states), np.int64)
    np.add.at(time_ns, (cell, rows.state[span]), lasted_ns)
    known = np.isfinite(rows.enmo_mg[span])
    weight = np.bincount(cell[known], lasted_ns[known], n_cells)
    total = np.bincount(cell[known], lasted_ns[known] * rows.enmo_mg[span[known]], n_cells)
    enmo = np.divide(total, weight, out=np.full(n_cells, np.nan), where=weight > 0)
    return time_ns, enmo
