"""How a file departs from the usual form: what a reader is asked for, and what it found."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from patchtst_har.data.columns import ALIASES, Unit
from patchtst_har.data.stamps import row_place
from patchtst_har.errors import DataError
from patchtst_har.support.long_arrays import mapped

Disorder = Literal["refuse", "sort", "drop"]

MAX_SAMPLES = 16 * 2**30 // 20
"""A recording takes 20 bytes per sample on disk, and 16 GiB are the most that is read of any file."""

# int64 nanoseconds since 1970 end in 2262.
_LAST_YEAR = 2261
_SECONDS_A_YEAR = 365 * 86_400


@dataclass(frozen=True)
class ReadOptions:
    """How to read files that are not in the form that ``docs/data.md`` describes.

    Attributes
    ----------
    columns : mapping of str to str
        The file's own name of ``time``, ``x``, ``y``, ``z``, ``annotation``, ``temperature`` or ``light``;
        those that are not named are found by their usual names.
    delimiter : str, optional
        What separates the columns of a text file; None: a comma, semicolon or tab, by the content.
    decimal : {".", ","}, optional
        The decimal separator of a text file; None: by the content.
    skip_rows : int
        Lines before the header of a text file.
    time_format : str, optional
        Format of stamps written as text, as ``datetime.strptime`` takes it; None: ISO 8601.
    start : str, optional
        Moment of the first sample, ISO 8601, for a file without stamps; goes with `rate_hz`.
    rate_hz : float, optional
        Samples per second of a file without stamps.
    on_disorder : {"refuse", "sort", "drop"}
        What happens to stamps that go back in time: refuse the file, sort its samples by time, or drop the
        fewest samples that leave the others in order.
    utc : bool
        Stamps without a zone are UTC, not the wearer's clock.

    Raises
    ------
    DataError
        If an option is not of this form; the message names it.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    delimiter: str | None = None
    decimal: Literal[".", ","] | None = None
    skip_rows: int = 0
    time_format: str | None = None
    start: str | None = None
    rate_hz: float | None = None
    on_disorder: Disorder = "refuse"
    utc: bool = False

    def __post_init__(self) -> None:
        unknown = [name for name in self.columns if name not in ALIASES]
        if unknown:
            raise DataError(f"columns: {unknown[0]!r} is not known (known: {', '.join(ALIASES)})")
        if self.delimiter is not None and (
            len(self.delimiter.encode("utf-8", "replace")) != 1 or self.delimiter in '\r\n"#.'
        ):
            raise DataError(f"delimiter must be one ASCII character such as ';', not {self.delimiter!r}")
        if self.decimal not in (None, ".", ","):
            raise DataError(f"decimal must be '.' or ',', not {self.decimal!r}")
        if self.decimal is not None and self.decimal == self.delimiter:
            raise DataError(f"delimiter and decimal cannot both be {self.decimal!r}")
        if self.skip_rows < 0:
            raise DataError(f"skip_rows must not be negative, is {self.skip_rows}")
        if self.on_disorder not in get_args(Disorder):
            raise DataError(
                f"on_disorder={self.on_disorder!r} is not known (known: {', '.join(get_args(Disorder))})"
            )
        if (self.start is None) != (self.rate_hz is None):
            raise DataError(
                "start and rate go together: the first sample's moment and the samples per second"
            )
        if self.rate_hz is not None and not (math.isfinite(self.rate_hz) and 1e-3 <= self.rate_hz <= 1e6):
            raise DataError(f"rate must be between 0.001 and 1,000,000 per second, is {self.rate_hz}")
        if self.start is not None:
            self._start()
            if self.time_format is not None or "time" in self.columns:
                raise DataError("start and rate are for files without stamps: leave the time column out")

    def _start(self) -> datetime:
        try:
            start = datetime.fromisoformat(str(self.start))
        except ValueError as error:
            raise DataError(f"start must be an ISO 8601 moment, not {self.start!r} ({error})") from error
        if not 1678 <= start.year <= _LAST_YEAR:
            raise DataError(f"start must be in the years 1678 to {_LAST_YEAR}, is {self.start!r}")
        return start

    def made_stamps(self, n_samples: int, first: int = 0) -> tuple[NDArray[np.int64], bool]:
        """Return the stamps (n,) int64 ns of a file without, from sample `first` on, and if they are UTC."""
        start, rate_hz = self._start(), self.rate_hz or 0.0
        if (first + n_samples) / rate_hz > _SECONDS_A_YEAR * (_LAST_YEAR - start.year):
            raise DataError(f"start and rate: sample {first + n_samples:,} would come after {_LAST_YEAR}")
        is_utc = start.tzinfo is not None
        start_ns = np.datetime64(start.astimezone(UTC).replace(tzinfo=None) if is_utc else start, "ns")
        # Whole seconds apart from the rest, so that a long recording loses no nanoseconds.
        seconds, rest = np.divmod(np.arange(first, first + n_samples) / rate_hz, 1.0)
        return int(start_ns.astype(np.int64)) + seconds.astype(np.int64) * 10**9 + np.rint(rest * 1e9).astype(
            np.int64
        ), is_utc

    def all_stamps(self, n_samples: int) -> tuple[NDArray[np.int64], bool]:
        """Return what `made_stamps` does of all samples, however many they are."""
        stamps = mapped(
            n_samples,
            lambda rows: self.made_stamps(rows.stop - rows.start, rows.start)[0],
            like=np.empty(0, np.int64),
        )
        return stamps, self._start().tzinfo is not None

    def given(self) -> dict[str, Any]:
        """Return the options that are not as usual."""
        usual = ReadOptions()
        values = {option.name: getattr(self, option.name) for option in fields(self)}
        return {name: value for name, value in values.items() if value != getattr(usual, name)}

    def refuse(self, path: Path, *names: str, kind: str) -> None:
        """Refuse options that do not apply to a kind of file, rather than ignore them."""
        for name in self.given():
            if name in names:
                raise DataError(f"{path}: {name} does not apply to {kind}")


def parse_columns(text: str) -> dict[str, str]:
    """Return ``time=Timestamp,x=X (g)`` as a mapping; a part without ``=`` goes on with the name before.

    Raises
    ------
    DataError
        If a part has no name, or one is given twice.
    """
    columns: dict[str, str] = {}
    for part in text.split(","):
        key, sign, name = part.partition("=")
        key = key.strip().lower()
        if sign and key in ALIASES:
            if key in columns:
                raise DataError(f"columns: {key!r} is given twice")
            columns[key] = name
        elif not columns:
            raise DataError(f"columns: must be like time=Timestamp,x=X,y=Y,z=Z, not {text!r}")
        else:
            last = list(columns)[-1]
            columns[last] += f",{part}"
    columns = {key: name.strip().strip('"') for key, name in columns.items()}
    empty = [key for key, name in columns.items() if not name]
    if empty:
        raise DataError(f"columns: no name is given for {empty[0]!r}")
    return columns


@dataclass
class Found:
    """What a reader found: facts for ``info``, warnings, and where in the file a sample lies."""

    facts: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    place: Callable[[int], str] = row_place
    unit: Unit | None = None
    """The unit that the file names; None if it names none."""
    is_log: bool = False
    """Whether it looks like the log of a watch, in g or m/s²."""
