"""Templates and the formats of numbers in reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from patchtst_har.records.run import Bootstrap, Interval, Spread
from patchtst_har.support.formatting import duration

_DASH = "\u2013"
_NONE = "n/a"
_UNITS = {"hz": "Hz", "g": "g", "s": "s", "ms": "ms", "us": "µs"}
# The name of a package is shown as it is.
_KEPT_NAMES = frozenset({"patchtst_har"})


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
        counted=counted,
        bounded=bounded,
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


def bounded(value: Bootstrap | None) -> Bootstrap | None:
    """Return the intervals if there are any: a single person has none."""
    return None if value is None or value.raw.macro_f1.low is None else value


def spread(value: Spread) -> str:
    """Return mean and standard deviation."""
    if value.mean is None:
        return _NONE
    return f"{value.mean:.3f}" if value.sd is None else f"{value.mean:.3f} ± {value.sd:.3f}"


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


def facts(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield names in words and values for reading of nested mappings: floats have 4 significant digits."""
    for name, value in values.items():
        path = f"{prefix}{words(name)}"
        if isinstance(value, Mapping):
            yield from facts(value, f"{path}: ")
        elif isinstance(value, list | tuple):
            yield path, ", ".join(readable(item) for item in value) or "(none)"
        else:
            yield path, readable(value)


def words(name: str) -> str:
    """Return a key in words: ``sample_rate_hz`` is "sample rate (Hz)", ``n_gaps`` "number of gaps"."""
    if name in _KEPT_NAMES:
        return name
    parts = name.split("_")
    if len(parts) > 1 and parts[-1] in _UNITS:
        parts[-1] = f"({_UNITS[parts[-1]]})"
    if len(parts) > 1 and parts[0] == "n":
        parts[0] = "number of"
    return " ".join(filter(None, parts))


def readable(value: Any) -> str:
    """Return a value for reading: a float with 4 significant digits."""
    if value is None:
        return "(none)"
    if not isinstance(value, float | np.floating):
        return str(value)
    number = float(value)
    return f"{number:.0f}" if 1e4 <= abs(number) < 1e15 else f"{number:.4g}"


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield dotted names and exact values of nested mappings, as one would write them in a settings file."""
    for name, value in values.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from flatten(value, f"{path}.")
        elif isinstance(value, list | tuple):
            yield path, ", ".join(str(item) for item in value) or "(none)"
        else:
            yield path, "(none)" if value is None else str(value)
