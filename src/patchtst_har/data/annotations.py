"""From annotations, as people wrote them, to the classes of a study."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from patchtst_har.data.columns import require_columns
from patchtst_har.errors import DataError
from patchtst_har.support.documents import read_text
from patchtst_har.support.formatting import counted, listed

if TYPE_CHECKING:
    import pandas as pd

_MOST_BYTES = 64 * 2**20


@dataclass(frozen=True)
class LabelMap:
    """A mapping of annotations to classes."""

    classes_by_annotation: Mapping[str, str]
    """Class of each annotation; an empty class means not labelled."""
    source: str = "label map"
    """Where it comes from, for messages."""

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str], column: str | None = None) -> LabelMap:
        """Read a dictionary such as CAPTURE-24's `annotation-label-dictionary.csv`.

        Parameters
        ----------
        path : path-like
            CSV with a column `annotation`.
        column : str, optional
            The column of classes, for example ``"label:Walmsley2020"``; may be left out if `annotation` and
            one other column are all there are.

        Returns
        -------
        LabelMap
            Classes by annotation.

        Raises
        ------
        DataError
            If the file is missing or no UTF-8 CSV, lacks a column (the message lists those found), is empty,
            has one twice, has a row of more or fewer values than columns, or gives one annotation two
            classes. Blanks around a class do not count.
        """
        rows = read_table(path, ("annotation",) if column is None else ("annotation", column))
        if not rows:
            raise DataError(f"{path}: has a header but no annotations")
        if column is None:
            column = _only_column([*rows[0]], path)
        classes: dict[str, str] = {}
        for annotation, name in ((row["annotation"], row[column].strip()) for row in rows):
            if classes.setdefault(annotation, name) != name:
                raise DataError(f"{path}: annotation {annotation!r} has two classes in column {column!r}")
        return cls(classes, str(path))

    @property
    def classes(self) -> tuple[str, ...]:
        """All classes, sorted."""
        return tuple(sorted({name for name in self.classes_by_annotation.values() if name}))

    def apply(self, recording: pd.DataFrame, source: str = "recording") -> pd.DataFrame:
        """Return the recording with its column `annotation` mapped to classes.

        Raises
        ------
        DataError
            If there is no column `annotation`, or it holds an annotation that is not in the map; the message
            names the first and its row.
        """
        import pandas as pd

        if "annotation" not in recording.columns:
            raise DataError(f"{source}: has no column 'annotation' to map")
        column = recording["annotation"].astype("category")
        present = [str(name) for name in column.cat.remove_unused_categories().cat.categories]
        unknown = [name for name in present if name and name not in self.classes_by_annotation]
        if unknown:
            raise DataError(f"{source}: {self._unknown(column, unknown)}")
        index = {name: number for number, name in enumerate(self.classes)}
        mapped = [self.classes_by_annotation.get(str(name), "") for name in column.cat.categories]
        lookup = np.array([index.get(name, -1) for name in mapped] + [-1], dtype=np.int64)
        codes = lookup[column.cat.codes.to_numpy()]
        categories = pd.Index(list(self.classes), dtype=object)
        return recording.assign(annotation=pd.Categorical.from_codes(codes, categories=categories))

    def without_class(self, recording: pd.DataFrame) -> dict[str, int]:
        """Return how many samples have each annotation of the map whose class is empty, those that have any.

        Parameters
        ----------
        recording : pandas.DataFrame
            With its column `annotation` as it was read.
        """
        counts = recording["annotation"].value_counts()
        return {
            str(name): int(n)
            for name, n in sorted(counts.items())
            if n and self.classes_by_annotation.get(str(name)) == ""
        }

    def _unknown(self, column: pd.Series[Any], unknown: Collection[str]) -> str:
        """Return what is wrong with the first annotation of a column that is not in the map."""
        wrong = np.array([*(str(name) in unknown for name in column.cat.categories), False])
        row = int(np.flatnonzero(wrong[column.cat.codes.to_numpy()])[0])
        name, at = str(column.iloc[row]), f"row {row + 1:,} ({column.index[row]})"
        alike = [known for known in self.classes_by_annotation if known.split() == name.split()]
        but = f", but {alike[0]!r} is, with other blanks" if alike else ""
        return f"{at}: annotation {name!r} is not in {self.source}{but}"


def read_table(path: str | os.PathLike[str], columns: Sequence[str]) -> list[dict[str, str]]:
    """Read a small table of texts that comes with a data set: its rows, by column.

    Parameters
    ----------
    path : path-like
        CSV in UTF-8, with or without a byte-order mark; blanks around a column's name do not count.
    columns : sequence of str
        Columns that it must have.

    Raises
    ------
    DataError
        If the file is missing, too large or no UTF-8 CSV, lacks one of the columns or has it twice, or a row
        has more or fewer values than the header has columns; the message names file and line.
    """
    path = Path(path)
    try:
        text = read_text(path, _MOST_BYTES, may_be_pipe=True)
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = [name.strip() for name in next(reader, [])]
        require_columns(header, columns, str(path))
        rows = []
        for values in filter(None, reader):
            if len(values) != len(header):
                n_values = counted(len(values), "value", "values")
                raise DataError(f"{path}: line {reader.line_num} has {n_values}, the header {len(header)}")
            rows.append(dict(zip(header, values, strict=True)))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise DataError(f"{path}: no such file") from error
    except csv.Error as error:
        raise DataError(f"{path}: not CSV text ({error})") from error
    return rows


def _only_column(names: list[str], path: str | os.PathLike[str]) -> str:
    """Return the one column of classes."""
    others = [name for name in names if name != "annotation"]
    if len(others) != 1:
        found = listed([repr(name) for name in others]) if others else "none"
        raise DataError(f"{path}: which column has the classes? Name it (--label-column); found: {found}")
    return others[0]
