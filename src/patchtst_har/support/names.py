"""Names of classes, participants and files that may come from anyone."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from patchtst_har.errors import DataError

_FORMULA_STARTS = ("=", "+", "-", "@")
# Control characters, halves of surrogate pairs, separators of lines and paragraphs.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})


def unusable_name(name: str) -> str | None:
    """Return what is wrong with a name that goes into tables and pages, beginning with the name; or None.

    Refused are control characters and line breaks, and what a spreadsheet would run as a formula: ``=``,
    ``+``, ``-`` or ``@`` in front, unless the name is a number. A name is never changed.

    Parameters
    ----------
    name : str
        Of a class or a participant.
    """
    if any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in name):
        return f"{name[:80]!r} has a control character or a line break"
    if name.lstrip().startswith(_FORMULA_STARTS) and not _is_number(name):
        return f"{name[:80]!r} begins with {name.lstrip()[0]!r}: a spreadsheet would run it as a formula"
    return None


def participant_array(participants: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return the participant of each row as an array of strings or of numbers.

    Raises
    ------
    DataError
        If one is missing (None, NaN), or some are strings and others are not; the message names the row.
    """
    people = np.asarray(participants)
    if people.dtype.kind == "O" and people.ndim == 1 and people.size:
        kind = str if isinstance(people[0], str) else int
        wrong = next((row for row, value in enumerate(people.tolist()) if not isinstance(value, kind)), None)
        if wrong is not None:
            raise DataError(
                f"participants: need to be all strings or all numbers, row {wrong} is {people[wrong]!r}"
            )
    missing = np.flatnonzero(people != people)
    if missing.size:
        raise DataError(f"participants: row {missing[0]} is missing ({people.flat[missing[0]]})")
    return people


def printable(name: str) -> str:
    """Return a file's name as UTF-8 text: bytes that are not UTF-8 become escapes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _is_number(name: str) -> bool:
    return name.strip().lstrip("+-").replace(".", "", 1).isdecimal()


def repeated(names: Iterable[str]) -> list[str]:
    """Return the names that occur more than once, sorted."""
    return sorted(name for name, count in Counter(names).items() if count > 1)
