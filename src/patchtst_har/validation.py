"""What all sections of a configuration share: immutability, no unknown keys, all problems at once."""

from __future__ import annotations

from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from patchtst_har.errors import ConfigError

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
            raise ConfigError(_problems(error), type(self).__name__) from None

    def replace(self, **changes: Any) -> Self:
        """Return a validated copy with some fields changed."""
        return type(self)(**{**{name: getattr(self, name) for name in type(self).model_fields}, **changes})


def refuse(section: Checked, problems: list[str]) -> Checked:
    """Return `section`, or raise with all `problems`; for use in model validators."""
    if problems:
        raise ValueError("\n".join(problems))
    return section


def _problems(error: ValidationError) -> list[str]:
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
            problems.append(f"{where}: unknown key")
        else:
            problems.append(f"{where}: {item['msg']} (got {item['input']!r})")
    return problems
