"""Recordings in CSV text, plain or gzipped, in bounded memory.

The file is parsed in chunks by pandas' C engine. Only when a chunk fails is it looked at again to say which
line and column is at fault.
"""

from __future__ import annotations

import csv
import gzip
import logging
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from patchtst_har.data.formats.csv_forms import epoch_unit, recognise
from patchtst_har.data.formats.csv_layout import Layout, facts_of, find_layout
from patchtst_har.data.formats.csv_text import CsvText
from patchtst_har.data.formats.text_stamps import one_zone, refuse_unparsed, text_ns
from patchtst_har.data.frames import categorical_of, join_frames, make_frame
from patchtst_har.data.options import Found, ReadOptions
from patchtst_har.data.stamps import TimeUnit
from patchtst_har.errors import DataError
from patchtst_har.support.single_precision import to_float32

logger = logging.getLogger(__name__)

_CHUNK_ROWS = 2**16
_LOOKED_AT = 300
# What stands for a missing number or stamp: pandas' own list, which must not be applied to annotations.
_MISSING = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
]  # fmt: skip


def read_csv(path: Path, time_unit: TimeUnit | None, options: ReadOptions) -> tuple[pd.DataFrame, Found]:
    """Read a CSV recording (see `patchtst_har.data.formats`)."""
    return _CsvFile(path, time_unit, options).read()


