"""Numbers for people to read, in the terminal and in reports."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

NONE = "n/a"
"""What stands for a number that is not known."""


def score(value: float | None) -> str:
    """Return a score with three decimals."""
    return NONE if value is None else f"{value:.3f}"


def metric_text(name: str, value: float, decimals: int) -> str:
    """Return a metric of a training run: a score with decimals, an epoch without."""
    return f"{value:.0f}" if name.endswith("epoch") else f"{value:.{decimals}f}"


def percent(value: float | None) -> str:
    """Return a fraction in percent."""
    return NONE if value is None else f"{100 * value:.1f} %"


def duration(microseconds: float | None) -> str:
    """Return a duration in the unit that suits it."""
    if microseconds is None:
        return NONE
    for limit, unit in ((1e6, "s"), (1e3, "ms")):
        if microseconds >= limit:
            return f"{microseconds / limit:,.3g} {unit}"
    return f"{microseconds:,.3g} µs"


def size(n_bytes: int) -> str:
    """Return a number of bytes in the unit that suits it."""
    for limit, unit in ((1024**2, "MiB"), (1024, "KiB")):
        if n_bytes >= limit:
            return f"{n_bytes / limit:,.1f} {unit}"
    return f"{n_bytes} B"


def count(value: int) -> str:
    """Return a whole number with separators of thousands."""
    return f"{value:,}"


def counted(value: int, one: str, many: str) -> str:
    """Return a whole number and what it counts, in the singular for 1."""
    return f"{count(value)} {one if value == 1 else many}"


def readable(value: Any) -> str:
    """Return a value for reading: a float with 4 significant digits."""
    if value is None:
        return "(none)"
    if not isinstance(value, Real) or isinstance(value, Integral):
        return str(value)
    number = float(value)
    return f"{number:.0f}" if 1e4 <= abs(number) < 1e15 else f"{number:.4g}"


def listed(names: Iterable[object], most: int = 12, width: int = 40) -> str:
    """Return names separated by commas, short enough to read: long ones cut, those after `most` counted."""
    texts = list(map(str, names))
    shown = [text if len(text) <= width else f"{text[: width - 3]}..." for text in texts[:most]]
    return ", ".join(shown) + (f", and {len(texts) - most:,} more" if len(texts) > most else "")
