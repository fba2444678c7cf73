"""Names of classes and participants that may come from anyone."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable

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


def _is_number(name: str) -> bool:
    return name.strip().lstrip("+-").replace(".", "", 1).isdecimal()


def repeated(names: Iterable[str]) -> list[str]:
    """Return the names that occur more than once, sorted."""
    return sorted(name for name, count in Counter(names).items() if count > 1)
