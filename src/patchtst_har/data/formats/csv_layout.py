"""How a CSV file is laid out: where its header is, what separates its columns, which column is which."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchtst_har.data.columns import ALIASES, AXES, ColumnNames, match_columns, plain_name
from patchtst_har.data.formats.csv_forms import Form, beginning
from patchtst_har.data.formats.text_stamps import is_number
from patchtst_har.data.options import ReadOptions
from patchtst_har.errors import DataError

_DELIMITERS = ",;\t"
_MAX_GUESSED = 10_000
_MAX_COLUMNS = 2000


@dataclass(frozen=True)
class Layout:
    """Where and how a CSV file holds its samples."""

    names: list[str]
    """All columns, as the file names them."""
    columns: ColumnNames
    delimiter: str
    header_line: int | None
    """Line of the header, from 1; None if there is none."""
    skip_lines: int
    """Lines before the samples."""

    def is_cut(self, line: str, before: str) -> bool:
        """Whether the last line was cut off, judged by the line before it (see `CsvText`).

        It has too few columns, an open quote, or its last column is an annotation, or a stamp, that stops
        in the middle of what the line before has.
        """
        fields = next(csv.reader([line], delimiter=self.delimiter), [])
        if len(fields) < len(self.names) or line.count('"') % 2:
            return True
        known = next(csv.reader([before], delimiter=self.delimiter), [])
        if len(known) != len(fields):
            return False
        last, known_last = fields[-1].strip(), known[-1].strip()
        if self.names[-1] == self.columns.annotation:
            return bool(last) and last != known_last and known_last.startswith(last)
        if self.names[-1] != self.columns.time or len(last) >= len(known_last):
            return False
        return (
            float(last) < float(known_last)
            if is_number(last) and is_number(known_last)
            else last < known_last
        )


def find_layout(path: Path, form: Form) -> Layout:
    """Find the header of a CSV file, or that it has none.

    Blank lines and lines that begin with ``#`` are passed over. A file whose first line is four numbers, or a
    stamp and three, has no header: its columns are time, x, y, z.

    Raises
    ------
    DataError
        If the file is empty, has too many columns, or lacks one that is needed.
    """
    options = form.options
    lines = beginning(path, options, 1)
    at = next((number for number, line in enumerate(lines) if line.strip()), None)
    if at is None:
        if lines:
            raise DataError(f"{path}: holds only blank lines and comments where its header should be")
        behind = f" after the {options.skip_rows} lines that are skipped" if options.skip_rows else ""
        raise DataError(f"{path}: the file is empty{behind}")
    delimiter = options.delimiter or _delimiter(lines[at], options)
    names = _split(lines[at], delimiter, path)
    line_number = options.skip_rows + at + 1
    made = form.columns or _made_names(names, options)
    if made:
        columns = match_columns(made, {}, str(path), has_stamps=options.start is None)
        return Layout(made, columns, delimiter, None, line_number - 1)
    names = [name.strip("\ufeff") for name in names]
    columns = match_columns(
        names,
        options.columns,
        f"{path}: line {line_number}",
        has_stamps=options.start is None,
        hint=lambda: _hint(beginning(path, options), at, delimiter, options),
    )
    return Layout(names, columns, delimiter, line_number, line_number)


def _split(line: str, delimiter: str, path: Path | None = None) -> list[str]:
    if path is not None and line.count(delimiter) >= _MAX_COLUMNS:
        raise DataError(
            f"{path}: has {line.count(delimiter) + 1:,} columns, at most {_MAX_COLUMNS:,} are read"
        )
    return next(csv.reader([line], delimiter=delimiter), [])


def _delimiter(line: str, options: ReadOptions) -> str:
    """Return the delimiter by which a line holds the most columns with a meaning; a comma if none has any."""
    known = {plain_name(name) for name in options.columns.values()}
    known |= {alias for aliases in ALIASES.values() for alias in aliases}

    def meaning(delimiter: str) -> int:
        fields = _split(line[:_MAX_GUESSED], delimiter)
        return sum(plain_name(field) in known for field in fields) or 4 * bool(_made_names(fields, options))

    # Of two that are as good, not the one that is the decimal separator.
    return max(sorted(_DELIMITERS, key=lambda mark: mark == options.decimal), key=meaning)


def _made_names(fields: Sequence[str], options: ReadOptions) -> list[str]:
    """Return the names of the columns of a file without a header, if this is its first line."""
    if options.columns:
        return []
    texts = [field.strip().replace(options.decimal or ".", ".") for field in fields]
    if len(texts) == len(AXES) + 1 and all(map(is_number, texts[1:])) and texts[0][:1].lstrip("-").isdigit():
        return ["time", *AXES]
    if len(texts) == len(AXES) and options.start is not None and all(map(is_number, texts)):
        return list(AXES)
    return []


def _hint(beginning: list[str], at: int, delimiter: str, options: ReadOptions) -> str:
    """Return what may be the way out for a file whose header is not where it was looked for."""
    for number, line in enumerate(beginning[at + 1 :], start=at + 1):
        line = line[:_MAX_GUESSED]
        try:
            fields = _split(line, options.delimiter or _delimiter(line, options))
            match_columns(fields, options.columns, "", has_stamps=options.start is None)
        except (DataError, csv.Error):
            continue
        skip = options.skip_rows + number
        return f"; line {skip + 1} looks like the header: --skip-rows {skip}"
    if len(_split(beginning[at], delimiter)) < len(AXES):
        separated = "" if options.delimiter else ", or another --delimiter"
        return f", after a banner --skip-rows{separated}"
    return "; lines above the header: --skip-rows"


def facts_of(layout: Layout, form: Form) -> dict[str, Any]:
    """Return what is worth knowing about a file's form."""
    known = {"form": form.name, "device": {name: value for name, value in form.device.items() if value}}
    told = {name: getattr(form.options, name) for name in ("start", "rate_hz", "time_format")}
    return {
        "columns": layout.columns.found,
        "delimiter": layout.delimiter,
        "decimal": form.options.decimal,
        "header_line": layout.header_line,
    } | {name: value for name, value in (known | told).items() if value}
