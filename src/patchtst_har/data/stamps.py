"""Time stamps in, nanoseconds since 1970 out.

pandas chooses the resolution of what it parses (seconds to nanoseconds, microseconds by default since
version 3), so integers are only ever taken after an explicit conversion to nanoseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from patchtst_har.errors import DataError
from patchtst_har.support.long_arrays import blocks, flagged, gathered, mapped, searched

if TYPE_CHECKING:
    import pandas as pd

UNIT_HINT = "time_unit='s', 'ms', 'us' or 'ns', --time-unit"
_HOUR_S = 3600.0
_DST_TOLERANCE_S = 2.0
TimeUnit = Literal["s", "ms", "us", "ns"]
_NAT = np.iinfo(np.int64).min
# Differences of stamps, and sums of a few of them, are 64-bit nanoseconds.
LONGEST_NS = 9 * 10**18
_YEAR_NS = 365.25 * 86_400 * 1e9
NS_PER_UNIT: dict[str, int] = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def row_place(row: int) -> str:
    """Return where a sample of a table lies, for messages."""
    return f"row {row} (counted from 0)"


def index_ns(
    index: pd.DatetimeIndex, source: str = "recording", place: Callable[[int], str] = row_place
) -> NDArray[np.int64]:
    """Return a DatetimeIndex of any unit and zone as int64 ns since 1970, shape (n,), not to be written to.

    Zone-aware stamps give UTC; naive ones give their wall clock read as if it were UTC.

    Raises
    ------
    DataError
        If a stamp is missing (NaT) or outside the years 1677 to 2262 that int64 nanoseconds can hold.
    """
    import pandas as pd

    stamps = np.asarray(index.asi8)
    for rows in blocks(len(stamps), stamps):
        if (stamps[rows] == _NAT).any():
            row = rows.start + int(np.argmax(stamps[rows] == _NAT))
            raise DataError(f"{source}: {place(row)} has no time stamp (NaT)")
    try:
        return stamps if index.unit == "ns" else np.asarray(index.as_unit("ns").asi8)
    except pd.errors.OutOfBoundsDatetime as error:
        raise DataError(f"{source}: a time stamp is outside the years 1677 to 2262 ({error})") from error


def numbers_ns(
    values: NDArray[Any], unit: TimeUnit, source: str, place: Callable[[int], str] = row_place
) -> NDArray[np.int64]:
    """Return numbers of seconds, ms, us or ns since 1970 as int64 ns, shape (n,).

    Integers are converted exactly; fractions are rounded to the nearest nanosecond that float64 resolves.

    Raises
    ------
    DataError
        If a value is missing, infinite, or too large for int64 nanoseconds.
    """
    return mapped(
        len(values),
        lambda rows: _block_ns(values[rows], unit, source, lambda row: place(rows.start + row)),
        values,
        like=np.empty(0, np.int64),
    )


def _block_ns(
    values: NDArray[Any], unit: TimeUnit, source: str, place: Callable[[int], str]
) -> NDArray[np.int64]:
    scale = NS_PER_UNIT[unit]
    limit = np.iinfo(np.int64).max // scale
    if values.dtype.kind in "iu":
        outside = np.flatnonzero((values > limit) | (values < -limit))
    else:
        values = values.astype(np.float64)
        # NaN compares false, so "not inside" catches it together with what is too large.
        outside = np.flatnonzero(~(np.abs(values) < limit))
    if outside.size:
        row = int(outside[0])
        raise DataError(f"{source}: {place(row)} has no usable time stamp ({values[row]} {unit})")
    if values.dtype.kind in "iu":
        return values.astype(np.int64) * scale
    whole = np.floor(values)
    part: NDArray[np.int64] = np.rint((values - whole) * scale).astype(np.int64)
    total: NDArray[np.int64] = whole.astype(np.int64) * scale + part
    return total


def check_order(
    time_ns: NDArray[np.int64],
    source: str = "recording",
    place: Callable[[int], str] = row_place,
    *,
    is_utc: bool = True,
) -> None:
    """Check that time never runs backwards.

    Parameters
    ----------
    time_ns : (n,) int64
        Stamps, ns.
    source : str
        The file, for messages.
    place : callable
        Says where in the file a sample lies.
    is_utc : bool
        Whether the stamps are UTC; a wall clock goes back by an hour at the end of daylight saving time.

    Raises
    ------
    DataError
        If a stamp is earlier than the one before; the message names the place and ways out.
    """
    backwards = backward_rows(time_ns)
    if not backwards.size:
        return
    row = int(backwards[0])
    before, after = (str(np.datetime64(int(time_ns[i]), "ns")) for i in (row - 1, row))
    more = f", the first of {backwards.size:,} such places" if backwards.size > 1 else ""
    step_s = (int(time_ns[row]) - int(time_ns[row - 1])) * 1e-9
    if not is_utc and abs(step_s + _HOUR_S) <= _DST_TOLERANCE_S:
        way_out = (
            "exactly one hour, as the clock does when daylight saving time (DST) ends: write the stamps with "
            "their offset from UTC (2024-10-27 02:00:00+01:00), or as UTC"
        )
    else:
        way_out = (
            "--sort puts the samples in order, --on-disorder drop leaves out those that go back "
            "(on_disorder='sort' or 'drop')"
        )
    raise DataError(f"{source}: time runs backwards at {place(row)} ({before} -> {after}){more}; {way_out}")


def check_length(time_ns: NDArray[np.int64], source: str = "recording") -> None:
    """Raise a `DataError` if stamps in order of time span more than 285 years."""
    if len(time_ns) and (lasts_ns := int(time_ns[-1]) - int(time_ns[0])) > LONGEST_NS:
        years = f"{lasts_ns / _YEAR_NS:.0f} years, at most {LONGEST_NS / _YEAR_NS:.0f} are read"
        raise DataError(f"{source}: lasts {years}; a stamp must be wrong")


def count_repeated(time_ns: NDArray[np.int64]) -> int:
    """Return how many samples have the stamp of the sample before them."""
    return sum(int(np.count_nonzero(repeats)) for _, repeats in _steps(time_ns, np.equal))


def backward_rows(time_ns: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the rows whose stamp is earlier than the one before."""
    return flagged(_steps(time_ns, np.less))


