"""Help texts that read as words: what a value is called, and nothing where an option takes none."""

from __future__ import annotations

import types
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

_WORDS = {bool: "", Path: "PATH", str: "TEXT", float: "NUMBER", int: "NUMBER"}


class _InWords:
    """Names values by the annotations of the function that a command calls."""

    params: list[Any]

    def __init__(self, *arguments: Any, callback: Callable[..., Any] | None = None, **options: Any) -> None:
        super().__init__(*arguments, callback=callback, **options)  # type: ignore[call-arg]
        hints = {} if callback is None else get_type_hints(callback)
        for param in self.params:
            if param.param_type_name == "argument":
                param.metavar = param.metavar or param.name.upper()
                # Its name says it; some versions of typer add the type.
                param.display_type_rich = lambda ctx: None
            elif param.metavar is None and param.name in hints:
                param.metavar = word_of(hints[param.name])

    def get_help_option(self, ctx: typer.Context) -> Any:
        option: Any = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.metavar = ""
        return option

    def collect_usage_pieces(self, ctx: typer.Context) -> list[str]:
        pieces: list[str] = super().collect_usage_pieces(ctx)  # type: ignore[misc]
        return [piece.translate({ord("{"): None, ord("}"): None}) for piece in pieces]


class Command(_InWords, TyperCommand):  # type: ignore[misc]
    """A command whose help says PATH, TEXT or NUMBER."""


class Group(_InWords, TyperGroup):  # type: ignore[misc]
    """The same for the command that has commands."""


def word_of(annotation: Any) -> str | None:
    """Return what a value is called: ``PATH``, ``TEXT``, ``NUMBER``, its choices, nothing for a flag.

    None for a type that has no word here.
    """
    if get_origin(annotation) is Literal:
        return "|".join(get_args(annotation))
    if get_origin(annotation) in (list, Union, types.UnionType):
        (inner,) = (part for part in get_args(annotation) if part is not type(None))
        return word_of(inner)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return "|".join(str(member.value) for member in annotation)
    return _WORDS.get(annotation)
