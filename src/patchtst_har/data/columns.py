"""Which column of a table is which: the names that recordings in the field give to time and axes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from patchtst_har.errors import DataError
from patchtst_har.support.formatting import listed

Unit = Literal["g", "m/s2", "mg"]
AXES = ("x", "y", "z")
EXTRAS = ("temperature", "light")

ALIASES: dict[str, tuple[str, ...]] = {
    "time": ("time", "timestamp", "datetime", "date_time", "epoch", "loggingtime"),
    **{
        axis: (
            axis,
            f"a{axis}",
            f"acc{axis}",
            *(f"{name}_{axis}" for name in ("acc", "accel", "acceleration", "accelerometer")),
            f"accelerometeracceleration{axis}",
            f"{axis}_axis",
        )
        for axis in AXES
    },
    "annotation": ("annotation", "label", "activity"),
    "temperature": ("temperature", "temp"),
    "light": ("light", "lux"),
}
"""Accepted names of each column, as `plain_name` gives them; the first is the one used here."""

_UNIT = re.compile(r"\s*[(\[]([^()\[\]]*)[)\]]\s*$")
_UNITS: dict[str, Unit] = {
    "g": "g",
    "mg": "mg",
    "m/s2": "m/s2",
    "m/s^2": "m/s2",
    "m/s²": "m/s2",
    "m/s/s": "m/s2",
    "ms-2": "m/s2",
}


def plain_name(name: str) -> str:
    """Return a column's name in lower case, with ``_`` for blanks and dashes, without a unit in brackets."""
    return re.sub(r"[\s.-]+", "_", _UNIT.sub("", name).strip().lower())


@dataclass(frozen=True)
class ColumnNames:
    """A table's own names for the columns of a recording."""

    time: str | None
    axes: tuple[str, str, str]
    annotation: str | None
    extras: dict[str, str]

    @property
    def all(self) -> list[str]:
        """Every column to read."""
        optional = [name for name in (self.time, self.annotation) if name is not None]
        return [*optional, *self.axes, *self.extras.values()]

    def unit(self, source: str) -> Unit | None:
        """Return the unit that stands in brackets behind the names of the axes; None if none does.

        Raises
        ------
        DataError
            If it is not the same for all.
        """
        texts = {found[1].strip().lower() if (found := _UNIT.search(name)) else "" for name in self.axes}
        units = {_UNITS.get(text) for text in texts}
        if len(units) > 1:
            named = ", ".join(map(repr, self.axes))
            raise DataError(f"{source}: columns {named} are not in one unit; choose others (--columns)")
        return units.pop()

    @property
    def found(self) -> dict[str, str]:
        """The table's name of each column of a recording that it has."""
        named = {"time": self.time, **dict(zip(AXES, self.axes, strict=True)), "annotation": self.annotation}
        return {name: column for name, column in named.items() if column is not None} | self.extras


def require_columns(found: Sequence[str], needed: Sequence[str], source: str) -> None:
    """Refuse the header of a table that lacks a needed column, or has one twice: which holds is not known."""
    missing = [name for name in needed if name not in found]
    if missing:
        quoted = listed(map(repr, found)) or "none"
        raise DataError(f"{source}: no column {', '.join(map(repr, missing))} (found: {quoted})")
    for name in needed:
        if found.count(name) > 1:
            raise DataError(f"{source}: {found.count(name)} columns are named {name!r}")


def match_columns(
    names: Sequence[str],
    chosen: Mapping[str, str],
    source: str,
    *,
    has_stamps: bool = True,
    hint: Callable[[], str] = str,
) -> ColumnNames:
    """Find the columns of a recording among a table's column names.

    Parameters
    ----------
    names : sequence of str
        The table's columns.
    chosen : mapping of str to str
        The table's name of some columns of `ALIASES`; the others are found by their aliases.
    source : str
        The file, for messages.
    has_stamps : bool
        Whether a time column is needed; if not, none is looked for.
    hint : callable
        Returns what else to try, for the message about absent columns.

    Raises
    ------
    DataError
        If a needed column is absent (the message lists the columns found), two columns fit one name, one is
        chosen for two purposes, or a name that is used occurs twice.
    """
    found = {
        name: _chosen(names, chosen[name]) if name in chosen else _match(names, name, source)
        for name in ALIASES
        if has_stamps or name != "time"
    }
    absent = [
        chosen.get(name, name)
        for name, column in found.items()
        if column is None and (name in chosen or name in ("time", *AXES))
    ]
    if absent:
        quoted = listed(map(repr, names)) or "none"
        all_of_them = ",".join(f"{name}=..." for name in absent)
        ways = f"name the columns (--columns {all_of_them})" if not chosen else "see --columns"
        raise DataError(
            f"{source}: no column {', '.join(map(repr, absent))} (found: {quoted}); {ways}{hint()}"
        )
    x, y, z = (str(found[axis]) for axis in AXES)
    extras = {name: column for name in EXTRAS if (column := found[name]) is not None}
    columns = ColumnNames(found.get("time"), (x, y, z), found["annotation"], extras)
    for column in columns.all:
        if columns.all.count(column) > 1:
            raise DataError(f"{source}: column {column!r} is chosen for two purposes")
        if names.count(column) > 1:
            raise DataError(f"{source}: {names.count(column)} columns are named {column!r}")
    return columns


def _chosen(names: Sequence[str], wanted: str) -> str | None:
    """Return the column of this name, blanks around it aside."""
    return (
        wanted if wanted in names else next((name for name in names if name.strip() == wanted.strip()), None)
    )


def _match(names: Sequence[str], wanted: str, source: str) -> str | None:
    """Return the column that is `wanted`: by its exact name, else by a single alias."""
    if wanted in names:
        return wanted
    fitting = [name for name in names if plain_name(name) in ALIASES[wanted]]
    if len(fitting) > 1:
        raise DataError(
            f"{source}: columns {', '.join(map(repr, fitting))} could all be {wanted!r}; "
            f"choose one (--columns {wanted}=...)"
        )
    return fitting[0] if fitting else None
