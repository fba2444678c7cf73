"""Numbers with units, for people to read."""

from __future__ import annotations


def duration(microseconds: float | None) -> str:
    """Return a duration in the unit that suits it."""
    if microseconds is None:
        return "n/a"
    for limit, unit in ((1e6, "s"), (1e3, "ms")):
        if microseconds >= limit:
            return f"{microseconds / limit:,.3g} {unit}"
    return f"{microseconds:,.3g} µs"
