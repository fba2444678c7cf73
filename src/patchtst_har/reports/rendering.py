"""Templates, and what they show of records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from patchtst_har.evaluation.metrics import BY_PARTICIPANT, METRICS, PROBABILITY_METRICS
from patchtst_har.records.measurement import Percentiles
from patchtst_har.records.run import Bootstrap, Interval, Spread
from patchtst_har.reports.plots.style import themed
from patchtst_har.support import formatting
from patchtst_har.support.formatting import NONE, readable

_TEMPLATES = Path(__file__).parent / "templates"
_FORMATS = ("score", "percent", "duration", "size", "count", "counted")
_POOLED_ROWS = [
    *((name, metric.title) for name, metric in METRICS.items() if metric.shown != "record"),
    ("transition_accuracy", "transition accuracy"),
]
_UNITS = {"hz": "Hz", "g": "g", "s": "s", "ms": "ms", "us": "µs"}
# The name of a package is shown as it is.
_KEPT_NAMES = frozenset({"patchtst_har"})


def render(template: str, folder: Path = _TEMPLATES, **values: Any) -> str:
    """Return the HTML of a template; text is escaped, a name that the template lacks is an error."""
    return _environment(folder).get_template(template).render(**values)


@cache
def _environment(folder: Path) -> jinja2.Environment:
    """Return what compiles templates once: that takes as long as drawing two figures."""
    loader = jinja2.FileSystemLoader([folder, _TEMPLATES])
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.filters.update({name: getattr(formatting, name) for name in _FORMATS})
    for function in (interval, signed, spread, bounded, sentence):
        environment.filters[function.__name__] = function
    environment.globals.update(zip=zip, scores_of=scores_of, durations=durations, pooled_rows=_POOLED_ROWS)
    environment.globals.update(BY_PARTICIPANT=BY_PARTICIPANT, PROBABILITY_METRICS=PROBABILITY_METRICS)
    return environment


def pictures(drawn: Mapping[str, str]) -> dict[str, Markup]:
    """Return drawn SVG elements as they stand in a page, in its colours."""
    return {name: Markup(themed(svg)) for name, svg in drawn.items()}  # noqa: S704 - made here, text in it escaped


def durations(times: Percentiles, levels: Iterable[str]) -> list[str]:
    """Return the durations at some percentiles."""
    return [formatting.duration(times.value(level)) for level in levels]


def scores_of(record: Any, metrics: Iterable[str] = BY_PARTICIPANT) -> list[str]:
    """Return the scores of a record, one for each metric."""
    return [formatting.score(record[name]) for name in metrics]


def interval(value: Interval) -> str:
    """Return the bounds of an interval."""
    return NONE if value.low is None or value.high is None else f"{value.low:.3f}\u2013{value.high:.3f}"


def signed(value: Interval) -> str:
    """Return a difference with its bounds."""
    bounds = NONE if value.low is None or value.high is None else f"{value.low:+.3f} to {value.high:+.3f}"
    return f"{value.estimate:+.3f} ({bounds})"


def sentence(text: str) -> str:
    """Return a text that begins with a capital letter; the others stay."""
    return text[:1].upper() + text[1:]


def bounded(value: Bootstrap | None) -> Bootstrap | None:
    """Return the intervals if there are any: a single participant has none."""
    return None if value is None or value.raw.macro_f1.low is None else value


def spread(value: Spread) -> str:
    """Return mean and standard deviation."""
    if value.mean is None:
        return NONE
    return f"{value.mean:.3f}" if value.sd is None else f"{value.mean:.3f} ± {value.sd:.3f}"


def facts(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield names in words and values for reading of nested mappings: floats have 4 significant digits."""
    return _leaves(values, words, ": ", readable)


def flatten(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield dotted names and exact values of nested mappings, as one would write them in a settings file."""
    return _leaves(values, str, ".", lambda value: "(none)" if value is None else str(value))


def _leaves(
    values: Mapping[str, Any], name_of: Callable[[str], str], joint: str, text_of: Callable[[Any], str]
) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        name = name_of(key)
        if isinstance(value, Mapping):
            for inner, text in _leaves(value, name_of, joint, text_of):
                yield f"{name}{joint}{inner}", text
        elif isinstance(value, list | tuple):
            yield name, ", ".join(map(text_of, value)) or "(none)"
        else:
            yield name, text_of(value)


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
