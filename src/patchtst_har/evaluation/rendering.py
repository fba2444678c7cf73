"""Templates and the formats of numbers in reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2

from patchtst_har.evaluation.records import Interval, Spread

_DASH = "\u2013"
_NONE = "n/a"


def render(template: str, **values: Any) -> str:
    """Return the HTML of a template; text is escaped, a name that the template lacks is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        score=score,
        percent=percent,
        interval=interval,
        spread=spread,
        duration=duration,
        size=size,
        count=count,
    )
    return environment.get_template(template).render(**values)


def score(value: float | None) -> str:
    """Return a score with three decimals."""
    return _NONE if value is None else f"{value:.3f}"


def percent(value: float | None) -> str:
    """Return a fraction in percent."""
    return _NONE if value is None else f"{100 * value:.1f} %"


def interval(value: Interval, signed: bool = False) -> str:
    """Return the bounds of an interval; with signs for a difference."""
    if value.low is None or value.high is None:
        return _NONE
    if signed:
        return f"{value.low:+.3f} to {value.high:+.3f}"
    return f"{value.low:.3f}{_DASH}{value.high:.3f}"


def spread(value: Spread) -> str:
    """Return mean and standard deviation."""
    if value.mean is None:
        return _NONE
    return f"{value.mean:.3f}" if value.sd is None else f"{value.mean:.3f} ± {value.sd:.3f}"


def duration(microseconds: float | None) -> str:
    """Return a duration in the unit that suits it."""
    if microseconds is None:
        return _NONE
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


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield dotted names and text values of nested mappings."""
    for name, value in values.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from flatten(value, f"{path}.")
        elif isinstance(value, list | tuple):
            yield path, ", ".join(str(item) for item in value) or "(none)"
        else:
            yield path, "(none)" if value is None else str(value)
