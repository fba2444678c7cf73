"""Whose CSV a file is, by its content: what the exports of devices and watches leave to be known.

ActiGraph, GENEActiv and Empatica write start, rate and columns in lines of their own; logs of watches have
numbers for stamps; a decimal comma may stand where a point is usual. What the content shows fills in what the
user did not say; what it leaves open is refused with the option that settles it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from patchtst_har.data.columns import AXES
from patchtst_har.data.formats.csv_text import CsvText
from patchtst_har.data.formats.text_stamps import is_number
from patchtst_har.data.options import ReadOptions
from patchtst_har.data.stamps import NS_PER_UNIT, TimeUnit
from patchtst_har.errors import DataError

MOST_LINES = 1000
_LOOKED_AT = 300
_LONGEST = 10_000
_COMMA = re.compile(r"[+-]?\d+,\d+")
_POINT = re.compile(r"[+-]?\d*\.\d+")
_MAY_BE_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
# From September 2001 to 2099, in seconds; the ranges of the units do not overlap.
_EPOCH_S = (1e9, 4.1e9)
_PLAUSIBLE_HZ = (5.0, 2000.0)


@dataclass(frozen=True)
class Form:
    """What the content of a CSV file shows."""

    options: ReadOptions
    """What the user said, completed; `decimal` is known."""
    name: str | None = None
    """Whose form it is."""
    columns: list[str] | None = None
    """Names of all columns where no line has them."""
    per_g: float = 1.0
    """Units of the samples per g, where the form says so; else 1."""
    device: dict[str, Any] = field(default_factory=dict)


def recognise(path: Path, options: ReadOptions) -> Form:
    """Return the form of a CSV file.

    Raises
    ------
    DataError
        If it is not a file of samples, or leaves open how it is to be read.
    """
    lines = beginning(path, options, _LOOKED_AT)
    form = Form(options)
    if not options.skip_rows:
        found = (read(lines, options, path) for read in _FORMS)
        form = next((known for known in found if known is not None), form)
    rows = lines[form.options.skip_rows - options.skip_rows :]
    return replace(form, options=replace(form.options, decimal=_decimal(rows, form.options, path)))


def beginning(path: Path, options: ReadOptions, n_filled: int = MOST_LINES) -> list[str]:
    """Return the first lines of a file, until so many are not blank."""
    lines: list[str] = []
    with CsvText(path, options.skip_rows) as text:
        for line in islice(text, MOST_LINES):
            lines.append(line)
            n_filled -= not line.isspace()
            if not n_filled:
                break
    return lines


def epoch_unit(texts: Sequence[str]) -> TimeUnit | None:
    """Return the unit of stamps that count from 1970; None if they do not, or it cannot be known.

    Parameters
    ----------
    texts : sequence of str
        The first stamps, in order. As numbers of the unit, they must lie between 2001 and 2099, and their
        steps must be those of a sensor.
    """
    if len(texts) < 2 or not all(map(is_number, texts)):
        return None
    first, last = float(texts[0]), float(texts[-1])
    for unit, scale_ns in NS_PER_UNIT.items():
        per_s = 10**9 / scale_ns
        steps_hz = (len(texts) - 1) * per_s / (last - first) if last > first else 0.0
        if all(_EPOCH_S[0] <= value / per_s <= _EPOCH_S[1] for value in (first, last)):
            return unit if _PLAUSIBLE_HZ[0] <= steps_hz <= _PLAUSIBLE_HZ[1] else None  # type: ignore[return-value]
    return None


def _decimal(lines: Sequence[str], options: ReadOptions, path: Path) -> Any:
    """Return the decimal separator: a comma where fields between other marks, or in quotes, have one."""
    if options.decimal is not None:
        return options.decimal
    filled = [line[:_LONGEST] for line in lines if line.strip()]
    for mark in (options.delimiter or ";\t,").removeprefix("," if options.delimiter else ""):
        rows = [[text.strip() for text in row] for row in csv.reader(filled, delimiter=mark)]
        # A row without the mark is one field, whose commas may be what separates.
        found = [[text for text in row if len(row) > 1 and _COMMA.fullmatch(text)] for row in rows]
        # Of quoted fields, one may be a count with commas for thousands; samples have three values a row.
        least = len(AXES) if mark == "," else 1
        commas = [text for texts in found if len(texts) >= least for text in texts]
        if sum(len(texts) >= least for texts in found) * 2 < len(filled) or not commas:
            continue
        if not all(map(_MAY_BE_THOUSANDS.fullmatch, commas)):
            return ","
        if not any(_POINT.fullmatch(text) for row in rows for text in row):
            raise DataError(
                f"{path}: values such as {commas[0]!r} may have a decimal comma or one for thousands: "
                "if decimal, --decimal ,"
            )
    return "."


def _actigraph(lines: Sequence[str], options: ReadOptions, path: Path) -> Form | None:
    """Read the lines above an ActiGraph export, such as ``date format M/d/yyyy at 30 Hz``, ``Start Time``."""
    if not lines or not re.match(r'"?-+ *Data (File|Table) Created By ActiGraph', lines[0]):
        return None
    bare = [line.strip(' "\r\n;,\t') for line in lines]
    end = next((at for at, line in enumerate(bare[1:30], start=1) if re.fullmatch("-{5,}", line)), None)
    if end is None:
        return None
    text = "\n".join(bare[:end])

    def said(pattern: str) -> str | None:
        found = re.search(pattern, text, re.MULTILINE)
        return found[1].strip() if found else None

    period = said(r"^Epoch Period \(hh:mm:ss\) *(\S+)")
    if period is not None and re.search(r"[1-9]", period):
        raise DataError(f"{path}: an ActiGraph export of counts in epochs of {period}, not of acceleration")
    date_format = _date_format(said(r"date format (\S+)"))
    device = {
        "maker": "ActiGraph",
        "model": said(r"ActiGraph (\S+)"),
        "serial": said(r"^Serial Number:? *(\S+)"),
    }
    form = Form(replace(options, skip_rows=end + 1), "an ActiGraph export", device=device)
    if re.search(r"\btime(stamp)?\b", lines[end + 1] if len(lines) > end + 1 else "", re.IGNORECASE):
        if options.time_format is not None or date_format is None:
            return form
        return replace(form, options=replace(form.options, time_format=f"{date_format} %H:%M:%S.%f"))
    if options.start is not None or "time" in options.columns:
        return form
    rate, day, clock = (
        said(r"\bat (\d+(?:[.,]\d+)?) *Hz"),
        said(r"^Start Date *(\S+)"),
        said(r"^Start Time *(.+)"),
    )
    if rate is None or day is None or clock is None:
        raise DataError(f"{path}: an ActiGraph export without start or rate: name --start and --rate")
    start = _moment(day, clock, date_format, path)
    return replace(form, options=replace(form.options, start=start, rate_hz=float(rate.replace(",", "."))))


def _date_format(text: str | None) -> str | None:
    """Return ``M/d/yyyy`` as ``%m/%d/%Y``."""
    if text is None:
        return None
    codes = {"yyyy": "%Y", "yy": "%y", "MM": "%m", "M": "%m", "dd": "%d", "d": "%d"}
    return re.sub("yyyy|yy|MM|M|dd|d", lambda found: codes[found[0]], text)


def _moment(day: str, clock: str, date_format: str | None, path: Path) -> str:
    """Return date and time as ISO 8601; refuse a date that may be read in two ways."""
    formats = (
        [date_format]
        if date_format
        else ["%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%Y-%m-%d", "%m-%d-%Y", "%d-%m-%Y"]
    )
    moments = set()
    for date in formats:
        for time in ("%H:%M:%S", "%I:%M:%S %p"):
            try:
                moments.add(datetime.strptime(f"{day} {clock}", f"{date} {time}"))
            except ValueError:
                continue
    if len(moments) != 1:
        may = "may be read in two ways" if moments else "cannot be read"
        raise DataError(f"{path}: the start {day!r} {clock!r} {may}: name --start and --rate")
    return moments.pop().isoformat()


def _geneactiv(lines: Sequence[str], options: ReadOptions, path: Path) -> Form | None:
    """Read the hundred lines above a GENEActiv export: names and values; its columns have no names."""
    if not lines or not re.match(r'"?Device Type"?[,;\t] *"?GENEActiv', lines[0]):
        return None
    stamp = re.compile(r'"?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d:\d{3}"?([,;\t])')
    at = next((number for number, line in enumerate(lines) if stamp.match(line)), None)
    if at is None:
        raise DataError(f"{path}: a GENEActiv export without samples in its first {len(lines)} lines")
    mark = stamp.match(lines[at])[1]  # type: ignore[index]
    rows = [next(csv.reader([line.strip()], delimiter=mark), []) for line in lines[: at + 1]]
    names = ["time", *AXES, "light", "button", "temperature"]
    if len(rows[-1]) != len(names):
        raise DataError(
            f"{path}: a GENEActiv export with {len(rows[-1])} columns; those of samples have {len(names)}, "
            "so these are probably summaries of epochs"
        )
    said = {row[0].strip(): row[1].strip() for row in rows if len(row) > 1}
    device = {
        "maker": "Activinsights",
        "model": " ".join(filter(None, ("GENEActiv", said.get("Device Model")))),
        "serial": said.get("Device Unique Serial Code"),
        "time_zone": said.get("Time Zone"),
        "location": said.get("Device Location Code"),
    }
    told = replace(
        options, skip_rows=at, delimiter=mark, time_format=options.time_format or "%Y-%m-%d %H:%M:%S:%f"
    )
    return Form(told, "a GENEActiv export", names, device=device)


def _empatica(lines: Sequence[str], options: ReadOptions, path: Path) -> Form | None:
    """Read the two lines above the samples of an Empatica E4, for each axis: the start (UTC), the rate."""
    filled = [line.strip() for line in lines if line.strip()]
    rows = [[text.strip() for text in re.split("[,;]", line)] for line in filled]
    if len(rows) < 3 or any(len(row) != len(AXES) or not all(map(is_number, row)) for row in rows):
        return None
    start, rate = ({float(text) for text in row} for row in rows[:2])
    is_counts = all(re.fullmatch(r"-?\d{1,3}(\.0+)?", text) for row in rows[2:] for text in row)
    if len(start) != 1 or len(rate) != 1 or not _EPOCH_S[0] <= min(start) <= _EPOCH_S[1] or not is_counts:
        return None
    device = {"maker": "Empatica", "model": "E4", "sample_rate_hz": min(rate)}
    told = replace(options, skip_rows=lines.index(next(line for line in lines if line.strip())) + 2)
    if options.start is None:
        told = replace(told, start=datetime.fromtimestamp(min(start), UTC).isoformat(), rate_hz=min(rate))
    return Form(told, "an Empatica E4's ACC.csv, in 1/64 g", list(AXES), per_g=64.0, device=device)


_FORMS: tuple[Callable[[Sequence[str], ReadOptions, Path], Form | None], ...] = (
    _actigraph,
    _geneactiv,
    _empatica,
)