class _CsvFile:
    def __init__(self, path: Path, time_unit: TimeUnit | None, options: ReadOptions) -> None:
        self.path, self.time_unit, self.options, self.given = path, time_unit, options, options
        self.per_g = 1.0
        self.cut_line: int | None = None
        self.layout: Layout
        # The fastest that keeps texts, unless all of a chunk look like numbers.
        self.annotation_type: Any = "category"

    def read(self) -> tuple[pd.DataFrame, Found]:
        with self._errors_named():
            form = recognise(self.path, self.options)
            self.options, self.per_g = form.options, form.per_g
            self.layout = find_layout(self.path, form)
            self._check_width()
            is_log = self._find_epoch()
            facts = facts_of(self.layout, form)
            if is_log:
                facts["time_unit"] = self.time_unit
            self._say(form.name, facts)
            try:
                try:
                    recording = self._joined()
                except _TextLostError:
                    self.annotation_type = object
                    recording = self._joined()
            except DataError:
                raise
            except ValueError as error:
                self._refuse_text()
                raise DataError(f"{self.path}: {error}") from error
        cut = [] if self.cut_line is None else [f"{self.path}: file cut off in line {self.cut_line}, dropped"]
        if recording is None:
            after = f" ({cut[0]})" if cut else ""
            raise DataError(f"{self.path}: has a header but no samples{after}")
        unit = "g" if self.per_g != 1 else self.layout.columns.unit(str(self.path))
        return recording, Found(facts | {"cut_line": self.cut_line}, cut, self.place, unit, is_log)

    def _check_width(self) -> None:
        """Refuse a first row longer than the header: pandas would cut all rows; it refuses later ones."""
        with self._text() as text:
            rows = csv.reader(cast(Any, text), delimiter=self.layout.delimiter)
            n_fields = len(next((row for row in rows if len(row) > 1 or (row and row[0].strip())), []))
        if n_fields > len(self.layout.names):
            named = f"the header names {len(self.layout.names)} columns"
            raise DataError(f"{self.path}: {named}, the first row has {n_fields}")

    def _find_epoch(self) -> bool:
        """Whether the stamps turn out to be numbers since 1970; their unit is then known."""
        layout, options = self.layout, self.options
        if layout.columns.time is None or self.time_unit is not None or options.time_format is not None:
            return False
        at = layout.names.index(layout.columns.time)
        with self._text() as text:
            rows = list(islice(csv.reader(cast(Any, text), delimiter=layout.delimiter), _LOOKED_AT))
        stamps = [row[at].strip() for row in rows if len(row) == len(layout.names)]
        self.time_unit = epoch_unit([text.replace(options.decimal or ".", ".") for text in stamps])
        return self.time_unit is not None

    def _say(self, form: str | None, facts: dict[str, Any]) -> None:
        """Say in one line what is taken for what, where it is not the usual form."""
        names = ("start", "rate_hz", "time_format", "time_unit")
        taken = [
            f"{name} {facts[name]}" for name in names if name in facts and not getattr(self.given, name, None)
        ]
        taken += ["decimal comma"] * (facts["decimal"] == "," and self.given.decimal is None)
        if form is not None or taken:
            columns = ", ".join(f"{name}={column}" for name, column in facts["columns"].items())
            text = f"taken for {form or 'a table'}: {'; '.join([*taken, f'columns {columns}'])}"
            logger.info("%s: %s", self.path, text)

    def _joined(self) -> pd.DataFrame | None:
        return join_frames(one_zone(self._parts(), self.layout.columns.time, str(self.path)))

    def place(self, row: int) -> str:
        """Return the line of the file (from 1) on which sample `row` (from 0) ends."""
        with self._text() as text:
            reader = csv.reader(cast(Any, text), delimiter=self.layout.delimiter)
            n_records = 0
            for record in reader:
                n_records += len(record) > 1 or bool(record and record[0].strip())
                if n_records == row + 1:
                    break
            return f"line {self.layout.skip_lines + reader.line_num}"

    def _text(self) -> CsvText:
        return CsvText(self.path, self.layout.skip_lines, self.layout.is_cut)

    def _parts(self) -> Iterator[pd.DataFrame]:
        columns, first = self.layout.columns, 0
        for chunk in self._chunks(numbers=True):

            def place(row: int, first: int = first) -> str:
                return self.place(first + row)

            if columns.time is None:
                time_ns, is_utc = self.options.made_stamps(len(chunk), first)
            else:
                stamps = chunk[columns.time]
                time_ns, is_utc = text_ns(stamps, self.time_unit, self.options, str(self.path), place)
            yield make_frame(
                time_ns,
                is_utc=is_utc,
                acceleration=np.stack(
                    [to_float32(chunk[axis] / self.per_g) for axis in columns.axes], axis=1
                ),
                annotation=_categorical(chunk[columns.annotation]) if columns.annotation else None,
                extras={name: to_float32(chunk[column]) for name, column in columns.extras.items()},
            )
            first += len(chunk)

    def _chunks(self, *, numbers: bool) -> Iterator[pd.DataFrame]:
        layout, columns = self.layout, self.layout.columns
        # As text, an annotation stays as it was written: 007, 1.0 and NA are neither numbers nor missing.
        names = _unique(layout.names)
        dtypes: dict[str, Any] = dict.fromkeys(names, str)
        missing: dict[str, list[str]] = dict.fromkeys(columns.all, _MISSING)
        if columns.annotation is not None:
            missing[columns.annotation] = [""]
            dtypes[columns.annotation] = self.annotation_type
        if numbers:
            dtypes |= dict.fromkeys([*columns.axes, *columns.extras.values()], np.float64)
        with self._text() as text:
            reader = pd.read_csv(
                cast(Any, text),
                names=names,
                header=None,
                dtype=dtypes,
                na_values=missing,
                keep_default_na=False,
                chunksize=_CHUNK_ROWS,
                index_col=False,
                engine="c",
                sep=layout.delimiter,
                decimal=self.options.decimal or ".",
            )
            with reader:
                yield from (chunk for chunk in reader if len(chunk))
            self.cut_line = text.cut_line

    def _refuse_text(self) -> None:
        """Find the first value that is not a number in a file that could not be parsed, and refuse it."""
        first = 0
        for chunk in self._chunks(numbers=False):

            def place(row: int, first: int = first) -> str:
                return self.place(first + row)

            for name in [*self.layout.columns.axes, *self.layout.columns.extras.values()]:
                texts = chunk[name]
                plain = texts.str.replace(",", ".") if self.options.decimal == "," else texts
                has_comma = self.options.decimal == "." and texts.str.contains(",", regex=False).any()
                wanted = "a number" + (" (for a decimal comma: --decimal ,)" if has_comma else "")
                refuse_unparsed(texts, pd.to_numeric(plain, errors="coerce"), wanted, str(self.path), place)
            first += len(chunk)

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:
            raise DataError(f"{self.path}: not UTF-8 text ({error.reason})") from error
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{self.path}: truncated or damaged gzip file ({error})") from error
        except (pd.errors.ParserError, csv.Error) as error:
            reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
            if reason.startswith("out of memory"):
                raise MemoryError from error
            # pandas counts from where the samples begin.
            reason = re.sub(r"(?<=\bline )\d+", lambda at: str(int(at[0]) + self.layout.skip_lines), reason)
            raise DataError(f"{self.path}: not a well-formed table ({reason})") from error


class _TextLostError(Exception):
    """Annotations that all look like numbers were made numbers: 01 is 1, true is True."""


def _categorical(column: pd.Series[Any]) -> pd.Categorical:
    if column.dtype == object:
        codes, texts = pd.factorize(column.to_numpy())
        return categorical_of(codes, list(texts))
    names = column.cat.categories
    if len(names) and not pd.api.types.is_string_dtype(names):
        raise _TextLostError
    return categorical_of(column.cat.codes.to_numpy(), list(names))


def _unique(names: list[str]) -> list[str]:
    """Return column names of which each occurs once, as pandas needs them; those that are used do already."""
    return [f"{at}\0{name}" if name in names[:at] else name for at, name in enumerate(names)]
