"""Time stamps written as text: ISO 8601, a format that the user names, or numbers since 1970."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from patchtst_har.data.options import ReadOptions
from patchtst_har.data.stamps import UNIT_HINT, TimeUnit, index_ns, numbers_ns
from patchtst_har.errors import DataError

Place = Callable[[int], str]


def text_ns(
    column: pd.Series[Any], time_unit: TimeUnit | None, options: ReadOptions, source: str, place: Place
) -> tuple[NDArray[np.int64], bool]:
    """Return stamps written as text (n,) as int64 ns since 1970, and whether they carry a zone (then UTC).

    Parameters
    ----------
    column : Series of str
        Its name is the column's, for messages.
    time_unit : {"s", "ms", "us", "ns"}, optional
        Unit of stamps that are numbers.
    options : ReadOptions
        Gives `time_format` and `decimal`.
    source : str
        The file, for messages.
    place : callable
        Says where in the file a row of `column` lies.

    Raises
    ------
    DataError
        If a stamp is missing or not of this form, or only some carry a zone.
    """
    plain = column.str.replace(",", ".") if options.decimal == "," else column
    missing = np.flatnonzero(column.isna())
    if missing.size:
        raise DataError(f"{source}: {place(int(missing[0]))} has no time stamp")
    if time_unit is not None:
        numbers = pd.to_numeric(plain, errors="coerce")
        refuse_unparsed(column, numbers, "a number", source, place)
        return numbers_ns(np.asarray(numbers), time_unit, source, place), False
    if options.time_format is not None:
        return _formatted(column, options.time_format, source, place)
    if is_number(str(plain.iloc[0])):
        raise DataError(
            f"{source}: column {column.name!r} holds numbers ({column.iloc[0]}); "
            f"name their unit with {UNIT_HINT}"
        )
    return _iso(plain, source, place)


def _formatted(
    column: pd.Series[Any], text: str, source: str, place: Place
) -> tuple[NDArray[np.int64], bool]:
    is_utc = "%z" in text
    try:
        parsed = pd.to_datetime(column, format=text, errors="coerce", utc=is_utc)
    except (ValueError, TypeError, re.error) as error:
        raise DataError(f"time_format {text!r} cannot be used ({error})") from error
    refuse_unparsed(column, parsed, f"a time stamp of the format {text!r} (--time-format)", source, place)
    index = pd.DatetimeIndex(parsed)
    if index.tz is not None:
        index, is_utc = index.tz_convert("UTC"), True
    return index_ns(index, source, place), is_utc


def _iso(column: pd.Series[Any], source: str, place: Place) -> tuple[NDArray[np.int64], bool]:
    # What the field's own tools write: an offset, and the name of its zone in brackets.
    texts = column.str.replace(r"\s*\[[^\]]*\]\s*$", "", regex=True) if "[" in str(column.iloc[0]) else column
    parsed = _parse_iso(texts)
    mixed = parsed is None
    if parsed is None:
        parsed = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
    if parsed.isna().any():
        # Looked for only then: it takes three times as long as reading the rest.
        wanted = "an ISO 8601 time stamp; if all are written like this, name their format "
        wanted += f"(--time-format{_likely_formats(column)})"
        refuse_unparsed(column, parsed, wanted, source, place)
    if mixed and _any_naive(texts):
        raise DataError(f"{source}: only some of the stamps in column {column.name!r} carry a zone")
    index = pd.DatetimeIndex(parsed)
    return index_ns(index, source, place), index.tz is not None


_YEAR_LAST = re.compile(r"(\d\d?)([./-])(\d\d?)\2(\d{4})([ T])\d\d?:\d\d(:\d\d)?([.,]\d+)?( ?[AP]M)?")


def _likely_formats(column: pd.Series[Any]) -> str:
    """Return the formats that dates such as 04.05.2026 may have, with a blank before; of other texts none."""
    parts = column.str.extract(f"^{_YEAR_LAST.pattern}$", flags=re.IGNORECASE)
    known = parts[parts[0].notna()]
    if known.empty:
        return ""
    first, second = (pd.to_numeric(known[group]).max() for group in (0, 2))
    _, between, _, _, blank, seconds, fraction, half = known.iloc[0]
    hours = "%I:%M" if isinstance(half, str) else "%H:%M"
    ends = [(seconds, ":%S"), (fraction, f"{str(fraction)[0]}%f"), (half, f"{' ' * str(half).count(' ')}%p")]
    time = blank + hours + "".join(text for given, text in ends if isinstance(given, str))
    days = [order for order, fits in ((("%d", "%m"), second <= 12), (("%m", "%d"), first <= 12)) if fits]
    if between == ".":
        days = days[:1]
    if not days:
        return ""
    return " " + " or ".join(repr(f"{between.join((*order, '%Y'))}{time}") for order in days)


def _parse_iso(column: pd.Series[Any]) -> pd.Series[Any] | None:
    """Return the stamps, zoned if they carry an offset; None if offsets differ or only some carry one."""
    with warnings.catch_warnings():
        # pandas 2 warns of the mixtures that pandas 3 refuses.
        warnings.simplefilter("error", FutureWarning)
        try:
            return pd.to_datetime(column, format="ISO8601", errors="coerce")
        except (ValueError, FutureWarning):
            return None


def _any_naive(column: pd.Series[Any]) -> bool:
    """Whether a stamp has no zone, by parsing one stamp of each form."""
    forms = column.str.replace(r"\d", "0", regex=True)
    examples = column[~forms.duplicated()]
    return any(pd.to_datetime(text, format="ISO8601").tzinfo is None for text in examples)


def is_number(text: str) -> bool:
    """Whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def refuse_unparsed(
    column: pd.Series[Any], parsed: pd.Series[Any], wanted: str, source: str, place: Place
) -> None:
    """Refuse the first value that could not be parsed, by place and column."""
    failed = np.flatnonzero(parsed.isna() & column.notna())
    if failed.size:
        row = int(failed[0])
        raise DataError(
            f"{source}: {place(row)}, column {column.name!r}: {str(column.iloc[row])[:80]!r} is not {wanted}"
        )


def one_zone(parts: Iterator[pd.DataFrame], column: str | None, source: str) -> Iterator[pd.DataFrame]:
    """Yield parts of a recording; refuse if only some carry a zone."""
    zones = set()
    for part in parts:
        zones.add(cast(pd.DatetimeIndex, part.index).tz)
        if len(zones) > 1:
            raise DataError(f"{source}: only some of the stamps in column {column!r} carry a zone")
        yield part
