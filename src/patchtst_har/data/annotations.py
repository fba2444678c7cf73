"""From annotations, as people wrote them, to the classes of a study."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from patchtst_har.data.columns import require_columns
from patchtst_har.errors import DataError
from patchtst_har.support.documents import read_text
from patchtst_har.support.formatting import listed

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

        Raises
        ------
        DataError
            If the file is missing or no UTF-8 CSV, lacks a column (the message lists those found), is empty,
            has one twice, or gives one annotation two classes. Blanks around a class do not count.
        """
        path = Path(path)
        try:
            text = read_text(path, _MOST_BYTES, may_be_pipe=True)
            reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
            names = [*(reader.fieldnames or ())]
            if column is None:
                column = _only_column(names, path)
            require_columns(names, ("annotation", column), str(path))
            rows = [(row["annotation"] or "", (row[column] or "").strip()) for row in reader]
        except (FileNotFoundError, IsADirectoryError) as error:
            raise DataError(f"{path}: no such file") from error
        except csv.Error as error:
            raise DataError(f"{path}: not CSV text ({error})") from error
        if not rows:
            raise DataError(f"{path}: has a header but no annotations")
        classes: dict[str, str] = {}
        for annotation, name in rows:
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
            If there is no column `annotation`, or it holds an annotation that is not in the map.
        """
        import pandas as pd

        if "annotation" not in recording.columns:
            raise DataError(f"{source}: has no column 'annotation' to map")
        column = recording["annotation"].astype("category")
        present = [str(name) for name in column.cat.remove_unused_categories().cat.categories]
        unknown = [name for name in present if name and name not in self.classes_by_annotation]
        if unknown:
            raise DataError(f"{source}: annotation {unknown[0]!r} is not in {self.source}")
        index = {name: number for number, name in enumerate(self.classes)}
        mapped = [self.classes_by_annotation.get(str(name), "") for name in column.cat.categories]
        lookup = np.array([index.get(name, -1) for name in mapped] + [-1], dtype=np.int64)
        codes = lookup[column.cat.codes.to_numpy()]
        categories = pd.Index(list(self.classes), dtype=object)
        return recording.assign(annotation=pd.Categorical.from_codes(codes, categories=categories))


def _only_column(names: list[str], path: Path) -> str:
    """Return the one column of classes."""
    others = [name for name in names if name != "annotation"]
    if len(others) != 1:
        found = listed([repr(name) for name in others]) if others else "none"
        raise DataError(f"{path}: which column has the classes? Name it (--label-column); found: {found}")
    return others[0]