def stamp_edges(time_ns: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the rows (k + 1,) at which a stamp differs from the one before; the first and the end, too."""
    inner = flagged(_steps(time_ns, np.not_equal))
    return np.concatenate([[0] * bool(len(time_ns)), inner, [len(time_ns)]]).astype(np.intp)


def _steps(
    time_ns: NDArray[np.int64], compare: Callable[..., NDArray[np.bool_]]
) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Yield how stamps compare with the one before, in blocks, each with the row of its first."""
    for rows in blocks(len(time_ns) - 1, time_ns):
        yield rows.start + 1, compare(time_ns[rows.start + 1 : rows.stop + 1], time_ns[rows])


def find_gaps(time_ns: NDArray[np.int64], max_gap_s: float) -> NDArray[np.intp]:
    """Return the rows that follow the sample before them by more than `max_gap_s`, in bounded memory.

    Samples that share a stamp, as devices write them in batches, last until as many periods later.
    """
    gaps = flagged(_steps(time_ns, lambda after, before: after - before > max_gap_s * 1e9))
    before_ns = gathered(time_ns, gaps - 1)
    n_shared = gaps - searched(time_ns, before_ns) - 1
    if not n_shared.any():
        return gaps
    edges = stamp_edges(time_ns)[1:-1]
    period_ns = 0.0
    if len(edges) > 1:
        period_ns = float(np.median(np.diff(gathered(time_ns, edges)) / np.diff(edges)))
    steps_ns = gathered(time_ns, gaps) - before_ns
    long: NDArray[np.bool_] = steps_ns - n_shared * period_ns > max_gap_s * 1e9
    return gaps[long]
