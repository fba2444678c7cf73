"""What all settings files share: YAML, immutability, no unknown keys, all problems at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from patchtst_har.errors import ConfigError, DataError
from patchtst_har.support.documents import MOST_YAML_BYTES, parse_yaml, read_text

PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]

_MOST_SHOWN = 200

Checked = TypeVar("Checked", bound="Section")


class Section(BaseModel):
    """Base of all sections: immutable, no unknown keys, errors raised as `ConfigError`."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            found = _problems(error, type(self))
        else:
            return
        # Not while that error is handled, which would be kept as the context of this one: the garbage
        # collector cannot see what a ValidationError refers to, and the frames of its causes are among that.
        raise ConfigError([*found, *_further(type(self), values, found)], type(self).__name__)

    def replace(self, **changes: Any) -> Self:
        """Return a validated copy with some fields changed; those that were never set may follow them."""
        return type(self)(**{**{name: getattr(self, name) for name in self.model_fields_set}, **changes})


def refuse(section: Checked, problems: list[str]) -> Checked:
    """Return `section`, or raise with all `problems`; for use in model validators."""
    if problems:
        raise ValueError("\n".join(problems))
    return section


def read_yaml(path: Path) -> dict[str, Any]:
    """Return a YAML file that holds a mapping of names to values; an empty file is an empty mapping.

    Raises
    ------
    ConfigError
        If it is not YAML or holds something else; the message names the file.
    OSError
        If it cannot be opened.
    """
    try:
        values = parse_yaml(read_text(path, MOST_YAML_BYTES, may_be_pipe=True), str(path))
    except DataError as error:
        raise ConfigError([str(error)]) from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError([f"{path}: needs a mapping of sections at the top, has {type(values).__name__}"])
    _check_keys(values, str(path))
    return values


def _check_keys(values: Mapping[Any, Any], where: str) -> None:
    for key, value in values.items():
        if not isinstance(key, str):
            raise ConfigError([f"{where}: key {key!r} is not a name"])
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, Mapping):
                _check_keys(inner, f"{where}: {key}")


def _further(kind: type[Section], values: Mapping[str, Any], found: Sequence[str]) -> list[str]:
    """Return problems in addition to those already `found`: pydantic checks no contradictions after them.

    The fields found wrong take their defaults for this; a problem that mentions one of them is left out.
    """
    paths = [re.split("[ :]", problem, maxsplit=1)[0] for problem in found]
    rest: Mapping[str, Any] = values
    for path in paths:
        rest = _without(rest, path.split("."))
    if rest == values:
        return []
    try:
        kind(**rest)
    except ConfigError as error:
        wrong = re.compile("|".join(rf"\b{re.escape(path)}\b" for path in paths))
        return [problem for problem in error.problems if not wrong.search(problem)]
    return []


def _without(values: Mapping[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """Return nested `values` without one field; a value that is not a mapping goes as a whole."""
    head, *rest = path
    inner = values.get(head)
    kept = {name: value for name, value in values.items() if name != head}
    return {**kept, head: _without(inner, rest)} if rest and isinstance(inner, Mapping) else kept


def _problems(error: ValidationError, kind: type[Section]) -> list[str]:
    """Return every problem of a validation, each beginning with the path of its field."""
    problems = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"])
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, ConfigError):
            problems += [f"{where}.{problem}" for problem in cause.problems]
        elif item["type"] == "value_error":
            lines = item["msg"].removeprefix("Value error, ").split("\n")
            problems += [f"{where}: {line}" if where else line for line in lines]
        elif item["type"] == "extra_forbidden":
            problems.append(f"{where}: unknown key{_hint(kind, item['loc'])}")
        else:
            problems.append(f"{where}: {item['msg']} (got {_short(item['input'])})")
    return problems


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _hint(kind: type[Section], path: Sequence[str | int]) -> str:
    """Return a suggestion for an unknown key of `kind`, if a known one is near."""
    near = difflib.get_close_matches(str(path[-1]), kind.model_fields, n=1)
    return f" (did you mean {near[0]}?)" if near else ""
