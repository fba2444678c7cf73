"""Which column of a table is which: the names that recordings in the field give to time and axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchtst_har.errors import DataError

AXES = ("x", "y", "z")
EXTRAS = ("temperature", "light")

ALIASES: dict[str, tuple[str, ...]] = {
    "time": ("time", "timestamp", "datetime", "date_time"),
    "x": ("x", "ax", "accx", "acc_x", "accel_x", "acceleration_x"),
    "y": ("y", "ay", "accy", "acc_y", "accel_y", "acceleration_y"),
    "z": ("z", "az", "accz", "acc_z", "accel_z", "acceleration_z"),
    "annotation": ("annotation", "label", "activity"),
    "temperature": ("temperature", "temp"),
    "light": ("light", "lux"),
}
"""Accepted names of each column, compared without regard to case; the first is the one used here."""


@dataclass(frozen=True)
class ColumnNames:
    """A table's own names for the columns of a recording."""

    time: str
    axes: tuple[str, str, str]
    annotation: str | None
    extras: dict[str, str]

    @property
    def all(self) -> list[str]:
        """Every column to read."""
        return [self.time, *self.axes, *([self.annotation] if self.annotation else []), *self.extras.values()]


def match_columns(names: Sequence[str], time_column: str, source: str) -> ColumnNames:
    """Find the columns of a recording among a table's column names.

    Parameters
    ----------
    names : sequence of str
        The table's columns.
    time_column : str
        The column with the time stamps; ``"time"`` also accepts its aliases.
    source : str
        The file, for messages.

    Raises
    ------
    DataError
        If a needed column is absent (the message lists the columns found) two columns fit one name, or a name
        that is used occurs twice.
    """
    found = {name: _match(names, name, source) for name in ALIASES if name != "time"}
    time = time_column if time_column in names else None
    if time is None and time_column == "time":
        time = _match(names, "time", source)
    x, y, z = (found[axis] for axis in AXES)
    if time is None or x is None or y is None or z is None:
        absent = [time_column] * (time is None) + [axis for axis in AXES if found[axis] is None]
        listed = ", ".join(map(repr, names)) or "none"
        raise DataError(f"{source}: no column {', '.join(map(repr, absent))} (found: {listed})")
    extras = {name: column for name in EXTRAS if (column := found[name]) is not None}
    columns = ColumnNames(time, (x, y, z), found["annotation"], extras)
    for column in columns.all:
        if names.count(column) > 1:
            raise DataError(f"{source}: {names.count(column)} columns are named {column!r}")
    return columns


def _match(names: Sequence[str], wanted: str, source: str) -> str | None:
    """Return the column that is `wanted`: by its exact name, else by a single alias."""
    if wanted in names:
        return wanted
    fitting = [name for name in names if name.strip().lower() in ALIASES[wanted]]
    if len(fitting) > 1:
        raise DataError(f"{source}: columns {', '.join(map(repr, fitting))} could all be {wanted!r}")
    return fitting[0] if fitting else None


def to_float32(values: Any) -> NDArray[np.float32]:
    """Return numbers as float32; what is too large for it becomes infinite, so it counts as non-finite."""
    with np.errstate(over="ignore"):
        return np.asarray(values, dtype=np.float32)
